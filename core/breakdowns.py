"""Where strict relation scores come from: by relation type, and within or across sentences."""

from collections.abc import Sequence

from core.documents import Annotation, Document, Span
from core.metrics import DocumentCounts, TypeCounts, items, prf, total


def by_relation_type(counts: Sequence[DocumentCounts]) -> dict[str, dict[str, float]]:
    """Strict P, R, F1 in percent and the counts of every relation type, the most frequent in gold first."""
    per_type = total(counts, "relation_strict")
    ordered = sorted(per_type.items(), key=lambda entry: (-(entry[1].tp + entry[1].fn), entry[0]))
    return {relation_type: described(type_counts) for relation_type, type_counts in ordered}


def described(counts: TypeCounts) -> dict[str, float]:
    """P, R, F1 in percent beside the counts that they come from."""
    return {**prf(counts)._asdict(), **counts._asdict()}


def by_sentence_distance(
    documents: Sequence[Document], predicted: Sequence[Annotation]
) -> dict[str, dict[str, float]] | None:
    """Strict P, R, F1 and counts of relations within a sentence (`intra`) and across sentences (`inter`).

    A relation is `intra` where some mention of its head and some mention of its tail share a sentence; a false
    positive is judged by its own mentions. None where a document knows no sentences.
    """
    sums = {"intra": [0, 0, 0], "inter": [0, 0, 0]}
    for document, annotation in zip(documents, predicted, strict=True):
        if document.gold is None or not document.sentences:
            return None
        sentence_of = document.sentence_of()
        gold_items = items(document.gold)["relation_strict"]
        predicted_items = items(annotation)["relation_strict"]
        parts = (gold_items & predicted_items, predicted_items - gold_items, gold_items - predicted_items)
        for place, part in enumerate(parts):
            for _, ((head, _), (tail, _)) in part:
                sums[_distance_class(head, tail, sentence_of)][place] += 1
    return {name: described(TypeCounts(*numbers)) for name, numbers in sums.items()}


def _distance_class(head: frozenset[Span], tail: frozenset[Span], sentence_of: Sequence[int]) -> str:
    # A mention lies in the sentence of its first token; few cross a sentence border.
    head_sentences = {sentence_of[start] for start, _ in head}
    return "intra" if any(sentence_of[start] in head_sentences for start, _ in tail) else "inter"
