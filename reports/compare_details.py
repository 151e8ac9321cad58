"""Details of a comparison: the sentence distances, relation types and documents in which two systems differ."""

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from core.scoring.metrics import HEADLINE, DocumentCounts, TypeCounts, add, prf, total
from reports.compare_inputs import ComparedSystem
from reports.tables.breakdowns import DISTANCES
from reports.tables.layout import Column, Line, Table, Value

MAX_LINES = 10
"""Relation types and documents that are listed: those that differ most."""


def distance_differences_table(a: ComparedSystem, b: ComparedSystem) -> Table:
    """Strict relation F1 within and across sentences, counts summed over the seeds of which both systems have it."""
    key = "by_sentence_distance"
    seeds = [seed for seed in a.extra if key in a.extra[seed] and key in b.extra.get(seed, {})]

    def summed(system: ComparedSystem, distance: str) -> TypeCounts:
        scores = [system.extra[seed][key][distance] for seed in seeds]
        return add([TypeCounts(*(of_seed[field] for field in TypeCounts._fields)) for of_seed in scores])

    headings = DISTANCES.items() if seeds else ()
    counts = {heading: (summed(a, distance), summed(b, distance)) for distance, heading in headings}
    caption = (
        f"Strict relation F1 (%) of {a.label} (A) and {b.label} (B) by the distance of head and tail.",
        "Counts are summed over seeds. Within a sentence: some mention of the head and some mention of "
        "the tail share one; a false positive is judged by its own mentions.",
    )
    data = count_frame("distance", counts, len(seeds))
    columns = count_columns("distance", "Head and tail")
    return Table("compare-distances", "Sentence distance", columns, write_lines(data), caption, data=data)


def type_differences_table(a: ComparedSystem, b: ComparedSystem) -> Table:
    """Strict relation types whose F1, counts summed over seeds, differ most."""
    counts_a, counts_b = (total(all_documents(system), HEADLINE) for system in (a, b))
    none = TypeCounts(0, 0, 0)
    types = sorted(counts_a.keys() | counts_b.keys())
    counts = {name: (counts_a.get(name, none), counts_b.get(name, none)) for name in types}
    data = sort_by_difference(count_frame("type", counts, len(a.counts)))
    names = (a.type_names or b.type_names).get("relation", {})
    data["type"] = [names.get(name, name) for name in data["type"]]
    caption = (
        f"Strict relation F1 (%) of {a.label} (A) and {b.label} (B): the {MAX_LINES} types that differ most.",
        "Counts are summed over seeds.",
    )
    columns, lines = count_columns("type", "Relation type"), write_lines(data.head(MAX_LINES), equal=False)
    return Table("compare-types", "Relation types", columns, lines, caption, data=data)


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
    data = sort_by_difference(data)
    columns = [
        Column("document", "Document"),
        *(Column(key, heading, "number", decimals=1) for key, heading in headings.items()),
        Column("delta", "B − A", "number", decimals=1, signed=True),
    ]
    caption = (
        f"Strict relations predicted by {a.label} (A) and {b.label} (B): the {MAX_LINES} documents that differ most.",
        "Means over seeds; B − A: right minus wrong.",
    )
    lines = write_lines(data.head(MAX_LINES), equal=False)
    return Table("compare-documents", "Documents that differ", columns, lines, caption, data=data)


def all_documents(system: ComparedSystem) -> Sequence[DocumentCounts]:
    """The counts of all seeds, one after another."""
    return [document for counts in system.counts.values() for document in counts]


def count_frame(key: str, counts: Mapping[str, tuple[TypeCounts, TypeCounts]], seeds: int) -> pd.DataFrame:
    """F1 of both systems and their difference by name, from the counts of A and of B summed over seeds."""
    lines = [
        {key: name, "gold": (of_a.tp + of_a.fn) / seeds, "a": prf(of_a).f1, "b": prf(of_b).f1}
        for name, (of_a, of_b) in counts.items()
    ]
    data = pd.DataFrame(lines, columns=[key, "gold", "a", "b"])
    return data.assign(delta=data["b"] - data["a"])


def count_columns(key: str, heading: str) -> list[Column]:
    """The columns of a `count_frame`."""
    return [
        Column(key, heading),
        Column("gold", "In gold", "number", decimals=0),
        Column("a", "A: F1", "number"),
        Column("b", "B: F1", "number"),
        Column("delta", "B − A", "number", signed=True),
    ]


def sort_by_difference(data: pd.DataFrame) -> pd.DataFrame:
    """The lines by falling difference, whatever its sign."""
    return data.reindex(data["delta"].abs().sort_values(ascending=False, kind="stable").index)


def write_lines(data: pd.DataFrame, *, equal: bool = True) -> list[Line]:
    """The lines of a frame of a name and numbers, the last a difference; those without one only if `equal`."""
    return [
        Line([str(name), *(Value(float(number)) for number in numbers)])
        for name, *numbers in data.itertuples(index=False)
        if equal or not math.isclose(numbers[-1], 0.0, abs_tol=1e-9)
    ]
