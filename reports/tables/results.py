"""The tables of a study: what stands in which column; how it is written is `reports.tables.layout`'s part.

The table of an ablation: a line per row, its F1, and on every task its difference to the row it is compared with.
"""

from typing import Any

import pandas as pd

from reports.captions import against, caption_of, label, notes_of
from reports.row_means import LONG, find_best_of_groups, summary_of, task_headings
from reports.tables.layout import NONE, Column, Line, Table, Value
from reports.tables.published import PUBLISHED_NOTE, beside
from studies.record import StudyRecord
from studies.statistics import Summary


def main_table(study: StudyRecord, frame: pd.DataFrame) -> Table:
    """The poster's layout: a line per row, F1 of the four tasks as mean ± std, n, the best of a group in bold."""
    summary = summary_of(study, frame)
    best = find_best_of_groups(summary)
    keys = zip(summary["row"], summary["task"], strict=True)
    known = dict(zip(keys, zip(summary["mean"], summary["std"], summary["n"], strict=True), strict=True))
    seeds = len(set(frame["seed"]))
    tasks = task_headings(study)
    columns = [Column("row", "System"), *(Column(task, short, "mean") for task, short in tasks.items())]
    lines = []
    for row in rows_by_group(study):
        n = max(known[row, task][2] for task in tasks)
        values = [Value(*known[row, task][:2], bold=(row, task) in best) for task in tasks]
        cells: list[Value | str] = [study.study.row_title(row), *values, str(n) if n == seeds else f"{n}/{seeds}"]
        lines.append(Line(cells, study.study.rows[row].group, row))
    published = beside(study)
    for old in published:
        shown: list[Value | str] = [as_value(old.scores.get(task)) for task in tasks]
        lines.append(Line([f"{old.title} (published)", *shown, "5"], old.group))
    groups = list(dict.fromkeys(line.group for line in lines))
    lines.sort(key=lambda line: groups.index(line.group))
    return Table(
        name="table",
        title=f"{study.label}: {study.study.question}",
        columns=[*columns, Column("n", "n")],
        lines=lines,
        caption=caption_of(study, frame),
        notes=[*notes_of(study, frame), *([PUBLISHED_NOTE] if published else ())],
        data=summary[summary["task"].isin(tasks)],
    )


def as_value(published: Summary | None) -> Value:
    """A published score; missing where the publication has none of the task."""
    return Value(published.mean, published.std) if published else Value()


def rows_by_group(study: StudyRecord) -> list[str]:
    """The rows, those of a group together, groups and rows in the study's order."""
    groups = list(dict.fromkeys(row.group for row in study.study.rows.values()))
    return sorted(study.study.rows, key=lambda row: groups.index(study.study.rows[row].group))


def ablation_table(study: StudyRecord, frame: pd.DataFrame, compared: pd.DataFrame) -> Table:
    """F1 on the study's metric, and Δ with its 95 % interval on every task, rows in the study's order.

    Of a study of axes the baseline is the centre; of a ladder each row is compared with the row that lacks its part.
    """
    metric, tasks = study.study.metric, task_headings(study)
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
    for row in rows_by_group(study):
        shown = [difference(known.get((row, task))) for task in tasks]
        other = against(study, row) if study.study.row_baseline(row) != row else NONE
        lines.append(Line([study.study.row_title(row), other, own[row], *shown], study.study.rows[row].group, row))
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
    baselines = {study.study.row_baseline(row) for row in study.study.rows}
    return f"All are compared with {label(study, baselines.pop())}. " if len(baselines) == 1 else ""
