"""Comparison of two systems on the same gold: all measures with paired statistics, and where the two differ."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from core.errors import UserError
from core.scoring.metrics import HEADLINE, TASKS, DocumentCounts, TypeCounts, add, prf, score, total
from reports.captions import coverage_sentence, format_ranges
from reports.compare_inputs import ComparedSystem
from reports.row_means import TASK_NAMES
from reports.tables.breakdowns import DISTANCES
from reports.tables.layout import DASH, Cell, Column, Line, Table, Value
from studies.bootstrap import RESAMPLES, bootstrap_difference, pair_counts
from studies.statistics import PairedDifference, paired_difference, summarize

MAX_LINES = 10
"""Relation types and documents that are listed: those that differ most."""
MEASURES = {"precision": "precision", "recall": "recall", "macro_f1": "macro F1"}
EXTRA_MEASURES = {
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
"""Scores beyond the five tasks: name -> where in `core.scoring.metrics.Scores.extra`."""


def pair_systems(a: ComparedSystem, b: ComparedSystem) -> tuple[ComparedSystem, ComparedSystem]:
    """Both systems on the seeds that they share; two single runs are one pair, whatever their seeds.

    Raises a UserError where a system has several seeds and none is shared.
    """
    if len(a.counts) == len(b.counts) == 1:
        return a.select_seeds({next(iter(a.counts)): 0}), b.select_seeds({next(iter(b.counts)): 0})
    shared = {seed: seed for seed in sorted(a.counts.keys() & b.counts.keys())}
    if not shared:
        raise UserError(
            f"{a.label} (seeds {format_ranges(a.counts)}) and {b.label} (seeds {format_ranges(b.counts)}) share no "
            "seed: differences are paired by seed; run the missing ones, or compare two single runs"
        )
    return a.select_seeds(shared), b.select_seeds(shared)


def f1_table(a: ComparedSystem, b: ComparedSystem, *, resamples: int = RESAMPLES) -> Table:
    """F1 of all tasks of both systems and their difference: per seed, and over documents and seeds together."""
    scores = [{seed: score(counts) for seed, counts in system.counts.items()} for system in (a, b)]
    lines, data = [], []
    for task in TASKS:
        f1_a, f1_b = ({seed: float(getattr(of_seed, task).f1) for seed, of_seed in s.items()} for s in scores)
        cells, numbers, paired = compare_values(f1_a, f1_b)
        pair = pair_counts(b.counts, a.counts, task)
        both = bootstrap_difference(pair.row, pair.baseline, resamples=resamples).interval
        sign_flip = f"{paired.p_sign_flip:.4f} ({paired.p_floor:.4f})" if paired.n else DASH
        more: list[Cell] = [Value(paired.mean, low=both.low, high=both.high), f"{paired.higher}/{paired.n}", sign_flip]
        lines.append(Line([TASK_NAMES[task], *cells, *more]))
        numbers |= {"low_all": both.low, "high_all": both.high, "n": paired.n, "p_sign_flip": paired.p_sign_flip}
        data.append({"task": task, **numbers})
    n = len(a.counts)
    documents = len(next(iter(a.counts.values())))
    return Table(
        name="compare",
        title=f"{a.label} and {b.label}",
        columns=[
            Column("task", "Task"),
            Column("a", "A: F1", "mean"),
            Column("b", "B: F1", "mean"),
            Column("delta", "B − A", "number", signed=True),
            Column("seeds", "95 % seeds", "interval", signed=True),
            Column("bootstrap", "95 % documents and seeds", "interval", signed=True),
            Column("higher", "B higher"),
            Column("p_sign_flip", "Sign-flip"),
        ],
        lines=lines,
        caption=[
            f"A is {a.label}, B is {b.label}: F1 in percent on the same {documents} documents; ±: sample standard "
            f"deviation over {n} shared seed{'s' * (n > 1)} (ddof 1).",
            "95 % seeds: t-interval of the differences paired by seed. 95 % documents and seeds: hierarchical paired "
            f"bootstrap, {resamples} resamples.",
            coverage_sentence(),
            "Sign-flip: exact two-sided p, in brackets the smallest that so many seeds can reach.",
        ],
        notes=["One run of each: the intervals are over documents; nothing is known about other seeds."] * (n == 1),
        data=pd.DataFrame(data),
    )


def further_measures_table(a: ComparedSystem, b: ComparedSystem) -> Table:
    """A line per measure that both systems have at every seed, with the difference paired by seed."""
    values_a, values_b = dict(compute_measures(a)), dict(compute_measures(b))
    lines, data = [], []
    for name in values_a:
        if name in values_b:
            cells, numbers, _ = compare_values(values_a[name], values_b[name])
            lines.append(Line([name, *cells]))
            data.append({"measure": name, **numbers})
    return Table(
        name="compare-further",
        title="Further measures",
        columns=[
            Column("measure", "Measure"),
            Column("a", "A", "mean"),
            Column("b", "B", "mean"),
            Column("delta", "B − A", "number", signed=True),
            Column("seeds", "95 % seeds", "interval", signed=True),
        ],
        lines=lines,
        caption=[
            "In percent. Macro: unweighted mean over the types in gold or prediction. Lenient: a gold entity is found "
            "by a predicted cluster that holds its first mention. The best threshold is fitted on these documents."
        ],
        data=pd.DataFrame(data),
    )


def compare_values(
    a: Mapping[int, float], b: Mapping[int, float]
) -> tuple[list[Cell], dict[str, float], PairedDifference]:
    """A measure of both systems by seed -> its cells and CSV columns (A, B, B - A and the interval), the difference."""
    paired, summaries = paired_difference(b, a), [summarize(values.values()) for values in (a, b)]
    interval = Value(paired.mean, low=paired.interval.low, high=paired.interval.high)
    cells: list[Cell] = [*(Value(summary.mean, summary.std) for summary in summaries), Value(paired.mean), interval]
    numbers = {"a": summaries[0].mean, "b": summaries[1].mean, "delta": paired.mean}
    return cells, {**numbers, "low": interval.low, "high": interval.high}, paired


def compute_measures(system: ComparedSystem) -> Iterator[tuple[str, dict[int, float]]]:
    """Each measure that a system has at every seed, with its value per seed."""
    scores = {seed: score(counts) for seed, counts in system.counts.items()}
    for task in TASKS:
        for field, name in MEASURES.items():
            values = {seed: float(getattr(getattr(of_seed, task), field)) for seed, of_seed in scores.items()}
            yield f"{TASK_NAMES[task]} {name}", values
    for name, path in EXTRA_MEASURES.items():
        found = {seed: follow_path(system.extra.get(seed, {}), path) for seed in scores}
        if all(value is not None for value in found.values()):
            yield name, {seed: float(value) for seed, value in found.items()}


def follow_path(tree: Any, path: tuple[str, ...]) -> Any:
    """The value at a path of nested dicts; None where it does not lead there."""
    for name in path:
        tree = tree.get(name) if isinstance(tree, dict) else None
    return tree


def type_differences_table(a: ComparedSystem, b: ComparedSystem) -> Table:
    """Strict relation types whose F1, counts summed over seeds, differ most."""
    counts_a, counts_b = (total(all_documents(system), HEADLINE) for system in (a, b))
    none = TypeCounts(0, 0, 0)
    names = sorted(counts_a.keys() | counts_b.keys())
    counts = {name: (counts_a.get(name, none), counts_b.get(name, none)) for name in names}
    data = most_different_first(compare_counts("type", counts, len(a.counts)))
    return Table(
        name="compare-types",
        title="Relation types",
        columns=count_columns("type", "Relation type"),
        lines=write_lines(data),
        caption=[f"Strict relation F1, counts summed over seeds; the {MAX_LINES} types that differ most."],
        data=data,
    )


def distance_differences_table(a: ComparedSystem, b: ComparedSystem) -> Table:
    """Strict relation F1 within and across sentences, counts summed over the seeds of which both systems have it."""
    by_seed = [
        {seed: extra["by_sentence_distance"] for seed, extra in system.extra.items() if "by_sentence_distance" in extra}
        for system in (a, b)
    ]
    seeds = by_seed[0].keys() & by_seed[1].keys()
    counts = {
        heading: [
            add([TypeCounts(*(of[seed][name][field] for field in TypeCounts._fields)) for seed in seeds])
            for of in by_seed
        ]
        for name, heading in DISTANCES.items()
        if seeds
    }
    data = compare_counts("distance", counts, len(seeds))
    return Table(
        name="compare-distances",
        title="Sentence distance",
        columns=count_columns("distance", "Head and tail"),
        lines=write_lines(data, equal=True),
        caption=[
            "Strict relation F1, counts summed over seeds. Within a sentence: some mention of the head and some "
            "mention of the tail share one; a false positive is judged by its own mentions."
        ],
        data=data,
    )


def document_differences_table(a: ComparedSystem, b: ComparedSystem) -> Table:
    """Documents in which the strict relations differ most: right ones and wrong ones, mean over seeds."""
    headings = {"a_right": "A right", "a_wrong": "A wrong", "b_right": "B right", "b_wrong": "B wrong"}
    by_document: dict[str, dict[str, float]] = {}
    for system, letter in ((a, "a"), (b, "b")):
        for document in all_documents(system):
            tp, fp, _ = add(list(document.counts[HEADLINE].values()))
            line = by_document.setdefault(document.id, dict.fromkeys(headings, 0.0))
            line[f"{letter}_right"] += tp / len(system.counts)
            line[f"{letter}_wrong"] += fp / len(system.counts)
    data = pd.DataFrame([{"document": name, **line} for name, line in by_document.items()])
    data["delta"] = (data["b_right"] - data["b_wrong"]) - (data["a_right"] - data["a_wrong"])
    data = most_different_first(data)
    return Table(
        name="compare-documents",
        title="Documents",
        columns=[
            Column("document", "Document"),
            *(Column(key, heading, "number", decimals=1) for key, heading in headings.items()),
            Column("delta", "B − A", "number", decimals=1, signed=True),
        ],
        lines=write_lines(data),
        caption=[
            "Predicted strict relations per document, mean over seeds; B − A: right minus wrong; "
            f"{MAX_LINES} documents."
        ],
        data=data,
    )


def all_documents(system: ComparedSystem) -> Sequence[DocumentCounts]:
    """The counts of all seeds, one after another."""
    return [document for counts in system.counts.values() for document in counts]


def compare_counts(key: str, counts: Mapping[str, Sequence[TypeCounts]], seeds: int) -> pd.DataFrame:
    """F1 of both systems and their difference by name, from the counts of A and of B summed over seeds."""
    lines = [
        {key: name, "gold": (of_a.tp + of_a.fn) / seeds, "a": prf(of_a).f1, "b": prf(of_b).f1}
        for name, (of_a, of_b) in counts.items()
    ]
    data = pd.DataFrame(lines, columns=[key, "gold", "a", "b"])
    data["delta"] = data["b"] - data["a"]
    return data


def count_columns(key: str, heading: str) -> list[Column]:
    """The columns of a table of `compare_counts`."""
    return [
        Column(key, heading),
        Column("gold", "In gold", "number", decimals=0),
        Column("a", "A: F1", "number"),
        Column("b", "B: F1", "number"),
        Column("delta", "B − A", "number", signed=True),
    ]


def most_different_first(data: pd.DataFrame) -> pd.DataFrame:
    """The lines by falling difference, whatever its sign."""
    return data.reindex(data["delta"].abs().sort_values(ascending=False, kind="stable").index)


def write_lines(data: pd.DataFrame, *, equal: bool = False) -> list[Line]:
    """The first lines of a frame of a name and numbers; those without a difference only if `equal`."""
    return [
        Line([str(name), *map(Value, map(float, numbers))])
        for name, *numbers in data.head(MAX_LINES).itertuples(index=False)
        if equal or not math.isclose(numbers[-1], 0.0, abs_tol=1e-9)
    ]


COMPARISON_TABLES = (
    f1_table,
    further_measures_table,
    distance_differences_table,
    type_differences_table,
    document_differences_table,
)
"""The tables of `engram compare`, in order; one without lines is left out."""
