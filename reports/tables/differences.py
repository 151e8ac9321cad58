"""Differences table: every row against its baseline, task by task, with intervals and tests."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import pandas as pd

from reports.captions import (
    COVERAGE_NOTE,
    METRIC,
    baseline_label,
    comparison_label,
    describe_data,
    format_ranges,
    measured_on,
    missing_interval_notes,
)
from reports.frame import ReportData
from reports.row_means import TASK_NAMES
from reports.tables.layout import MARK, Cell, Column, Line, Table, Value
from reports.tables.results import find_marked
from studies.bootstrap import RESAMPLES
from studies.record import StudyRecord
from studies.statistics import POWER, smallest_detectable_effect

UNPAIRED_REASONS = {
    "left_out": "a score in one of the two rows only",
    "unlike": "in the two rows they do not mean the same documents in the same order",
}
"""Column of the comparisons that holds seeds which were not paired -> why."""


def differences_table(data: ReportData) -> Table | None:
    """Each row against its baseline, task by task; None where no row has one."""
    study, compared, digits = data.study, data.select(data.compared), data.options.digits
    if not len(compared):
        return None
    by_row: dict[str, list[dict[Any, Any]]] = {}
    for line in compared.to_dict("records"):
        by_row.setdefault(line["row"], []).append(line)
    headings, lines = data.tasks, []
    order, marked = list(headings), find_marked(data)
    for row in data.rows:
        baselines = study.study.row_baselines(row)
        of_row = by_row.get(row, [])
        for line in sorted(of_row, key=lambda line: (baselines.index(line["baseline"]), order.index(line["task"]))):
            cells: list[Cell] = [
                f"{study.study.row_title(row)} against {baseline_label(study, row, line['baseline'])}",
                headings[line["task"]],
                Value(line["delta"], mark=(row, line["baseline"], line["task"]) in marked),
                Value(line["delta"], low=line["low"], high=line["high"]),
                Value(line["delta"], low=line["low_all"], high=line["high_all"]),
                f"{line['higher']}/{line['n']}",
                *(Value(line[name]) for name in ("improvement", "p_t", "p_holm", "p_sign_flip")),
            ]
            lines.append(Line(cells, line["group"], row))
    seeds = sorted({int(n) for n in compared["n"]} - {0})
    paired = f" ({' to '.join(str(n) for n in dict.fromkeys((seeds[0], seeds[-1])))} seeds)" if seeds else ""
    return Table(
        name="comparisons",
        title=f"{study.label}: differences to the baseline",
        columns=[
            Column("row", "System", once=True, heads=True),
            Column("task", "Task"),
            Column("delta", "Δ", "number", digits, signed=True),
            Column("interval", "95 % seeds", "interval", digits, signed=True),
            Column(
                "bootstrap",
                "95 % documents and seeds",
                "interval",
                digits,
                signed=True,
                in_print=bool(compared["low_all"].notna().any()),
            ),
            Column("higher", "Higher", in_print=False),
            Column("improvement", "Pr. higher", "number", in_print=False),
            Column("p_t", "p", "p", decimals=3, in_print=False),
            Column("p_holm", "Holm", "p", decimals=3),
            Column("p_sign_flip", "Sign-flip", "p", decimals=4, in_print=False),
        ],
        lines=lines,
        caption=[
            f"Differences Δ in F1 (points) on {describe_data(study, data.frame)}, paired by seed{paired}, with 95 % "
            f"intervals and the paired t-test's p after Holm{f' ({MARK}: below .05)' if marked else ''}.",
            "Δ: a row minus its baseline, mean over shared seeds; 95 % seeds: t-interval of these differences (other "
            "seeds, same documents).",
            "Higher: seeds in which the row is above its baseline; Pr. higher: share of all pairs of a seed of the row "
            "and one of the baseline in which the row is above, ties half.",
            f"95 % documents and seeds: hierarchical paired bootstrap, {RESAMPLES:,} resamples of documents and shared "
            "seeds, micro-F1 computed again in each.",
            COVERAGE_NOTE,
            f"p: two-sided paired t-test; Holm: the same p corrected over all {data.compared['p_t'].notna().sum()} "
            "comparisons of the study. Sign-flip: exact two-sided p without a normal assumption; it cannot fall below "
            f"{format_smallest_p(compared)}.",
            *power_sentences(study, compared),
            METRIC,
            *measured_on(study, data.frame),
        ],
        notes=list(unpaired_notes(study, compared)),
        data=compared,
    )


def unpaired_notes(study: StudyRecord, compared: pd.DataFrame) -> Iterator[str]:
    """Which seeds were not paired and why, and which rows have no interval over documents."""
    for column, reason in UNPAIRED_REASONS.items():
        unpaired = compared[compared[column] != ""].drop_duplicates(["row", "baseline"])
        for row, baseline, listed in unpaired[["row", "baseline", column]].itertuples(index=False):
            seeds = format_ranges(map(int, listed.split()))
            yield f"{comparison_label(study, row, baseline)}: seeds {seeds} left out: {reason}."
    yield from missing_interval_notes(compared, ["row", "baseline"], partial(comparison_label, study))


def format_smallest_p(compared: pd.DataFrame) -> str:
    """The smallest sign-flip p that the shared seeds can reach, by their number."""
    known = compared[compared["n"] > 0].drop_duplicates("n").sort_values("n")
    smallest = [f"{p:.4f} at {n} seed{'s' * (n > 1)}" for n, p in zip(known["n"], known["p_floor"], strict=True)]
    return " or ".join(smallest) or "what two shared seeds allow"


def power_sentences(study: StudyRecord, compared: pd.DataFrame) -> Iterator[str]:
    """What the paired t-test can find with as many seeds as the comparisons have; nothing where none has two."""
    on_metric = compared[(compared["task"] == study.study.metric) & (compared["n"] > 1)]
    for n, detectable in on_metric.groupby("n")["detectable"]:
        points = " to ".join(dict.fromkeys(f"{value:.2f}" for value in (detectable.min(), detectable.max())))
        yield (
            f"With {n} seeds the paired t-test finds, with a chance of {100 * POWER:.0f} %, differences from "
            f"{smallest_detectable_effect(int(n)):.1f} times their standard deviation on: here {points} points on "
            f"{TASK_NAMES[study.study.metric]} F1."
        )
