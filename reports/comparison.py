"""Rows against their baselines: differences paired by seed, corrected over the family; and what a rule says of each."""

import math
from typing import Any, NamedTuple

import pandas as pd

from reports.baselines import TABLE
from reports.summary import SHORT
from studies.corrections import holm
from studies.pairing import paired_difference
from studies.statistics import CONFIDENCE, welch
from studies.study_record import StudyRecord

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


def comparisons(study: StudyRecord, frame: pd.DataFrame, *, score: str = "f1") -> pd.DataFrame:
    """A line per row that has a baseline and per task of the main table.

    Columns: row, baseline, group, task; delta, low, high (95 % t-interval of the differences, points of F1), n, higher,
    equal, lower, p_t, p_holm (Holm on p_t over all lines), p_sign_flip, p_floor, improvement, seeds, left_out, verdict.
    """
    values: dict[tuple[str, str], dict[int, float]] = {}
    for (row, task), part in frame[frame[score].notna()].groupby(["row", "task"], sort=False):
        values[row, task] = dict(zip(part["seed"].astype(int), part[score].astype(float), strict=True))
    lines: list[dict[str, Any]] = []
    for row in study.study.rows:
        baseline = study.study.baseline_of(row)
        for task in SHORT if baseline != row else ():
            found = paired_difference(values.get((row, task), {}), values.get((baseline, task), {}))
            named = {"row": row, "baseline": baseline, "group": study.study.rows[row].group, "task": task}
            numbers = {"delta": found.mean, "low": found.interval.low, "high": found.interval.high, "n": found.n}
            counts = {"higher": found.higher, "equal": found.equal, "lower": found.lower}
            tests = {"p_t": found.p_t, "p_sign_flip": found.p_sign_flip, "p_floor": found.p_floor}
            seeds = {"seeds": " ".join(map(str, found.seeds)), "left_out": " ".join(map(str, found.left_out))}
            lines.append({**named, **numbers, **counts, **tests, "improvement": found.improvement, **seeds})
    columns = "row baseline group task delta low high n higher equal lower p_t p_sign_flip p_floor improvement seeds"
    compared = pd.DataFrame(lines, columns=[*columns.split(), "left_out"])
    corrected = holm(dict(enumerate(compared["p_t"].astype(float))))
    compared.insert(compared.columns.get_loc("p_t") + 1, "p_holm", [corrected[i] for i in range(len(compared))])
    compared["verdict"] = [verdict(line) for line in compared.to_dict("records")]
    return compared


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


def published_comparisons() -> pd.DataFrame:
    """What the ± of the published table can support: Welch's interval of each row less its baseline, Holm over all.

    Columns: row, title, group, task, mean, std, n, delta, low, high, p, p_holm; baselines have no delta.
    """
    named = {row.name: row for row in TABLE}
    lines = []
    for row in TABLE:
        for task, summary in row.scores.items():
            test = welch(summary, named[row.baseline].scores[task]) if row.baseline != row.name else None
            low, high = test.interval if test else (math.nan, math.nan)
            known = {"delta": test.estimate if test else math.nan, "low": low, "high": high}
            own = {"row": row.name, "title": row.title, "group": row.group, "task": task}
            scores = {"mean": summary.mean, "std": summary.std, "n": summary.n}
            lines.append({**own, **scores, **known, "p": test.p if test else math.nan})
    compared = pd.DataFrame(lines)
    corrected = holm(dict(enumerate(compared["p"])))
    return compared.assign(p_holm=[corrected[i] for i in range(len(compared))])
