"""Every further measure of two sides: precision, recall, macro F1, coreference, lenient and diagnostic scores."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from core.metrics import TASKS, score
from reports.sides import Side
from reports.summary import LONG
from reports.table import Column, Line, Table, Value
from studies.pairing import paired_difference
from studies.statistics import summarize

PARTS = {"precision": "precision", "recall": "recall", "macro_f1": "macro F1"}
FURTHER = {
    "MUC F1": ("coreference", "muc", "f1"),
    "B³ F1": ("coreference", "b_cubed", "f1"),
    "CEAFφ4 F1": ("coreference", "ceaf_phi4", "f1"),
    "mean of the three": ("coreference", "mean", "f1"),
    "lenient entity F1": ("lenient", "entity", "f1"),
    "lenient strict relation F1": ("lenient", "relation_strict", "f1"),
    "relation F1 on gold clusters": ("on_gold", "relation", "f1"),
    "relation average precision": ("ranking", "average_precision"),
    "relation F1 at the best threshold": ("ranking", "best_f1"),
    "relation Ign-F1": ("ign", "f1"),
}
"""What is in a run's scores beyond the five tasks: name -> where in `core.metrics.Scores.extra`."""


def further_measures(a: Side, b: Side) -> Table:
    """A line per measure that both sides know at every seed, with the difference paired by seed."""
    ours, theirs = (dict(measured(side)) for side in (a, b))
    columns = [
        Column("measure", "Measure"),
        Column("a", "A", "mean"),
        Column("b", "B", "mean"),
        Column("delta", "B − A", "number", signed=True),
        Column("seeds", "95 % seeds", "interval", signed=True),
    ]
    lines, data = [], []
    for name in ours:
        if name not in theirs:
            continue
        found = paired_difference(theirs[name], ours[name])
        told = [Value(one.mean, one.std) for one in (summarize(side[name].values()) for side in (ours, theirs))]
        interval = Value(found.mean, low=found.interval.low, high=found.interval.high)
        lines.append(Line([name, *told, Value(found.mean), interval]))
        numbers = {"a": told[0].number, "b": told[1].number, "delta": found.mean}
        data.append({"measure": name, **numbers, "low": interval.low, "high": interval.high})
    caption = [
        "In percent. Macro: unweighted mean over the types in gold or prediction. Lenient: a gold entity is found "
        "by a predicted cluster that holds its first mention. The best threshold is fitted on these documents.",
    ]
    return Table("compare-further", "Further measures", columns, lines, caption, (), pd.DataFrame(data))


def measured(side: Side) -> Iterator[tuple[str, dict[int, float]]]:
    """Each measure that a side knows at every seed, with its value per seed."""
    scores = {seed: score(counts) for seed, counts in side.counts.items()}
    for task in TASKS:
        for part, told in PARTS.items():
            yield (
                f"{LONG[task]} {told}",
                {seed: float(getattr(getattr(one, task), part)) for seed, one in scores.items()},
            )
    for name, path in FURTHER.items():
        values = {seed: inside(side.extra.get(seed, {}), path) for seed in scores}
        known = {seed: float(value) for seed, value in values.items() if value is not None}
        if len(known) == len(scores):
            yield name, known


def inside(tree: Any, path: tuple[str, ...]) -> Any:
    """What lies at a path of nested dicts; None where it does not lead there."""
    for step in path:
        tree = tree.get(step) if isinstance(tree, dict) else None
    return tree
