"""Differences to the baseline: paired by seed, corrected over the family, with words for each.

Next to the interval over seeds stands one over documents and seeds: the bootstrap on the counts that runs keep.
"""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from core.errors import UserError
from core.progress import progress_bar
from reports.compare_inputs import read_counts
from reports.frame import run_facts
from reports.row_means import task_headings
from studies.bootstrap import RESAMPLES, SeedCounts, bootstrap_differences, pair_counts
from studies.record import StudyRecord
from studies.statistics import CONFIDENCE, holm, paired_difference, smallest_detectable_effect

LEVEL = 1 - CONFIDENCE
MAX_RESAMPLED_ROWS = 40
"""Rows whose documents are resampled; of a larger study those that differ most."""
NOT_RESAMPLED = "not among the rows that differ most"
COLUMNS = (
    "row baseline group task delta std low high n higher equal lower p_t p_holm p_sign_flip p_floor improvement "
    "detectable seeds left_out unlike verdict"
).split()
DOCUMENT_COLUMNS = "low_all high_all above documents without".split()


def compare_to_baselines(study: StudyRecord, frame: pd.DataFrame, *, resamples: int = RESAMPLES) -> pd.DataFrame:
    """A line per row that has a baseline and per task of the main table.

    Columns: row, baseline, group, task; delta, std, low, high (mean, sample std and 95 % t-interval of the differences,
    points of F1), n, higher, equal, lower, p_t, p_holm (Holm on p_t over all lines), p_sign_flip, p_floor, improvement,
    detectable (the true difference that the t-test would find with a chance of `studies.statistics.POWER`), seeds,
    left_out (a score in one row only), unlike (a score in both, but the seed splits or orders other documents),
    verdict; and those of `add_document_intervals`.
    """
    f1: dict[tuple[str, str], dict[int, float]] = {}
    means: dict[tuple[str, int], str] = {}
    columns = (frame[name].tolist() for name in ("row", "task", "seed", "f1", "seed_means"))
    for row, task, seed, value, meaning in zip(*columns, strict=True):
        means[row, seed] = meaning
        if math.isfinite(value):
            f1.setdefault((row, task), {})[seed] = value
    lines: list[dict[str, Any]] = []
    for row, entry in study.study.rows.items():
        baseline = study.study.row_baseline(row)
        for task in task_headings(study) if baseline != row else ():
            ours, theirs = f1.get((row, task), {}), f1.get((baseline, task), {})
            unlike = {seed for seed in ours.keys() & theirs.keys() if means[row, seed] != means[baseline, seed]}
            ours, theirs = ({s: scores[s] for s in scores if s not in unlike} for scores in (ours, theirs))
            lines.append({"row": row, "baseline": baseline, "group": entry.group, "task": task})
            lines[-1] |= compare_seeds(ours, theirs) | {"unlike": " ".join(map(str, sorted(unlike)))}
    corrected = holm({position: line["p_t"] for position, line in enumerate(lines)})
    for position, line in enumerate(lines):
        line["p_holm"] = corrected[position]
        line["verdict"] = verdict(line)
    return add_document_intervals(study, frame, pd.DataFrame(lines, columns=COLUMNS), resamples)


def compare_seeds(row: dict[int, float], baseline: dict[int, float]) -> dict[str, Any]:
    """The differences of two rows paired by seed, as columns of the comparisons."""
    paired = paired_difference(row, baseline)
    return {
        "delta": paired.mean,
        "std": paired.std,
        "low": paired.interval.low,
        "high": paired.interval.high,
        **{name: getattr(paired, name) for name in "n higher equal lower p_t p_sign_flip p_floor improvement".split()},
        "detectable": paired.std * smallest_detectable_effect(paired.n),
        "seeds": " ".join(map(str, paired.seeds)),
        "left_out": " ".join(map(str, paired.left_out)),
    }


def find_largest_differences(study: StudyRecord, compared: pd.DataFrame, most: int) -> list[str]:
    """At most so many compared rows, in the study's order: those that differ most on the study's metric."""
    rows = list(dict.fromkeys(compared["row"]))
    sizes = compared[compared["task"] == study.study.metric].set_index("row")["delta"].abs()
    largest = set(sizes.sort_values(ascending=False, kind="stable").index[:most])
    return rows if len(rows) <= most else [row for row in rows if row in largest]


def verdict(line: Mapping[Any, Any]) -> str:
    """What a comparison shows, in words: its 95 % t-interval decides, and nothing else."""
    delta, low, high = (f"{line[name]:+.2f}" for name in ("delta", "low", "high"))
    if line["n"] == 0:
        return "not compared: no seed has a score in both rows"
    if line["n"] == 1:
        return f"one seed only, Δ = {delta}: no statement about other seeds"
    if line["low"] <= 0 <= line["high"]:
        return f"no difference shown: higher in {line['higher']} of {line['n']} seeds, Δ = {delta} [{low}, {high}]"
    side = "higher" if line["low"] > 0 else "lower"
    holm = "also after Holm" if line["p_holm"] < LEVEL else "not after Holm"
    return f"{side} in {line[side]} of {line['n']} seeds, Δ = {delta} [{low}, {high}], {holm}"


def add_document_intervals(
    study: StudyRecord, frame: pd.DataFrame, compared: pd.DataFrame, resamples: int
) -> pd.DataFrame:
    """The comparisons with the columns low_all, high_all (95 %, points of F1), above, documents and without.

    They are of the same shared seeds as the line's t-interval. `without` is the reason why a line has none; its numbers
    are then missing. `above` is the share of resamples in which the row is higher.
    """
    folders = find_folders(frame)
    intervals: dict[tuple[str, str], tuple[Any, ...]] = {}
    reasons = dict.fromkeys(compared["row"], NOT_RESAMPLED)
    rows = find_largest_differences(study, compared, MAX_RESAMPLED_ROWS)
    with progress_bar("intervals over documents", len(rows)) as progress:
        for row in rows:
            of_row = compared[(compared["row"] == row) & (compared["n"] > 0)]
            try:
                if len(of_row):
                    intervals |= resample_row(of_row, folders, frame["split"].iloc[0], resamples)
            except UserError as error:
                reasons[row] = str(error)
            progress.advance(text=row)
    lines = [
        intervals.get((row, task), (math.nan, math.nan, math.nan, None, reasons[row] if n else ""))
        for row, task, n in zip(compared["row"], compared["task"], compared["n"], strict=True)
    ]
    added = pd.DataFrame(lines, columns=DOCUMENT_COLUMNS, index=compared.index).astype({"documents": "Int64"})
    return pd.concat([compared, added], axis=1)


def find_folders(frame: pd.DataFrame) -> dict[tuple[str, int], Path]:
    """(row, seed) -> run folder, of the runs that were read from one."""
    runs = run_facts(frame)
    columns = zip(runs["row"], runs["seed"], runs["folder"], strict=True)
    return {(row, int(seed)): Path(folder) for row, seed, folder in columns if folder}


def resample_row(
    of_row: pd.DataFrame, folders: Mapping[tuple[str, int], Path], split: str, resamples: int
) -> dict[tuple[str, str], tuple[Any, ...]]:
    """The columns of `add_document_intervals` by row and task; a UserError where counts are not there or differ."""
    row, baseline, seeds = (of_row[name].iloc[0] for name in ("row", "baseline", "seeds"))
    runs = [[(name, seed) for seed in map(int, seeds.split())] for name in (row, baseline)]
    ours, theirs = (read_seed_counts(folders, of_name, f"documents.{split}.json") for of_name in runs)
    resampled = resample_tasks(ours, theirs, of_row["task"], resamples)
    return {(row, task): columns for task, columns in resampled.items()}


def read_seed_counts(folders: Mapping[tuple[str, int], Path], runs: Iterable[tuple[str, int]], file: str) -> SeedCounts:
    """Seed -> counts per document, of runs (row, seed) from the file of that name; a UserError where one has none."""
    counts = {}
    for run in runs:
        if run not in folders:
            raise UserError("the counts per document lie in the run folders, which were not read")
        if not (folders[run] / file).is_file():
            raise UserError(f"{file} is not there for seed {run[1]}")
        counts[run[1]] = read_counts(folders[run] / file)
    return counts


def resample_tasks(
    ours: SeedCounts, theirs: SeedCounts, tasks: Iterable[str], resamples: int
) -> dict[str, tuple[Any, ...]]:
    """Task -> the values of `DOCUMENT_COLUMNS`; a UserError where the documents or their gold differ."""
    pairs = {task: pair_counts(ours, theirs, task) for task in tasks}
    differences = bootstrap_differences([(pair.row, pair.baseline) for pair in pairs.values()], resamples=resamples)
    return {
        task: (*difference.interval, difference.above, difference.documents, "")
        for task, difference in zip(pairs, differences, strict=True)
    }
