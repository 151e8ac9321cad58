"""Beside the interval over seeds one over documents and seeds: the bootstrap on the counts that runs keep."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from core.errors import UserError
from core.metrics import UNTYPED, DocumentCounts, add
from core.progress import meter
from reports.comparison import most_different
from reports.load import runs_of
from reports.sides import read_counts
from studies.bootstrap import RESAMPLES, BootstrapDifference, bootstrap_differences
from studies.counts import SeedCounts, pair_counts
from studies.study_record import StudyRecord

MOST_PAIRS = 40
"""Pairs of rows whose documents are resampled; of a larger study those that differ most."""
UNREAD = "not among the pairs that differ most"


def with_document_intervals(
    study: StudyRecord, frame: pd.DataFrame, compared: pd.DataFrame, *, resamples: int = RESAMPLES
) -> pd.DataFrame:
    """The comparisons with the columns low_all, high_all (95 %, points of F1), above, documents and without.

    They are of the same shared seeds as the line's t-interval. `without` says in words why a line has none; its numbers
    are then missing. `above` is the share of resamples in which the row is higher.
    """
    folders, split = folders_of(frame), frame["split"].iloc[0]
    kept = most_different(study, compared, MOST_PAIRS)
    found: dict[tuple[str, str], BootstrapDifference] = {}
    without: dict[str, str] = {}
    with meter("intervals over documents", len(kept)) as done:
        for row in kept:
            of_row = compared[(compared["row"] == row) & (compared["n"] > 0)]
            if len(of_row):
                try:
                    found |= resampled(of_row, folders, split, resamples)
                except UserError as error:
                    without[row] = str(error)
            done.advance(text=row)
    lines: list[dict[str, Any]] = []
    for row, task, n in zip(compared["row"], compared["task"], compared["n"], strict=True):
        one = found.get((row, task))
        told = "" if one or not n else without.get(row, UNREAD)
        if one is None:
            numbers = {"low_all": math.nan, "high_all": math.nan, "above": math.nan, "documents": None}
        else:
            numbers = {"low_all": one.interval.low, "high_all": one.interval.high, "above": one.above}
            numbers["documents"] = one.documents
        lines.append({**numbers, "without": told})
    columns = "low_all high_all above documents without".split()
    added = pd.DataFrame(lines, columns=columns, index=compared.index).astype({"documents": "Int64"})
    return pd.concat([compared, added], axis=1)


def resampled(
    of_row: pd.DataFrame, folders: Mapping[tuple[str, int], Path], split: str, resamples: int
) -> dict[tuple[str, str], BootstrapDifference]:
    """The bootstrap of every task of one row against its baseline; a UserError where counts are not there or differ."""
    row, baseline, seeds = (of_row[name].iloc[0] for name in ("row", "baseline", "seeds"))
    shared = [int(seed) for seed in seeds.split()]
    ours, theirs = (stored(one, shared, folders, split) for one in (row, baseline))
    pairs = [pair_counts(ours, theirs, task) for task in of_row["task"]]
    differences = bootstrap_differences([(pair.row, pair.baseline) for pair in pairs], resamples=resamples)
    return {(row, task): one for task, one in zip(of_row["task"], differences, strict=True)}


def stored(row: str, seeds: list[int], folders: Mapping[tuple[str, int], Path], split: str) -> SeedCounts:
    """The counts per document of a row's seeds, types summed."""
    found = {}
    for seed in seeds:
        if (row, seed) not in folders:
            raise UserError("the counts per document lie in the run folders, which were not read")
        counts = read_counts(folders[row, seed] / f"documents.{split}.json")
        found[seed] = [
            DocumentCounts(one.id, {task: {UNTYPED: add(list(typed.values()))} for task, typed in one.counts.items()})
            for one in counts
        ]
    return found


def folders_of(frame: pd.DataFrame) -> dict[tuple[str, int], Path]:
    """Row and seed -> the run's folder, of runs that were read from one."""
    runs = runs_of(frame)
    runs = runs[runs["folder"] != ""]
    return {
        (row, int(seed)): Path(folder)
        for row, seed, folder in zip(runs["row"], runs["seed"], runs["folder"], strict=True)
    }
