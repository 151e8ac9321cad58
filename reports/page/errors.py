"""Errors of a prediction, item by item: every kind of error defined once, for the viewer of a report.

Clusters are compared as sets of spans, as the scores are (`core.scoring.metrics`). A wrong item is one error; its gold
and predicted spans show it in the text.
"""

from collections.abc import Iterable, Iterator
from functools import partial

import msgspec

from core.data.documents import Annotation, Span
from core.scoring.metrics import mention_spans

KINDS = {
    "mention-missed": ("missed mention", "a gold mention that overlaps no wrongly predicted one"),
    "mention-spurious": ("spurious mention", "a predicted mention that overlaps no missed gold one"),
    "mention-boundary": ("wrong boundary", "a predicted mention that is not gold and overlaps a missed gold one"),
    "cluster-split": ("split cluster", "a gold cluster with mentions in several predicted ones"),
    "cluster-merged": ("merged clusters", "a predicted cluster with mentions of several gold ones"),
    "entity-type": ("wrong entity type", "a predicted cluster with exactly the mentions of a gold one, not its type"),
    "relation-missed": ("missed relation", "both clusters are right, and no other relation stands between them"),
    "relation-spurious": ("spurious relation", "both clusters are right, and no gold relation between them was missed"),
    "relation-type": ("wrong relation type", "both clusters are right, and the relation predicted is not the gold one"),
    "relation-ends": ("wrong type of head or tail", "clusters and relation are right, but not the type of a cluster"),
    "relation-lost": ("relation of a missed cluster", "a gold relation with a cluster that was not predicted exactly"),
    "relation-stray": ("relation of a wrong cluster", "a predicted relation with a cluster that is not gold"),
}
"""Kind -> its name on the page, and its definition."""

Cluster = frozenset[Span]
Ends = tuple[Cluster, Cluster]


class PredictionError(msgspec.Struct, frozen=True, array_like=True):
    """One error: its kind, the gold and predicted spans that show it, and the types where it is about types."""

    kind: str
    gold: tuple[Span, ...] = ()
    predicted: tuple[Span, ...] = ()
    gold_type: str = ""
    predicted_type: str = ""


def find_errors(gold: Annotation, predicted: Annotation) -> list[PredictionError]:
    """Every error of a prediction, mentions first, then clusters, types and relations; empty where all is right."""
    return [
        *_mentions(mention_spans(gold), mention_spans(predicted)),
        *_clusters(gold, predicted),
        *_types(gold, predicted),
        *_relations(gold, predicted),
    ]


def _mentions(gold: set[Span], predicted: set[Span]) -> Iterator[PredictionError]:
    missed, spurious = sorted(gold - predicted), sorted(predicted - gold)
    for span in spurious:
        best = max(missed, key=partial(_overlap, span), default=None)
        if best and _overlap(span, best):
            yield PredictionError("mention-boundary", (best,), (span,))
        else:
            yield PredictionError("mention-spurious", (), (span,))
    for span in missed:
        if not any(_overlap(span, other) for other in spurious):
            yield PredictionError("mention-missed", (span,))


def _overlap(a: Span, b: Span) -> int:
    return max(0, min(a[1], b[1]) - max(a[0], b[0]))


def _clusters(gold: Annotation, predicted: Annotation) -> Iterator[PredictionError]:
    gold_clusters, predicted_clusters = _distinct_clusters(gold), _distinct_clusters(predicted)
    for cluster in gold_clusters:
        overlapping = [other for other in predicted_clusters if cluster & other]
        if len(overlapping) > 1:
            yield PredictionError("cluster-split", _spans(cluster), _spans(*overlapping))
    for cluster in predicted_clusters:
        overlapping = [other for other in gold_clusters if cluster & other]
        if len(overlapping) > 1:
            yield PredictionError("cluster-merged", _spans(*overlapping), _spans(cluster))


def _types(gold: Annotation, predicted: Annotation) -> Iterator[PredictionError]:
    gold_types = {frozenset(entity.mentions): entity.type for entity in gold.entities}
    for entity in predicted.entities:
        gold_type = gold_types.get(frozenset(entity.mentions), entity.type)
        if gold_type != entity.type:
            spans = _spans(entity.mentions)
            yield PredictionError("entity-type", spans, spans, gold_type, entity.type)


def _relations(gold: Annotation, predicted: Annotation) -> Iterator[PredictionError]:
    gold_relations, predicted_relations = _by_ends(gold), _by_ends(predicted)
    gold_clusters, predicted_clusters = set(_distinct_clusters(gold)), set(_distinct_clusters(predicted))
    for ends, relations in gold_relations.items():
        others = predicted_relations.get(ends, {})
        spurious = sorted(others.keys() - relations.keys())
        spans = _first_mentions(ends)
        for name in sorted(relations):
            if name in others:
                if not relations[name] & others[name]:
                    yield PredictionError("relation-ends", spans, spans, name, name)
            elif not predicted_clusters.issuperset(ends):
                yield PredictionError("relation-lost", spans, (), name)
            elif spurious:
                yield PredictionError("relation-type", spans, spans, name, spurious.pop(0))
            else:
                yield PredictionError("relation-missed", spans, (), name)
    for ends, relations in predicted_relations.items():
        others = gold_relations.get(ends, {})
        missed = len(others.keys() - relations.keys())
        # As many as were missed between these ends are wrong types, which came above.
        for name in sorted(relations.keys() - others.keys())[missed:]:
            kind = "relation-spurious" if gold_clusters.issuperset(ends) else "relation-stray"
            yield PredictionError(kind, (), _first_mentions(ends), "", name)


def _by_ends(annotation: Annotation) -> dict[Ends, dict[str, set[tuple[str, str]]]]:
    """Head and tail -> relation type -> the pairs of entity types with which it occurs."""
    entities = annotation.entities
    by_ends: dict[Ends, dict[str, set[tuple[str, str]]]] = {}
    for relation in annotation.relations:
        head, tail = entities[relation.head], entities[relation.tail]
        types = by_ends.setdefault((frozenset(head.mentions), frozenset(tail.mentions)), {})
        types.setdefault(relation.type, set()).add((head.type, tail.type))
    return by_ends


def _distinct_clusters(annotation: Annotation) -> list[Cluster]:
    return list(dict.fromkeys(frozenset(entity.mentions) for entity in annotation.entities))


def _spans(*clusters: Iterable[Span]) -> tuple[Span, ...]:
    return tuple(sorted({span for cluster in clusters for span in cluster}))


def _first_mentions(ends: Ends) -> tuple[Span, ...]:
    return (min(ends[0]), min(ends[1]))
