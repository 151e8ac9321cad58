"""Memory use of a study's rows: what knock-outs change, seed by seed, and a verdict for each row from one rule table.

A knock-out takes reading away from trained weights (`core.records.memory_use`), so a difference here is the run without
(a part of) reading minus the same run whole: below 0 the model loses.
"""

import math
from collections.abc import Mapping
from itertools import product
from typing import Any, Literal, NamedTuple, get_args

import pandas as pd

from core.records.memory_use import KnockOut
from reports.baseline_differences import add_document_intervals, find_folders, read_seed_counts
from reports.frame import ReportData
from reports.row_means import rows_by_group, task_headings
from reports.tables.layout import Column, Value
from studies.bootstrap import RESAMPLES, SeedCounts
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
        """`−0.10 [−0.40, +0.20]`; of one seed the number alone."""
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
    folders = find_folders(data.frame)

    def read_pair(line: pd.Series) -> tuple[SeedCounts, SeedCounts]:
        files = (f"documents.test.{line['knock_out']}.json", "documents.test.json")
        without, whole = (read_seed_counts(folders, line["row"], line["seeds"], file) for file in files)
        return without, whole

    names = ["row", "knock_out", "seeds"]
    return add_document_intervals(data.study, pd.DataFrame(lines, columns=COLUMNS), names, read_pair, resamples)


def find_differences(data: ReportData, runs: Mapping[int, str], knock_out: KnockOut, task: str) -> dict[int, float]:
    """Seed -> difference, of the runs (seed -> run id) that have the knock-out."""
    differences = {}
    for seed, run_id in runs.items():
        scores = data.memory_use[run_id].knock_outs.get(knock_out) if run_id in data.memory_use else None
        if scores is not None and task in scores.difference:
            differences[seed] = scores.difference[task]
    return differences


def find_judged(data: ReportData) -> dict[str, dict[KnockOut, Difference]]:
    """Row -> knock-out -> what it changes on the study's metric, where there is any.

    The interval is the one over documents and seeds where there is one, else the one over seeds.
    """
    judged: dict[str, dict[KnockOut, Difference]] = {}
    for line in data.knock_outs.to_dict("records"):
        if line["task"] == data.study.study.metric:
            ends = ("low_all", "high_all") if line["n"] > 1 and math.isfinite(line["low_all"]) else ("low", "high")
            difference = Difference(*(line[name] for name in ("delta", *ends, "n", "lower", "detectable")))
            judged.setdefault(line["row"], {})[line["knock_out"]] = difference
    return judged
