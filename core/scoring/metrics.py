"""Metrics of the five tasks: true and false positives and false negatives per document; precision, recall and F1.

Everything that a study reports is computed from `DocumentCounts`, so a run stores them per document. Items are compared
as sets: a duplicate, in gold or in prediction, counts once. The rules are those of the JEREX evaluator (Eberts & Ulges,
2021): a mention is its span; a cluster its set of spans; an entity a cluster with its type; a relation the two
clusters and the relation type; a strict relation has both entity types as well (`rel_nec` in JEREX).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, TypedDict

import msgspec

from core.data.documents import Annotation, Span
from core.input_files import Count

TASKS = ("mention", "coref", "entity", "relation", "relation_strict")
HEADLINE = "relation_strict"
"""The task whose F1 selects a checkpoint and heads a table."""
RELATION_TASKS = ("relation", "relation_strict")
UNTYPED = "all"
"""The type name under which mentions and clusters, which have none, are counted."""


class TypeCounts(NamedTuple):
    """True positives, false positives and false negatives of one type."""

    tp: Count
    fp: Count
    fn: Count


class DocumentCounts(msgspec.Struct, frozen=True):
    """The counts of one document: task -> type -> (tp, fp, fn), types in alphabetical order."""

    id: str
    counts: dict[str, dict[str, TypeCounts]]

    def __post_init__(self) -> None:
        if missing := [task for task in TASKS if task not in self.counts]:
            raise ValueError(f"document {self.id} has no counts of {', '.join(missing)}")


class PRF(NamedTuple):
    """Precision, recall and F1 in percent."""

    precision: float
    recall: float
    f1: float


class TaskScores(msgspec.Struct, frozen=True):
    """Micro and macro precision, recall and F1 of one task, in percent.

    Macro is the unweighted mean over the types that occur in gold or in prediction.
    """

    precision: float
    recall: float
    f1: float
    macro_precision: float
    macro_recall: float
    macro_f1: float


Measures = dict[str, float]
"""Precision, recall and F1 in percent by name, or some of them."""


class CountedScores(TypedDict):
    """Precision, recall and F1 in percent, and the counts that they are of."""

    precision: float
    recall: float
    f1: float
    tp: Count
    fp: Count
    fn: Count


class DistanceScores(TypedDict):
    """Strict relations within a sentence (`intra`) and across sentences (`inter`)."""

    intra: CountedScores
    inter: CountedScores


class Ranking(TypedDict):
    """Scores of ranked relation candidates, in percent; `best_threshold` is a score."""

    average_precision: float
    best_threshold: float
    best_f1: float


class ExtraScores(TypedDict, total=False):
    """Scores beyond the five tasks; what is not known of a run is left out."""

    gold_macro: dict[str, Measures]
    """Task -> macro over the types that occur in gold: its denominator does not move with the system."""
    counts: dict[str, dict[str, int]]
    documents: int
    coreference: dict[str, Measures]
    """MUC, B³ and CEAFφ4, and the mean of their F1."""
    lenient: dict[str, Measures]
    by_relation_type: dict[str, CountedScores]
    by_sentence_distance: DistanceScores
    ranking: Ranking
    ign: Measures
    on_gold: dict[str, Measures]
    """Tasks as predicted on gold mentions and clusters."""
    repairs: dict[str, int]
    notes: list[str]


class Scores(msgspec.Struct, frozen=True):
    """The scores of the five tasks, and those beyond them."""

    mention: TaskScores
    coref: TaskScores
    entity: TaskScores
    relation: TaskScores | None
    """None, as is the strict one, where a gold document lists no relations."""
    relation_strict: TaskScores | None
    extra: ExtraScores


Item = tuple[str, Any]
"""A type, and what identifies the item otherwise: a span, a cluster, or the two ends of a relation."""


def items(annotation: Annotation) -> dict[str, set[Item]]:
    """The items of an annotation that are compared, per task, each as (type, what identifies it)."""
    clusters = [frozenset(entity.mentions) for entity in annotation.entities]
    typed = [(cluster, entity.type) for cluster, entity in zip(clusters, annotation.entities, strict=True)]
    return {
        # Gold with mentions in its entities only must not lose them; a predicted one may belong to no entity.
        "mention": {(UNTYPED, span) for span in mention_spans(annotation)},
        "coref": {(UNTYPED, cluster) for cluster in clusters},
        "entity": {(entity_type, cluster) for cluster, entity_type in typed},
        "relation": {(r.type, (clusters[r.head], clusters[r.tail])) for r in annotation.relations},
        "relation_strict": {(r.type, (typed[r.head], typed[r.tail])) for r in annotation.relations},
    }


def mention_spans(annotation: Annotation) -> set[Span]:
    """Every mention span of an annotation, whether or not an entity holds it."""
    return {*annotation.mentions, *(span for entity in annotation.entities for span in entity.mentions)}


def count(document_id: str, gold: Annotation, predicted: Annotation) -> DocumentCounts:
    """Count one document's true positives, false positives and false negatives, per task and type."""
    expected, claimed = items(gold), items(predicted)
    return DocumentCounts(id=document_id, counts={task: _count_types(expected[task], claimed[task]) for task in TASKS})


def _count_types(gold: set[Item], predicted: set[Item]) -> dict[str, TypeCounts]:
    counted: dict[str, list[int]] = {}
    for position, outcome in enumerate((gold & predicted, predicted - gold, gold - predicted)):
        for item_type, _ in outcome:
            counted.setdefault(item_type, [0, 0, 0])[position] += 1
    return {item_type: TypeCounts(*counted[item_type]) for item_type in sorted(counted)}


def total(counts: Sequence[DocumentCounts], task: str) -> dict[str, TypeCounts]:
    """The counts of one task summed over documents, per type in alphabetical order."""
    summed: dict[str, TypeCounts] = {}
    for document in counts:
        for item_type, (tp, fp, fn) in document.counts[task].items():
            old = summed.get(item_type, TypeCounts(0, 0, 0))
            summed[item_type] = TypeCounts(old.tp + tp, old.fp + fp, old.fn + fn)
    return {item_type: summed[item_type] for item_type in sorted(summed)}


def add(counts: Sequence[TypeCounts]) -> TypeCounts:
    """The sum over types."""
    return TypeCounts(*(sum(column) for column in zip(*counts, strict=True))) if counts else TypeCounts(0, 0, 0)


def measures(precision: float, recall: float) -> Measures:
    """A precision, a recall and their F1 by name; F1 is 0 where both are."""
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return {"precision": precision, "recall": recall, "f1": f1}


def ratio(part: int | float, whole: int | float) -> float:
    """`part` of `whole` in percent; 0 where there is nothing to divide by."""
    return 100 * part / whole if whole else 0.0


def prf(counts: TypeCounts) -> PRF:
    """Precision, recall and F1 in percent; 0 where there is nothing to divide by."""
    tp, fp, fn = counts
    return PRF(ratio(tp, tp + fp), ratio(tp, tp + fn), ratio(2 * tp, 2 * tp + fp + fn))


def document_f1(document: DocumentCounts, task: str) -> float:
    """The F1 of one document in percent; 100 where nothing was to be found and nothing was."""
    counts = add(list(document.counts[task].values()))
    return prf(counts).f1 if any(counts) else 100.0


def macro(per_type: Sequence[TypeCounts]) -> PRF:
    """The unweighted mean of P, R and F1 over types; zeros where there is no type."""
    if not per_type:
        return PRF(0.0, 0.0, 0.0)
    return PRF(*(sum(column) / len(per_type) for column in zip(*map(prf, per_type), strict=True)))


def score(counts: Sequence[DocumentCounts]) -> Scores:
    """Scores over all documents; a task without any item scores 0, with a note in `extra["notes"]`."""
    notes: list[str] = []
    tasks: dict[str, TaskScores] = {}
    gold_macro: dict[str, Measures] = {}
    micro_counts: dict[str, dict[str, int]] = {}
    for task in TASKS:
        per_type = total(counts, task)
        if not per_type:
            notes.append(f"{task}: no item in gold and none predicted, so its scores are 0 by convention")
        summed = add(list(per_type.values()))
        tasks[task] = TaskScores(*prf(summed), *macro(list(per_type.values())))
        gold_macro[task] = macro([c for c in per_type.values() if c.tp + c.fn])._asdict()
        micro_counts[task] = summed._asdict()
    return Scores(**tasks, extra={"gold_macro": gold_macro, "counts": micro_counts, "notes": notes})
