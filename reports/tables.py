"""The tables of a study: what stands in which column; how it is written is `reports.table`'s part."""

import pandas as pd

from reports.baselines import UNSAID, beside
from reports.captions import caption_of, notes_of
from reports.summary import best_of_groups, summary_of, tasks_of
from reports.table import Column, Line, Table, Value
from studies.statistics import Summary
from studies.study_record import StudyRecord


def main_table(study: StudyRecord, frame: pd.DataFrame) -> Table:
    """The poster's layout: a line per row, F1 of the four tasks as mean ± std, n, the best of a group in bold."""
    summary = summary_of(study, frame)
    best = best_of_groups(summary)
    keys = zip(summary["row"], summary["task"], strict=True)
    known = dict(zip(keys, zip(summary["mean"], summary["std"], summary["n"], strict=True), strict=True))
    seeds = len(set(frame["seed"]))
    tasks = tasks_of(study)
    columns = [Column("row", "System"), *(Column(task, short, "mean") for task, short in tasks.items())]
    lines = []
    for row in by_group(study):
        n = max(known[row, task][2] for task in tasks)
        values = [Value(*known[row, task][:2], bold=(row, task) in best) for task in tasks]
        cells: list[Value | str] = [study.study.title_of(row), *values, str(n) if n == seeds else f"{n}/{seeds}"]
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
        notes=[*notes_of(study, frame), *([UNSAID] if published else ())],
        data=summary[summary["task"].isin(tasks)],
    )


def as_value(published: Summary | None) -> Value:
    """A published score; missing where the publication has none of the task."""
    return Value(published.mean, published.std) if published else Value()


def by_group(study: StudyRecord) -> list[str]:
    """The rows, those of a group together, groups and rows in the study's order."""
    groups = list(dict.fromkeys(row.group for row in study.study.rows.values()))
    return sorted(study.study.rows, key=lambda row: groups.index(study.study.rows[row].group))
