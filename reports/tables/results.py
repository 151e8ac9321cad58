"""Main table and ablation table: F1 of every row, and its difference to the row that it is compared with."""

import pandas as pd

from reports.captions import (
    METRIC,
    baseline_label,
    count_seeds,
    describe_data,
    describe_spread,
    limiting_notes,
    measured_on,
)
from reports.frame import ReportData
from reports.row_means import TASK_NAMES, compute_row_means, rows_by_group, task_headings
from reports.tables.layout import Cell, Column, Line, Table, Value
from reports.tables.published import PUBLISHED_NOTE, find_published_rows
from studies.statistics import DASH

MIN_ABLATION_ROWS = 3
"""Compared rows from which on they have a table of their own, a line each."""
TASKS = (
    "Rel.: relation with its type, both clusters and both entity types right (strict); Ent.: cluster with its type; "
    "Coref.: cluster; Men.: mention span."
)


def main_table(data: ReportData) -> Table:
    """The poster's layout: a line per row, F1 of the four tasks as mean ± std, n, the best of a group in bold."""
    study, frame = data.study, data.frame
    means = compute_row_means(study, frame)
    best = find_best_of_groups(means)
    known = {(line["row"], line["task"]): line for line in means.to_dict("records")}
    seeds = frame["seed"].nunique()
    tasks = task_headings(study)
    lines = []
    for row in rows_by_group(study):
        scores = {task: known[row, task] for task in tasks}
        n = max(score["n"] for score in scores.values())
        values = [Value(score["mean"], score["std"], bold=(row, task) in best) for task, score in scores.items()]
        cells: list[Cell] = [study.study.row_title(row), *values, str(n) if n == seeds else f"{n}/{seeds}"]
        lines.append(Line(cells, study.study.rows[row].group, row))
    counts = {line.cells[-1] for line in lines}
    published = find_published_rows(study)
    for other in published:
        printed = [other.scores.get(task) for task in tasks]
        values = [Value(score.mean, score.std) if score else Value() for score in printed]
        lines.append(Line([other.title, *values, "5"], f"{other.group}, published"))
    groups = list(dict.fromkeys(line.group for line in lines))
    return Table(
        name="table",
        title=f"{study.label}: {study.study.question}",
        columns=[
            Column("row", "System"),
            *(Column(task, heading, "mean") for task, heading in tasks.items()),
            Column("n", "n", in_print=len(counts) > 1),
        ],
        lines=sorted(lines, key=lambda line: groups.index(line.group)),
        caption=[
            f"F1 (%) on {describe_data(study, frame)}, {describe_spread(count_seeds(frame))}"
            f"{'; bold: the highest mean' if best else ''}{' of a group' if best and any(groups) else ''}.",
            METRIC,
            TASKS,
            *measured_on(study, frame),
            "±: sample standard deviation over seeds (ddof 1); n: seeds with a score.",
        ],
        notes=[*limiting_notes(study, frame), *([PUBLISHED_NOTE] if published else ())],
        data=means[means["task"].isin(tasks)],
    )


def find_best_of_groups(means: pd.DataFrame) -> set[tuple[str, str]]:
    """(row, task) of the highest mean of each group and task, as printed: equal ones are all best.

    A group with a single scored row, or whose rows are all equal, has no best.
    """
    best = set()
    for (_, task), scores in means[means["n"] > 0].groupby(["group", "task"]):
        printed = scores["mean"].round(2)
        if printed.nunique() > 1:
            best |= {(row, task) for row in scores["row"][printed == printed.max()]}
    return best


def ablation_table(data: ReportData) -> Table | None:
    """F1 on the study's metric, and Δ with its 95 % interval on every task, rows in the study's order.

    Of a study of axes the baseline is the centre; of a ladder each row is compared with the row that lacks its part.
    None where the table of differences already shows the few rows at a glance.
    """
    study, compared = data.study, data.compared
    if compared["row"].nunique() < MIN_ABLATION_ROWS:
        return None
    metric, tasks = study.study.metric, task_headings(study)
    means = compute_row_means(study, data.frame)
    means = means[means["task"] == metric]
    own = {row: Value(mean, std) for row, mean, std in zip(means["row"], means["mean"], means["std"], strict=True)}
    differences = {
        (line["row"], line["baseline"], line["task"]): Value(line["delta"], low=line["low"], high=line["high"])
        for line in compared.to_dict("records")
    }
    lines = []
    for row in rows_by_group(study):
        title, group = study.study.row_title(row), study.study.rows[row].group
        for baseline in study.study.row_baselines(row) or (row,):
            name = baseline_label(study, row, baseline) if baseline != row else DASH
            changes = [differences.get((row, baseline, task), Value()) for task in tasks]
            lines.append(Line([title, name, own[row], *changes], group, row))
    baselines = {str(line.cells[1]) for line in lines} - {DASH}
    towards = f"to {baselines.copy().pop()}" if len(baselines) == 1 else "to the row compared with"
    return Table(
        name="ablation",
        title=f"{study.label}: what each row changes",
        columns=[
            Column("row", "System"),
            Column("baseline", "Compared with", in_print=len(baselines) > 1),
            Column(metric, f"{tasks[metric]} F1", "mean"),
            *(
                Column(f"delta-{task}", f"Δ {name}", "difference", signed=True, in_print=task == metric)
                for task, name in tasks.items()
            ),
        ],
        lines=lines,
        caption=[
            f"{TASK_NAMES[metric].capitalize()} F1 (%) on {describe_data(study, data.frame)}, "
            f"{describe_spread(count_seeds(data.frame))}, and its difference Δ {towards} with its 95 % interval.",
            f"{TASK_NAMES[metric].capitalize()} F1 in percent, mean ± sample standard deviation over seeds (ddof 1); "
            "Δ: mean of the differences to the row that it is compared with, paired by seed, in points, with their "
            "95 % t-interval.",
            "Tests and their correction are in the table of differences.",
            METRIC,
            *measured_on(study, data.frame),
        ],
        data=compared,
    )
