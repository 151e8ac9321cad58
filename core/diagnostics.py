"""Documents against predictions: the five tasks and everything beyond them, in one `Scores`."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

import msgspec

from core.breakdowns import by_relation_type, by_sentence_distance
from core.coreference_scores import coreference_scores
from core.documents import Annotation, Document
from core.lenient import lenient_scores
from core.metrics import DocumentCounts, Scores, count, score
from core.ranking import average_precision, best_threshold, ranked_relations
from core.training_facts import Fact, ign_scores


def count_documents(documents: Sequence[Document], predicted: Sequence[Annotation]) -> list[DocumentCounts]:
    """The counts of every document; ValueError for a document without gold: a missing metric raises, it is never 0."""
    for document in documents:
        if document.gold is None:
            raise ValueError(f"document {document.id!r} has no gold annotation to score against")
    return [
        count(document.id, document.gold or Annotation(), annotation)
        for document, annotation in zip(documents, predicted, strict=True)
    ]


def evaluate(
    documents: Sequence[Document],
    predicted: Sequence[Annotation],
    facts: AbstractSet[Fact] | None = None,
    candidates: Sequence[Annotation] | None = None,
) -> Scores:
    """All scores of predictions in the order of their documents; ValueError for a document without gold.

    `candidates` are the predictions with every scored relation, accepted or not. `extra` holds `gold_macro`, `counts`,
    `coreference` (MUC, B³, CEAFφ4, mean), `lenient`, `by_relation_type`, `by_sentence_distance` (where sentences are
    known), `ranking` (over the candidates; without them over the predictions, where all have scores), `ign` (where
    `facts` are given) and `notes`.
    """
    counts = count_documents(documents, predicted)
    scores = score(counts)
    pairs = [
        (document.gold or Annotation(), annotation) for document, annotation in zip(documents, predicted, strict=True)
    ]
    extra, notes = dict(scores.extra), list(scores.extra["notes"])
    extra["documents"] = len(documents)
    extra["coreference"] = coreference_scores(pairs)
    extra["lenient"] = lenient_scores(pairs)
    extra["by_relation_type"] = by_relation_type(counts)
    distances = by_sentence_distance(documents, predicted)
    if distances is None:
        notes.append("by_sentence_distance: left out, the gold documents have no sentences")
    else:
        extra["by_sentence_distance"] = distances
    over = predicted if candidates is None else candidates
    relations = [relation for annotation in over for relation in annotation.relations]
    if candidates is not None or (relations and all(relation.score is not None for relation in relations)):
        golds = [document.gold or Annotation() for document in documents]
        ranked, total_gold = ranked_relations(zip(golds, over, strict=True))
        threshold, f1 = best_threshold(ranked, total_gold)
        extra["ranking"] = {
            "average_precision": average_precision(ranked, total_gold),
            "best_threshold": threshold,
            "best_f1": f1,
        }
        if candidates is None:
            notes.append("ranking: over the predicted relations given; best_threshold is fitted on these documents")
    if facts is not None:
        extra["ign"] = ign_scores(documents, predicted, facts)
    # Last, so that a reader finds the remarks after the numbers.
    del extra["notes"]
    return msgspec.structs.replace(scores, extra={**extra, "notes": notes})
