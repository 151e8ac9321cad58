"""Memory use of a study's rows: what knock-outs change, seed by seed, and a verdict for each row from one rule table.

A knock-out takes reading away from trained weights (`core.records.memory_use`), so a difference here is the run without
(a part of) reading minus the same run whole: below 0 the model loses.
"""

import math
from collections.abc import Mapping
from itertools import product
from typing import Any, Literal, NamedTuple, get_args

import pandas as pd

from core.errors import UserError
from core.progress import progress_bar
from core.records.memory_use import KnockOut
from reports.baseline_differences import (
    DOCUMENT_COLUMNS,
    MAX_RESAMPLED_ROWS,
    NOT_RESAMPLED,
    find_folders,
    find_largest_differences,
    read_seed_counts,
    resample_tasks,
)
from reports.frame import ReportData
from reports.row_means import rows_by_group, task_headings
from reports.tables.layout import Column, Value
from studies.bootstrap import RESAMPLES
from studies.statistics import smallest_detectable_effect, summarize, t_test

COLUMNS = "row knock_out task delta std low high n lower detectable seeds".split()
DIFFERENCE = Column("delta", "Δ", "difference", signed=True)
"""How a difference is written, in tables and in sentences."""
Verdict = Literal["content", "scale", "none", "better without", "unknown"]


class Difference(NamedTuple):
    """What a knock-out changes on one task: mean over `n` seeds, `lower` of which lose, with the interval judged."""

    delta: float = math.nan
    low: float = math.nan
    high: float = math.nan
    n: int = 0
    lower: int = 0
    detectable: float = math.nan
    """The true difference that so many seeds find with a chance of `studies.statistics.POWER`."""

    @property
    def loses(self) -> bool:
        """Whether the whole interval lies below 0."""
        return self.n > 1 and self.high < 0

    @property
    def gains(self) -> bool:
        """Whether the whole interval lies above 0."""
        return self.n > 1 and self.low > 0

    def __str__(self) -> str:
        """`-0.10 [-0.40, +0.20]`; of one seed the number alone."""
        if self.n == 1:
            return DIFFERENCE.number(self.delta)
        return DIFFERENCE.write(Value(self.delta, low=self.low, high=self.high))


def judge(reading_off: Difference, mean_read: Difference) -> Verdict:
    """Whether a row uses its memory: the first rule that holds, by 95 % intervals on the study's metric.

    a knock-out of fewer than two seeds   unknown          no statement
    mean-read loses                       content          uses its memory
    reading-off loses                     scale            uses only the scale
    either gains                          better without   no use shown, better without
    else                                  none             no use shown

    Loses: the interval lies below 0; gains: above. A loss decides before a gain: a model that loses where all rows read
    alike depends on what each reads, though it may also do better without reading at all, which its sentence says.
    """
    if min(reading_off.n, mean_read.n) < 2:
        return "unknown"
    if mean_read.loses:
        return "content"
    if reading_off.loses:
        return "scale"
    return "better without" if reading_off.gains or mean_read.gains else "none"


def compare_knock_outs(data: ReportData, *, resamples: int = RESAMPLES) -> pd.DataFrame:
    """A line per row, knock-out and task of the main table; none for other splits than test, which have no knock-outs.

    Columns: row, knock_out, task; delta, std, low, high (mean, sample std and 95 % t-interval of the differences over
    seeds, points of F1), n, lower, detectable (see `Difference`), seeds; and low_all, high_all (95 % over documents and
    seeds), above, documents, without, as in `reports.baseline_differences.add_document_intervals`.
    """
    tasks = list(task_headings(data.study))
    runs = {row.row: row.runs for row in data.study.row_runs}
    lines: list[tuple[Any, ...]] = []
    on_test = data.memory_use and data.frame["split"].iloc[0] == "test"
    for row in rows_by_group(data.study) if on_test else ():
        for knock_out, task in product(get_args(KnockOut), tasks):
            by_seed = find_differences(data, runs.get(row, {}), knock_out, task)
            if by_seed:
                summary = summarize(by_seed.values())
                lower = sum(value < 0 for value in by_seed.values())
                measures = (summary.mean, summary.std, *t_test(summary).interval, summary.n, lower)
                detectable = summary.std * smallest_detectable_effect(summary.n)
                lines.append((row, knock_out, task, *measures, detectable, " ".join(map(str, by_seed))))
    return add_document_intervals(data, pd.DataFrame(lines, columns=COLUMNS), resamples)


def find_differences(data: ReportData, runs: Mapping[int, str], knock_out: KnockOut, task: str) -> dict[int, float]:
    """Seed -> difference, of the runs (seed -> run id) that have the knock-out."""
    differences = {}
    for seed, run_id in runs.items():
        scores = data.memory_use[run_id].knock_outs.get(knock_out) if run_id in data.memory_use else None
        if scores is not None and task in scores.difference:
            differences[seed] = scores.difference[task]
    return differences


def add_document_intervals(data: ReportData, knock_outs: pd.DataFrame, resamples: int) -> pd.DataFrame:
    """The lines with the intervals over documents and seeds, from the counts that the runs of a line keep."""
    folders = find_folders(data.frame)
    known: dict[tuple[str, str, str], tuple[Any, ...]] = {}
    rows = find_largest_differences(data.study, knock_outs, MAX_RESAMPLED_ROWS)
    several = knock_outs[(knock_outs["n"] > 1) & knock_outs["row"].isin(rows)]
    reasons: dict[tuple[str, str], str] = {}
    groups = list(several.groupby(["row", "knock_out"], sort=False))
    with progress_bar("intervals of knock-outs", len(groups)) as progress:
        for (row, knock_out), lines in groups:
            runs = [(row, int(seed)) for seed in lines["seeds"].iloc[0].split()]
            try:
                without, whole = (
                    read_seed_counts(folders, runs, f"documents.{name}.json") for name in (f"test.{knock_out}", "test")
                )
                resampled = resample_tasks(without, whole, lines["task"], resamples)
                known |= {(row, knock_out, task): columns for task, columns in resampled.items()}
            except UserError as error:
                reasons[row, knock_out] = str(error)
            progress.advance(text=row)
    added = []
    for row, knock_out, task, n in knock_outs[["row", "knock_out", "task", "n"]].itertuples(index=False):
        reason = reasons.get((row, knock_out), NOT_RESAMPLED) if n > 1 else ""
        added.append(known.get((row, knock_out, task), (math.nan, math.nan, math.nan, None, reason)))
    columns = pd.DataFrame(added, columns=DOCUMENT_COLUMNS, index=knock_outs.index).astype({"documents": "Int64"})
    return pd.concat([knock_outs, columns], axis=1)


def find_judged(data: ReportData) -> dict[str, dict[KnockOut, Difference]]:
    """Row -> knock-out -> what it changes on the study's metric.

    The interval is the one over documents and seeds where there is one, else the one over seeds.
    """
    judged: dict[str, dict[KnockOut, Difference]] = {}
    for line in data.knock_outs.to_dict("records"):
        if line["task"] == data.study.study.metric:
            ends = ("low_all", "high_all") if math.isfinite(line["low_all"]) else ("low", "high")
            names = ("delta", *ends, "n", "lower", "detectable")
            judged.setdefault(line["row"], {})[line["knock_out"]] = Difference(*(line[name] for name in names))
    return judged
