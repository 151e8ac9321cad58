"""Published scores, and what their ± can and cannot support: Welch's interval of each difference.

A published row has no seeds: it never enters a paired test.
"""

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd

from reports.baseline_differences import LEVEL
from reports.frame import ReportData
from reports.row_means import TASK_HEADINGS
from reports.tables.layout import Column, Line, Table, Value
from studies.record import StudyRecord
from studies.statistics import Summary, holm, welch

PUBLISHED_NOTE = (
    "Published rows are typed in as printed; the poster does not say whether its relation F1 is strict or loose, nor "
    "the ddof of its ± (1 is taken), and they have no seeds: they are compared by Welch's interval only."
)
PUBLISHED_ON = "docred-joint"
"""The data set that the published rows were measured on; next to other data they would mislead."""


@dataclass(frozen=True)
class PublishedRow:
    """A row of a published table: F1 in percent per task as mean, std and n; compared with JEREX in its group."""

    title: str
    group: str
    scores: dict[str, Summary]

    @property
    def name(self) -> str:
        """The row's name in CSV files."""
        return f"published-{self.title.lower()}-{self.group.lower()}"


def _row(title: str, group: str, *printed: tuple[float, float]) -> PublishedRow:
    scores = {task: Summary(mean, std, 5) for task, (mean, std) in zip(TASK_HEADINGS, printed, strict=True)}
    return PublishedRow(title, group, scores)


PUBLISHED_ROWS = (
    _row("JEREX", "GRC", (38.65, 0.13), (79.66, 0.26), (82.35, 0.25), (92.54, 0.13)),
    _row("memory", "GRC", (38.91, 0.15), (79.72, 0.06), (82.43, 0.06), (92.63, 0.12)),
    _row("JEREX", "MRC", (39.93, 0.47), (79.68, 0.20), (82.41, 0.17), (92.54, 0.12)),
    _row("memory", "MRC", (39.89, 0.27), (79.71, 0.31), (82.42, 0.28), (92.77, 0.17)),
)
"""The poster's four rows: DocRED, JEREX's end-to-end split, bert-base-cased, five seeds.

Its relation F1 is under `relation_strict`, see `PUBLISHED_NOTE`.
"""


def find_published_rows(study: StudyRecord) -> tuple[PublishedRow, ...]:
    """The published rows that a study's own may stand next to: those of the same data and of groups that it has."""
    if study.data_name != PUBLISHED_ON:
        return ()
    groups = {row.group for row in study.study.rows.values()}
    return tuple(row for row in PUBLISHED_ROWS if row.group in groups)


def compare_published() -> pd.DataFrame:
    """A line per row that has a baseline and task: what is printed of both, and Welch's interval of the difference.

    Columns: row, baseline, title, against, group, task, mean, std, n and base_mean, base_std, base_n as printed; delta,
    low, high, p, p_holm (Holm over all lines); low_population, high_population (were the printed std of ddof 0); words.
    """
    baselines = {row.group: row for row in PUBLISHED_ROWS if row.title == "JEREX"}
    lines: list[dict[str, Any]] = []
    for row in PUBLISHED_ROWS:
        baseline = baselines[row.group]
        for task, ours in row.scores.items() if row is not baseline else ():
            theirs = baseline.scores[task]
            test = welch(ours, theirs)
            population = welch(with_sample_std(ours), with_sample_std(theirs)).interval
            lines.append(
                {"row": row.name, "baseline": baseline.name, "title": row.title, "against": baseline.title}
                | {"group": row.group, "task": task, "mean": ours.mean, "std": ours.std, "n": ours.n}
                | {"base_mean": theirs.mean, "base_std": theirs.std, "base_n": theirs.n}
                | {"delta": test.estimate, "low": test.interval.low, "high": test.interval.high, "p": test.p}
                | {"low_population": population.low, "high_population": population.high}
            )
    frame = pd.DataFrame(lines)
    frame["p_holm"] = pd.Series(holm(frame["p"].to_dict()))
    frame["words"] = list(map(describe_difference, frame["low"], frame["high"], frame["p_holm"]))
    return frame


def describe_difference(low: float, high: float, p_holm: float) -> str:
    """The words that a difference gets: by its interval, and by its p after Holm."""
    if low <= 0 <= high:
        return "no difference shown"
    return f"{'higher' if low > 0 else 'lower'}{', also' if p_holm < LEVEL else ' alone, not'} after Holm"


def with_sample_std(printed: Summary) -> Summary:
    """A summary with a printed std of ddof 0, as one of ddof 1."""
    return Summary(printed.mean, printed.std * math.sqrt(printed.n / (printed.n - 1)), printed.n)


def published_table(data: ReportData) -> Table | None:
    """The differences of the published table, next to a study of the same data and groups."""
    if not find_published_rows(data.study):
        return None
    compared = compare_published()
    lines = [
        Line(
            [
                TASK_HEADINGS[line["task"]],
                Value(line["base_mean"], line["base_std"]),
                Value(line["mean"], line["std"]),
                Value(line["delta"], low=line["low"], high=line["high"]),
                Value(line["p"]),
                Value(line["p_holm"]),
                line["words"],
            ],
            line["group"],
        )
        for line in compared.to_dict("records")
    ]
    number, after_holm = len(compared), (compared["p_holm"] < LEVEL).sum()
    apart, still_apart = (
        ((compared[f"low{ddof}"] > 0) | (compared[f"high{ddof}"] < 0)).sum() for ddof in ("", "_population")
    )
    return Table(
        name="published",
        title="What the published ± can and cannot support",
        columns=[
            Column("task", "Task"),
            Column("base", "JEREX", "mean"),
            Column("f1", "Memory", "mean"),
            Column("delta", "Δ", "difference", signed=True),
            Column("p", "p", "p", decimals=3),
            Column("p_holm", "Holm", "p", decimals=3),
            Column("words", "What it supports"),
        ],
        lines=lines,
        caption=[
            "Published F1 (%) on DocRED, mean ± standard deviation over 5 seeds, and Welch's test of the difference Δ.",
            "F1 as printed; Δ: memory minus JEREX with its 95 % interval, and p: from mean, std and n; Holm: p "
            f"corrected over the {number} differences; alone: without Holm.",
            f"Of {number} differences {apart} have a Welch interval without 0, and {after_holm} a p below {LEVEL:.2f} "
            "after Holm.",
        ],
        notes=[
            "It does not show whether the seeds of two rows share their split and order, so differences cannot be "
            "paired, nor whether they would hold on other documents: its ± is over seeds alone.",
            "A std of five values is itself uncertain: with a confidence of 95 % the true one lies between 0.6 and 2.9 "
            "times the printed.",
            f"Were the printed ± of ddof 0, {still_apart} of the {number} intervals would leave 0 out.",
            PUBLISHED_NOTE,
        ],
        data=compared,
    )
