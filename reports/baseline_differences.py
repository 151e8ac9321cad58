"""Differences to the baseline: paired by seed, corrected over the family, with words for each.

Next to the interval over seeds stands one over documents and seeds: the bootstrap on the counts that runs keep.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from core.errors import UserError
from core.progress import progress_bar
from reports.compare_inputs import read_counts, read_external_row
from reports.frame import run_facts
from reports.row_means import task_headings
from studies.bootstrap import RESAMPLES, SeedCounts, bootstrap_differences, pair_counts
from studies.record import StudyRecord
from studies.statistics import CONFIDENCE, holm, paired_difference, smallest_detectable_effect

LEVEL = 1 - CONFIDENCE
Direction = Literal["higher", "lower", "none", "unknown"]
MAX_RESAMPLED_ROWS = 40
"""Rows whose documents are resampled; of a larger study those that differ most."""
NOT_RESAMPLED = "not among the rows that differ most"
COLUMNS = (
    "row baseline group task delta std low high n higher equal lower p_t p_holm p_sign_flip p_floor improvement "
    "detectable seeds left_out unlike verdict"
).split()


def compare_to_baselines(
    study: StudyRecord, frame: pd.DataFrame, *, tasks: Iterable[str] = (), resamples: int = RESAMPLES
) -> pd.DataFrame:
    """A line per row and baseline of it, and per task of `task_headings` and of `tasks`.

    Holm's family is all lines, so that a table which shows fewer rows or tasks has the same p.

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
    folders, file = find_folders(frame), f"documents.{frame['split'].iloc[0]}.json"
    read = partial(read_row_counts, study, folders, file=file)
    family = dict.fromkeys([*task_headings(study), *tasks])
    for row, entry in study.study.rows.items():
        for baseline, task in product(study.study.row_baselines(row), family):
            ours, theirs = f1.get((row, task), {}), f1.get((baseline, task), {})
            unlike = {seed for seed in ours.keys() & theirs.keys() if means[row, seed] != means[baseline, seed]}
            if study.study.rows[row].predictions or study.study.rows[baseline].predictions:
                unlike = find_unlike_documents(read, row, baseline, task, ours.keys() & theirs.keys())
            ours, theirs = ({s: scores[s] for s in scores if s not in unlike} for scores in (ours, theirs))
            lines.append({"row": row, "baseline": baseline, "group": entry.group, "task": task})
            lines[-1] |= compare_seeds(ours, theirs) | {"unlike": " ".join(map(str, sorted(unlike)))}
    corrected = holm({position: line["p_t"] for position, line in enumerate(lines)})
    for position, line in enumerate(lines):
        line["p_holm"] = corrected[position]
        line["verdict"] = verdict(line)

    def read_pair(line: pd.Series) -> tuple[SeedCounts, SeedCounts]:
        row, baseline = (read(line[name], line["seeds"]) for name in ("row", "baseline"))
        return row, baseline

    return add_document_intervals(
        study, pd.DataFrame(lines, columns=COLUMNS), ["row", "baseline"], read_pair, resamples
    )


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
    on_metric = compared[compared["task"] == study.study.metric]
    sizes = on_metric["delta"].abs().groupby(on_metric["row"], sort=False).max()
    largest = set(sizes.sort_values(ascending=False, kind="stable").index[:most])
    return rows if len(rows) <= most else [row for row in rows if row in largest]


def find_direction(line: Mapping[Any, Any]) -> Direction:
    """What a comparison shows: its 95 % t-interval decides, and nothing else; unknown without two shared seeds."""
    if line["n"] < 2:
        return "unknown"
    if line["low"] <= 0 <= line["high"]:
        return "none"
    return "higher" if line["low"] > 0 else "lower"


def verdict(line: Mapping[Any, Any]) -> str:
    """What a comparison shows, in words."""
    delta, low, high = (f"{line[name]:+.2f}" for name in ("delta", "low", "high"))
    if line["n"] == 0:
        return "not compared: no seed has a score in both rows"
    if line["n"] == 1:
        return f"one seed only, Δ = {delta}: no statement about other seeds"
    side = find_direction(line)
    if side == "none":
        return f"no difference shown: higher in {line['higher']} of {line['n']} seeds, Δ = {delta} [{low}, {high}]"
    holm = "also after Holm" if line["p_holm"] < LEVEL else "not after Holm"
    return f"{side} in {line[side]} of {line['n']} seeds, Δ = {delta} [{low}, {high}], {holm}"


def add_document_intervals(
    study: StudyRecord,
    differences: pd.DataFrame,
    names: list[str],
    read_pair: Callable[[pd.Series], tuple[SeedCounts, SeedCounts]],
    resamples: int,
) -> pd.DataFrame:
    """Differences, a line per task, with the columns low_all, high_all (95 %, points of F1), above, documents, without.

    `names` are the columns, row the first, that name what is compared; `read_pair` reads the counts of both sides, of
    the seeds of the line's t-interval, or raises a UserError. `without` is then that reason, and the numbers are
    missing. `above` is the share of resamples in which the difference is above 0.
    """
    known: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    reasons: dict[tuple[Any, ...], str] = {}
    rows = find_largest_differences(study, differences, MAX_RESAMPLED_ROWS)
    compared = differences[differences["row"].isin(rows) & (differences["n"] > 0)]
    groups = list(compared.groupby(names, sort=False))
    with progress_bar("intervals over documents", len(groups)) as progress:
        for key, lines in groups:
            try:
                resampled = resample_tasks(*read_pair(lines.iloc[0]), lines["task"], resamples)
                known |= {(*key, task): columns for task, columns in resampled.items()}
            except UserError as error:
                reasons[key] = str(error)
            progress.advance(text=str(key[0]))
    added = [
        known.get(
            (*key, task), (math.nan, math.nan, math.nan, None, reasons.get(tuple(key), NOT_RESAMPLED) if n else "")
        )
        for *key, task, n in differences[[*names, "task", "n"]].itertuples(index=False)
    ]
    columns = "low_all high_all above documents without".split()
    frame = pd.DataFrame(added, columns=columns, index=differences.index).astype({"documents": "Int64"})
    return pd.concat([differences, frame], axis=1)


def find_folders(frame: pd.DataFrame) -> dict[tuple[str, int], Path]:
    """(row, seed) -> run folder, of the runs that were read from one."""
    runs = run_facts(frame)
    columns = zip(runs["row"], runs["seed"], runs["folder"], strict=True)
    return {(row, int(seed)): Path(folder) for row, seed, folder in columns if folder}


def read_row_counts(
    study: StudyRecord, folders: Mapping[tuple[str, int], Path], row: str, seeds: str, *, file: str
) -> SeedCounts:
    """Seed -> counts per document of a row, from its runs or, of an external row, from its prediction files."""
    if not study.study.rows[row].predictions:
        return read_seed_counts(folders, row, seeds, file)
    counts = read_external_row(study.study, row).counts
    return {seed: counts[seed] for seed in map(int, seeds.split())}


def find_unlike_documents(
    read: Callable[[str, str], SeedCounts], row: str, baseline: str, task: str, seeds: Iterable[int]
) -> set[int]:
    """The seeds, all or none, on which two rows were not scored on the same documents with the same gold of a task.

    Rows of which that is not known, as their counts per document are not here, are taken as unlike.
    """
    listed = " ".join(map(str, seeds))
    try:
        pair_counts(read(row, listed), read(baseline, listed), task)
    except UserError:
        return set(seeds)
    return set()


def read_seed_counts(folders: Mapping[tuple[str, int], Path], row: str, seeds: str, file: str) -> SeedCounts:
    """Seed -> counts per document, from the file of that name in the row's runs; a UserError where one has none."""
    counts = {}
    for seed in map(int, seeds.split()):
        if (row, seed) not in folders:
            raise UserError("the counts per document lie in the run folders, which were not read")
        path = folders[row, seed] / file
        if not path.is_file():
            raise UserError(f"{file} is not there for seed {seed}")
        counts[seed] = read_counts(path)
    return counts


def resample_tasks(
    ours: SeedCounts, theirs: SeedCounts, tasks: Iterable[str], resamples: int
) -> dict[str, tuple[Any, ...]]:
    """Task -> low_all, high_all, above, documents, without; a UserError where the documents or their gold differ."""
    pairs = {task: pair_counts(ours, theirs, task) for task in tasks}
    differences = bootstrap_differences([(pair.row, pair.baseline) for pair in pairs.values()], resamples=resamples)
    return {
        task: (*difference.interval, difference.above, difference.documents, "")
        for task, difference in zip(pairs, differences, strict=True)
    }
