"""Two sides on the same gold: all measures, paired statistics, and where they differ.

Every further measure of two sides: precision, recall, macro F1, coreference, lenient and diagnostic scores.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from core.errors import UserError
from core.scoring.metrics import (
    HEADLINE,
    TASKS,
    DocumentCounts,
    TypeCounts,
    add,
    prf,
    score,
    total,
)
from reports.captions import coverage_sentence, format_ranges
from reports.compare_inputs import ComparedSystem
from reports.row_means import LONG
from reports.tables.breakdowns import DISTANCES
from reports.tables.layout import Column, Line, Table, Value, sign_flip
from studies.bootstrap import RESAMPLES, bootstrap_difference, pair_counts
from studies.statistics import paired_difference, summarize

BY_DISTANCE = "by_sentence_distance"
SHOWN = 10
"""Relation types and documents that are listed: those that differ most."""
ONE_EACH = "One run on each side: the intervals speak of other documents, nothing is said of other seeds."


def pair_systems(a: ComparedSystem, b: ComparedSystem) -> tuple[ComparedSystem, ComparedSystem]:
    """Both sides on the seeds that they share; two single runs are one pair, whatever their seeds.

    Raises a UserError where several seeds stand on a side and none is shared.
    """
    if len(a.counts) == len(b.counts) == 1:
        return a.under({next(iter(a.counts)): 0}), b.under({next(iter(b.counts)): 0})
    shared = sorted(a.counts.keys() & b.counts.keys())
    if not shared:
        raise UserError(
            f"{a.label} (seeds {format_ranges(a.counts)}) and {b.label} (seeds {format_ranges(b.counts)}) share no "
            "seed: "
            "differences are paired by seed; run the missing ones, or compare two single runs"
        )
    same = {seed: seed for seed in shared}
    return a.under(same), b.under(same)


def measures(a: ComparedSystem, b: ComparedSystem, *, resamples: int = RESAMPLES) -> Table:
    """F1 of all tasks on both sides and their difference: per seed, and over documents and seeds together."""
    columns = [
        Column("task", "Task"),
        Column("a", "A: F1", "mean"),
        Column("b", "B: F1", "mean"),
        Column("delta", "B − A", "number", signed=True),
        Column("seeds", "95 % seeds", "interval", signed=True),
        Column("bootstrap", "95 % documents and seeds", "interval", signed=True),
        Column("higher", "B higher"),
        Column("p_sign_flip", "Sign-flip"),
    ]
    scores = {side.label: {seed: score(counts) for seed, counts in side.counts.items()} for side in (a, b)}
    lines, data = [], []
    for task in TASKS:
        ours, theirs = (
            {seed: float(getattr(one, task).f1) for seed, one in scores[side.label].items()} for side in (a, b)
        )
        found = paired_difference(theirs, ours)
        pair = pair_counts(b.counts, a.counts, task)
        boot = bootstrap_difference(pair.row, pair.baseline, resamples=resamples).interval
        told = [Value(one.mean, one.std) for one in (summarize(ours.values()), summarize(theirs.values()))]
        cells: list[Value | str] = [
            LONG[task],
            *told,
            Value(found.mean),
            Value(found.mean, low=found.interval.low, high=found.interval.high),
            Value(found.mean, low=boot.low, high=boot.high),
            f"{found.higher}/{found.n}",
            sign_flip(found.p_sign_flip, found.p_floor, found.n),
        ]
        lines.append(Line(cells))
        intervals = {"low": found.interval.low, "high": found.interval.high, "low_all": boot.low, "high_all": boot.high}
        numbers = {"a": told[0].number, "b": told[1].number, "delta": found.mean, **intervals}
        data.append({"task": task, **numbers, "n": found.n, "p_sign_flip": found.p_sign_flip})
    n = len(a.counts)
    documents = len(next(iter(a.counts.values())))
    caption = [
        f"A is {a.label}, B is {b.label}: F1 in percent on the same {documents} documents; ±: sample standard "
        f"deviation over {n} shared seed{'s' if n > 1 else ''} (ddof 1).",
        "95 % seeds: t-interval of the differences paired by seed. 95 % documents and seeds: hierarchical paired "
        f"bootstrap, {resamples} resamples.",
        coverage_sentence(),
        "Sign-flip: exact two-sided p, in brackets the smallest that so many seeds can reach.",
    ]
    notes = [ONE_EACH] if n == 1 else []
    return Table("compare", f"{a.label} and {b.label}", columns, lines, caption, notes, pd.DataFrame(data))


def by_type(a: ComparedSystem, b: ComparedSystem) -> Table:
    """Strict relation types whose F1, counts summed over seeds, differ most."""
    ours, theirs = (total(every(side), HEADLINE) for side in (a, b))
    none = TypeCounts(0, 0, 0)
    names = sorted(ours.keys() | theirs.keys())
    data = parts_of("type", {name: (ours.get(name, none), theirs.get(name, none)) for name in names}, len(a.counts))
    data = data.reindex(data["delta"].abs().sort_values(ascending=False, kind="stable").index)
    caption = [f"Strict relation F1, counts summed over seeds; the {SHOWN} types that differ most."]
    columns = part_columns("type", "Relation type")
    return Table("compare-types", "Relation types", columns, lines_of(data, "type"), caption, (), data)


def by_distance(a: ComparedSystem, b: ComparedSystem) -> Table:
    """Strict relation F1 within and across sentences, counts summed over the seeds of which both sides know it."""
    apart = [{seed: one[BY_DISTANCE] for seed, one in side.extra.items() if BY_DISTANCE in one} for side in (a, b)]
    seeds = sorted(apart[0].keys() & apart[1].keys())
    counted = {
        told: tuple(
            add([TypeCounts(*(side[seed][name][part] for part in TypeCounts._fields)) for seed in seeds])
            for side in apart
        )
        for name, told in DISTANCES.items()
    }
    data = parts_of("distance", counted if seeds else {}, len(seeds))
    caption = [
        "Strict relation F1, counts summed over seeds. Within a sentence: some mention of the head and some mention of "
        "the tail share one; a false positive is judged by its own mentions."
    ]
    columns, lines = part_columns("distance", "Head and tail"), lines_of(data, "distance", equal=True)
    return Table("compare-distances", "Sentence distance", columns, lines, caption, (), data)


def parts_of(key: str, counted: Mapping[str, Sequence[TypeCounts]], seeds: int) -> pd.DataFrame:
    """F1 of both sides and their difference per part, from its counts on A and on B summed over seeds."""
    rows = [
        {key: name, "gold": (first.tp + first.fn) / seeds, "a": prf(first).f1, "b": prf(second).f1}
        for name, (first, second) in counted.items()
    ]
    data = pd.DataFrame(rows, columns=[key, "gold", "a", "b"])
    data["delta"] = data["b"] - data["a"]
    return data


def part_columns(key: str, heading: str) -> list[Column]:
    """The columns of a table of parts."""
    return [
        Column(key, heading),
        Column("gold", "In gold", "number", decimals=0),
        Column("a", "A: F1", "number"),
        Column("b", "B: F1", "number"),
        Column("delta", "B − A", "number", signed=True),
    ]


def by_document(a: ComparedSystem, b: ComparedSystem) -> Table:
    """Documents in which the sides' strict relations differ most: right ones and wrong ones, mean over seeds."""
    named: dict[str, dict[str, float]] = {}
    for side, letter in ((a, "a"), (b, "b")):
        for document in every(side):
            tp, fp, _ = add(list(document.counts[HEADLINE].values()))
            line = named.setdefault(document.id, dict.fromkeys(("a_right", "a_wrong", "b_right", "b_wrong"), 0.0))
            line[f"{letter}_right"] += tp / len(side.counts)
            line[f"{letter}_wrong"] += fp / len(side.counts)
    data = pd.DataFrame([{"document": name, **line} for name, line in named.items()])
    data["delta"] = (data["b_right"] - data["b_wrong"]) - (data["a_right"] - data["a_wrong"])
    data = data.reindex(data["delta"].abs().sort_values(ascending=False, kind="stable").index)
    numbers = {"a_right": "A right", "a_wrong": "A wrong", "b_right": "B right", "b_wrong": "B wrong"}
    columns = [Column("document", "Document")]
    columns += [Column(key, heading, "number", decimals=1) for key, heading in numbers.items()]
    columns.append(Column("delta", "B − A", "number", decimals=1, signed=True))
    caption = [f"Predicted strict relations per document, mean over seeds; B − A: right less wrong; {SHOWN} documents."]
    return Table("compare-documents", "Documents", columns, lines_of(data, "document"), caption, (), data)


def lines_of(data: pd.DataFrame, name: str, *, equal: bool = False) -> list[Line]:
    """The first lines of a frame whose first column is text and whose others are numbers; `equal` ones on wish."""
    return [
        Line([str(line[name]), *(Value(float(value)) for key, value in line.items() if key != name)])
        for line in data.head(SHOWN).to_dict("records")
        if equal or not math.isclose(line["delta"], 0.0, abs_tol=1e-9)
    ]


def every(side: ComparedSystem) -> Sequence[DocumentCounts]:
    """The counts of all seeds, one after another."""
    return [document for counts in side.counts.values() for document in counts]


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
"""What is in a run's scores beyond the five tasks: name -> where in `core.scoring.metrics.Scores.extra`."""


def further_measures_table(a: ComparedSystem, b: ComparedSystem) -> Table:
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


def measured(side: ComparedSystem) -> Iterator[tuple[str, dict[int, float]]]:
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
