"""Main table and ablation table: F1 of every row, and its difference to the row that it is compared with."""

from collections.abc import Sequence

import pandas as pd

from reports.baseline_differences import LEVEL
from reports.captions import baseline_label, describe_means, explain_means, label, limiting_notes
from reports.frame import ReportData
from reports.row_means import ALL_HEADINGS, TASK_NAMES, compute_row_means, compute_spread
from reports.tables.layout import MARK, Cell, Column, Line, Table, Value
from reports.tables.published import PUBLISHED_NOTE, find_published_rows
from studies.statistics import DASH, Summary

BELOW_LEVEL = "p\u00a0<\u00a0.05"
"""What a dagger says, in one piece."""
MIN_ABLATION_ROWS = 3
"""Compared rows from which on they have a table of their own, a line each."""
MEANINGS = {
    "relation_strict": "relation with its type, both clusters and both entity types right (strict)",
    "relation": "relation with its type and both clusters right",
    "entity": "cluster with its type",
    "coref": "cluster",
    "mention": "mention span",
}
"""What counts as right in a task."""


def main_table(data: ReportData) -> Table:
    """The poster's layout: a line per row, F1 of the four tasks as mean ± std, n, the best of a group in bold."""
    study, frame = data.study, data.select(data.frame)
    means = compute_row_means(study, frame)
    best = find_best_of_groups(means, data.options.digits)
    known = {(line["row"], line["task"]): line for line in means.to_dict("records")}
    seeds = frame["seed"].nunique()
    tasks, marked = data.tasks, find_marked(data)
    lines = []
    for row in data.rows:
        scores = {task: known[row, task] for task in tasks}
        n = max(score["n"] for score in scores.values())
        baseline = next(iter(study.study.row_baselines(row)), "")
        values = [
            write_value(
                data,
                Summary(score["mean"], score["std"], score["n"]),
                bold=(row, task) in best,
                mark=(row, baseline, task) in marked,
            )
            for task, score in scores.items()
        ]
        cells: list[Cell] = [study.study.row_title(row), *values, str(n) if n == seeds else f"{n}/{seeds}"]
        lines.append(Line(cells, study.study.rows[row].group, row))
    counts = {line.cells[-1] for line in lines}
    shown = {line.group for line in lines}
    published = [other for other in find_published_rows(study) if other.group in shown]
    for other in published:
        printed = [other.scores.get(task) for task in tasks]
        values = [write_value(data, score) if score else Value() for score in printed]
        lines.append(Line([other.title, *values, "5"], f"{other.group}, published"))
    groups = list(dict.fromkeys(line.group for line in lines))
    return Table(
        name="table",
        title=f"{study.label}: {study.study.question}",
        columns=[
            Column("row", "System"),
            *(Column(task, heading, "mean", data.options.digits) for task, heading in tasks.items()),
            Column("n", "n", in_print=len(counts) > 1),
        ],
        lines=sorted(lines, key=lambda line: groups.index(line.group)),
        caption=[
            f"F1 (%) on {describe_means(study, frame, data.options.spread)}{explain_bold(lines)}"
            f"{explain_marks(data, lines)}.",
            explain_tasks(data),
            *explain_means(study, frame, data.options.spread),
            "n: seeds with a score.",
        ],
        notes=[*limiting_notes(study, frame, data.configs), *([PUBLISHED_NOTE] if published else ())],
        data=means,
    )


def explain_tasks(data: ReportData) -> str:
    """What the columns of the tasks count."""
    return "; ".join(f"{heading}: {MEANINGS[task]}" for task, heading in data.tasks.items()) + "."


def write_value(data: ReportData, summary: Summary, *, bold: bool = False, mark: bool = False) -> Value:
    """A mean with what the options of the tables have behind its ±."""
    return Value(summary.mean, compute_spread(summary, data.options.spread), bold=bold, mark=mark)


def find_marked(data: ReportData) -> set[tuple[str, str, str]]:
    """(row, baseline, task) of the shown differences that are marked: those with a p below .05 after Holm."""
    compared = data.select(data.compared).to_dict("records") if data.options.marks else ()
    return {(line["row"], line["baseline"], line["task"]) for line in compared if line["p_holm"] < LEVEL}


def explain_bold(table: Sequence[Line]) -> str:
    """The clause of a caption that says what is bold; empty where nothing is."""
    if not any(isinstance(cell, Value) and cell.bold for line in table for cell in line.cells):
        return ""
    return f"; bold: the highest mean{' of a group' * any(line.group for line in table)}"


def explain_marks(data: ReportData, table: Sequence[Line]) -> str:
    """The clause of a caption that says what a dagger in the main table means; empty where there is none."""
    rows = [line.row for line in table if any(isinstance(cell, Value) and cell.mark for cell in line.cells)]
    if not rows:
        return ""
    compared = {row: data.study.study.row_baselines(row) for row in rows}
    first = {baselines[0] for baselines in compared.values()}
    towards = label(data.study, first.pop()) if len(first) == 1 else "the row's baseline"
    several = any(len(baselines) > 1 for baselines in compared.values())
    return f"; {MARK}: {BELOW_LEVEL} against {towards}{' (of several, the first)' * several} after Holm"


def find_best_of_groups(means: pd.DataFrame, digits: int) -> set[tuple[str, str]]:
    """(row, task) of the highest mean of each group and task, as printed: equal ones are all best.

    A group with a single scored row, or whose rows are all equal, has no best.
    """
    best = set()
    for (_, task), scores in means[means["n"] > 0].groupby(["group", "task"]):
        printed = scores["mean"].round(digits)
        if printed.nunique() > 1:
            best |= {(row, task) for row in scores["row"][printed == printed.max()]}
    return best


def ablation_table(data: ReportData) -> Table | None:
    """F1 on the study's metric, and Δ with its 95 % interval on every task, rows in the study's order.

    Of a study of axes the baseline is the centre; of a ladder each row is compared with the row that lacks its part.
    None where the table of differences already shows the few rows at a glance.
    """
    study, compared = data.study, data.compared[data.compared["row"].isin(data.rows)]
    if compared["row"].nunique() < MIN_ABLATION_ROWS:
        return None
    metric, tasks, marked, digits = study.study.metric, data.tasks, find_marked(data), data.options.digits
    frame = data.frame[data.frame["row"].isin(data.rows)]
    means = compute_row_means(study, frame[frame["task"] == metric]).to_dict("records")
    own = {line["row"]: write_value(data, Summary(line["mean"], line["std"], line["n"])) for line in means}
    differences = {
        (key := (line["row"], line["baseline"], line["task"])): Value(
            line["delta"], low=line["low"], high=line["high"], mark=key in marked
        )
        for line in compared.to_dict("records")
    }
    lines = []
    for row in data.rows:
        title, group = study.study.row_title(row), study.study.rows[row].group
        for baseline in study.study.row_baselines(row) or (row,):
            name = baseline_label(study, row, baseline) if baseline != row else DASH
            changes = [differences.get((row, baseline, task), Value()) for task in tasks]
            lines.append(Line([title, name, own[row], *changes], group, row))
    baselines = {str(line.cells[1]) for line in lines} - {DASH}
    in_print = data.options.tasks or (metric,)
    towards = f"to {baselines.copy().pop()}" if len(baselines) == 1 else "to the row compared with"
    return Table(
        name="ablation",
        title=f"{study.label}: what each row changes",
        columns=[
            Column("row", "System"),
            Column("baseline", "Compared with", in_print=len(baselines) > 1),
            Column(metric, f"{ALL_HEADINGS[metric]} F1", "mean", digits),
            *(
                Column(f"delta-{task}", f"Δ {name}", "difference", digits, signed=True, in_print=task in in_print)
                for task, name in tasks.items()
            ),
        ],
        lines=lines,
        caption=[
            f"{TASK_NAMES[metric].capitalize()} F1 (%) on {describe_means(study, frame, data.options.spread)}, and its "
            f"difference Δ {towards}, with its 95 % interval{f'; {MARK}: {BELOW_LEVEL} after Holm' if marked else ''}.",
            "Δ: in points, paired by seed, with its t-interval; tests and their correction are in the table of "
            "differences.",
            *explain_means(study, frame, data.options.spread),
        ],
        data=data.select(compared),
    )
