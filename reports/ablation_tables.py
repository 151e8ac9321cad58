"""The table of an ablation: a line per row, its F1, and on every task its difference to the row it is compared with."""

from typing import Any

import pandas as pd

from reports.captions import against, label
from reports.summary import LONG, summary_of, tasks_of
from reports.table import NONE, Column, Line, Table, Value
from reports.tables import by_group
from studies.study_record import StudyRecord


def ablation_table(study: StudyRecord, frame: pd.DataFrame, compared: pd.DataFrame) -> Table:
    """F1 on the study's metric, and Δ with its 95 % interval on every task, rows in the study's order.

    Of a study of axes the baseline is the centre; of a ladder each row is compared with the row that lacks its part.
    """
    metric, tasks = study.study.metric, tasks_of(study)
    summary = summary_of(study, frame)
    summary = summary[summary["task"] == metric]
    own = {row: Value(*told) for row, *told in zip(summary["row"], summary["mean"], summary["std"], strict=True)}
    known = {(line["row"], line["task"]): line for line in compared.to_dict("records")}
    columns = [
        Column("row", "System"),
        Column("baseline", "Compared with"),
        Column(metric, f"{tasks[metric]} F1", "mean"),
        *(Column(f"delta-{task}", f"Δ {short}", "difference", signed=True) for task, short in tasks.items()),
    ]
    lines = []
    for row in by_group(study):
        shown = [difference(known.get((row, task))) for task in tasks]
        other = against(study, row) if study.study.baseline_of(row) != row else NONE
        lines.append(Line([study.study.title_of(row), other, own[row], *shown], study.study.rows[row].group, row))
    caption = [
        f"{LONG[metric].capitalize()} F1 in percent, mean ± sample standard deviation over seeds (ddof 1); Δ: mean of "
        "the differences to the row that it is compared with, paired by seed, in points, with their 95 % t-interval.",
        f"{centre(study)}Tests and their correction stand in the table of differences.",
    ]
    return Table("ablation", f"{study.label}: what each row changes", columns, lines, caption, (), compared)


def difference(line: dict[Any, Any] | None) -> Value:
    """The difference of a comparison with its interval; missing where the row is its own baseline."""
    return Value(line["delta"], low=line["low"], high=line["high"]) if line else Value()


def centre(study: StudyRecord) -> str:
    """A sentence that names the row that all others are compared with; nothing where they are compared with several."""
    baselines = {study.study.baseline_of(row) for row in study.study.rows}
    return f"All are compared with {label(study, baselines.pop())}. " if len(baselines) == 1 else ""
