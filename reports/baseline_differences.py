"""Rows against their baselines: differences paired by seed, corrected over the family; and what a rule says of each.

Beside the interval over seeds one over documents and seeds: the bootstrap on the counts that runs keep.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from core.errors import UserError
from core.progress import progress_bar
from core.scoring.metrics import UNTYPED, DocumentCounts, add
from reports.compare_inputs import read_counts
from reports.frame import run_facts
from reports.row_means import task_headings
from studies.bootstrap import RESAMPLES, BootstrapDifference, SeedCounts, bootstrap_differences, pair_counts
from studies.record import StudyRecord
from studies.statistics import CONFIDENCE, holm, paired_difference, smallest_detectable_effect

LEVEL = 1 - CONFIDENCE


class Rule(NamedTuple):
    """A line of the rule table: when it applies, and the words it gives, their numbers still in braces."""

    when: str
    words: str

    @property
    def shown(self) -> str:
        """The words with letters for the numbers, as the page prints the rule."""
        return self.words.format(k="K", n="N", delta="D", low="L", high="H", holm="also, or not, after Holm")


NOT_COMPARED = Rule("no seed is shared", "not compared: no seed has a score in both rows")
ONE_SEED = Rule("one seed is shared", "one seed only, Δ = {delta}: nothing is said of other seeds")
HIGHER = Rule("the 95 % interval lies above 0", "higher in {k} of {n} seeds, Δ = {delta} [{low}, {high}], {holm}")
LOWER = Rule("the 95 % interval lies below 0", "lower in {k} of {n} seeds, Δ = {delta} [{low}, {high}], {holm}")
UNSHOWN = Rule(
    "the 95 % interval holds 0", "no difference shown: higher in {k} of {n} seeds, Δ = {delta} [{low}, {high}]"
)
RULES = (NOT_COMPARED, ONE_SEED, HIGHER, LOWER, UNSHOWN)
"""Which words a comparison gets; nothing else decides them."""


COLUMNS = (
    "row baseline group task delta std low high n higher equal lower p_t p_holm p_sign_flip p_floor improvement "
    "detectable seeds left_out unlike verdict"
).split()


def comparisons(study: StudyRecord, frame: pd.DataFrame, *, score: str = "f1") -> pd.DataFrame:
    """A line per row that has a baseline and per task of the main table.

    Columns: row, baseline, group, task; delta, std, low, high (mean, sample std and 95 % t-interval of the differences,
    points of F1), n, higher, equal, lower, p_t, p_holm (Holm on p_t over all lines), p_sign_flip, p_floor, improvement,
    detectable (the true difference that the t-test would find with a chance of `studies.statistics.POWER`), seeds,
    left_out (a score in one row only), unlike (a score in both, but the seed splits or orders other documents),
    verdict.
    """
    values: dict[tuple[str, str], dict[int, float]] = {}
    means: dict[tuple[str, int], str] = {}
    columns = (frame[name].tolist() for name in ("row", "task", "seed", score, "seed_means"))
    for row, task, seed, value, meaning in zip(*columns, strict=True):
        means[row, seed] = meaning
        if math.isfinite(value):
            values.setdefault((row, task), {})[seed] = value
    lines: list[dict[str, Any]] = []
    for row in study.study.rows:
        baseline = study.study.row_baseline(row)
        for task in task_headings(study) if baseline != row else ():
            ours, theirs = values.get((row, task), {}), values.get((baseline, task), {})
            unlike = [seed for seed in ours.keys() & theirs.keys() if means[row, seed] != means[baseline, seed]]
            row_values, baseline_values = ({s: one[s] for s in one if s not in unlike} for one in (ours, theirs))
            found = paired_difference(row_values, baseline_values)
            named = {"row": row, "baseline": baseline, "group": study.study.rows[row].group, "task": task}
            numbers = {"delta": found.mean, "std": found.std, "low": found.interval.low, "high": found.interval.high}
            counts = {"n": found.n, "higher": found.higher, "equal": found.equal, "lower": found.lower}
            tests = {"p_t": found.p_t, "p_sign_flip": found.p_sign_flip, "p_floor": found.p_floor}
            power = {"improvement": found.improvement, "detectable": found.std * smallest_detectable_effect(found.n)}
            told = {"seeds": found.seeds, "left_out": found.left_out, "unlike": sorted(unlike)}
            seeds = {name: " ".join(map(str, some)) for name, some in told.items()}
            lines.append({**named, **numbers, **counts, **tests, **power, **seeds})
    corrected = holm({place: line["p_t"] for place, line in enumerate(lines)})
    for place, line in enumerate(lines):
        line["p_holm"] = corrected[place]
        line["verdict"] = verdict(line)
    return pd.DataFrame(lines, columns=COLUMNS)


def find_largest_differences(study: StudyRecord, compared: pd.DataFrame, most: int) -> list[str]:
    """At most so many compared rows, in the study's order: those that differ most on the study's metric."""
    rows = list(dict.fromkeys(compared["row"]))
    if len(rows) <= most:
        return rows
    sizes = compared[compared["task"] == study.study.metric].set_index("row")["delta"].abs()
    kept = set(sizes.sort_values(ascending=False, kind="stable").index[:most])
    return [row for row in rows if row in kept]


def verdict(line: dict[Any, Any]) -> str:
    """The words that `RULES` gives a comparison."""
    if line["n"] == 0:
        rule = NOT_COMPARED
    elif line["n"] == 1:
        rule = ONE_SEED
    elif line["low"] <= 0 <= line["high"]:
        rule = UNSHOWN
    else:
        rule = HIGHER if line["low"] > 0 else LOWER
    return rule.words.format(
        k=line["lower" if rule is LOWER else "higher"],
        n=line["n"],
        holm="also after Holm" if line["p_holm"] < LEVEL else "not after Holm",
        **{name: f"{line[name]:+.2f}" for name in ("delta", "low", "high")},
    )


MAX_RESAMPLED_ROWS = 40
"""Pairs of rows whose documents are resampled; of a larger study those that differ most."""
NOT_RESAMPLED = "not among the pairs that differ most"


def add_document_intervals(
    study: StudyRecord, frame: pd.DataFrame, compared: pd.DataFrame, *, resamples: int = RESAMPLES
) -> pd.DataFrame:
    """The comparisons with the columns low_all, high_all (95 %, points of F1), above, documents and without.

    They are of the same shared seeds as the line's t-interval. `without` says in words why a line has none; its numbers
    are then missing. `above` is the share of resamples in which the row is higher.
    """
    folders, split = find_run_folders(frame), frame["split"].iloc[0]
    kept = find_largest_differences(study, compared, MAX_RESAMPLED_ROWS)
    found: dict[tuple[str, str], BootstrapDifference] = {}
    without: dict[str, str] = {}
    with progress_bar("intervals over documents", len(kept)) as done:
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
        told = "" if one or not n else without.get(row, NOT_RESAMPLED)
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


def find_run_folders(frame: pd.DataFrame) -> dict[tuple[str, int], Path]:
    """Row and seed -> the run's folder, of runs that were read from one."""
    runs = run_facts(frame)
    runs = runs[runs["folder"] != ""]
    return {
        (row, int(seed)): Path(folder)
        for row, seed, folder in zip(runs["row"], runs["seed"], runs["folder"], strict=True)
    }
