"""What is wrong with a prediction, item by item: every kind of error defined once, for the page's viewer.

Clusters are compared as sets of spans, as the scores are (`core.scoring.metrics`). A wrong item is one finding; its
gold and predicted spans say where to look.
"""

from collections.abc import Iterable, Iterator

import msgspec

from core.data.documents import Annotation, Span
from core.scoring.metrics import mention_spans

KINDS = {
    "mention-missed": ("missed mention", "a gold mention that overlaps no wrongly predicted one"),
    "mention-spurious": ("spurious mention", "a predicted mention that overlaps no missed gold one"),
    "mention-boundary": (
        "wrong boundary",
        "a predicted mention that is not gold, but overlaps a gold one not predicted",
    ),
    "cluster-split": ("split cluster", "a gold cluster whose mentions lie in several predicted ones"),
    "cluster-merged": ("merged clusters", "a predicted cluster with mentions of several gold ones"),
    "entity-type": ("wrong entity type", "a cluster that is gold to the mention, with another type"),
    "relation-missed": ("missed relation", "both clusters are found, no relation of a wrong type stands between them"),
    "relation-spurious": ("spurious relation", "both clusters are gold, no gold relation between them was missed"),
    "relation-type": ("wrong relation type", "both clusters are right, and the relation predicted is not the gold one"),
    "relation-ends": ("relation with wrong entity types", "clusters and relation are right, not so a type of its ends"),
    "relation-lost": ("relation out of reach", "a gold relation of which a cluster was not found to the mention"),
    "relation-stray": ("relation of a wrong cluster", "a predicted relation of which a cluster is not gold"),
}
"""Kind -> what the page calls it, and its definition."""

Cluster = frozenset[Span]
Ends = tuple[Cluster, Cluster]


class Finding(msgspec.Struct, frozen=True, array_like=True):
    """One error: its kind, and the spans that show it, gold and predicted; relations name their types as well."""

    kind: str
    gold: tuple[Span, ...] = ()
    predicted: tuple[Span, ...] = ()
    wanted: str = ""
    """The type in gold."""
    found: str = ""
    """The type predicted."""


def findings(gold: Annotation, predicted: Annotation) -> list[Finding]:
    """Every error of a prediction, mentions first, then clusters, types and relations; none where all is right."""
    return [
        *_mentions(mention_spans(gold), mention_spans(predicted)),
        *_clusters(gold, predicted),
        *_types(gold, predicted),
        *_relations(gold, predicted),
    ]


def _mentions(gold: set[Span], predicted: set[Span]) -> Iterator[Finding]:
    missed, spurious = sorted(gold - predicted), sorted(predicted - gold)
    reached: set[Span] = set()
    for span in spurious:
        near = [other for other in missed if overlap(span, other)]
        reached.update(near)
        if near:
            best = max(near, key=lambda other: (overlap(span, other), -other[0]))
            yield Finding("mention-boundary", (best,), (span,))
        else:
            yield Finding("mention-spurious", (), (span,))
    for span in missed:
        if span not in reached:
            yield Finding("mention-missed", (span,))


def overlap(one: Span, other: Span) -> int:
    """Tokens that two spans share."""
    return max(0, min(one[1], other[1]) - max(one[0], other[0]))


def _clusters(gold: Annotation, predicted: Annotation) -> Iterator[Finding]:
    wanted, found = clusters_of(gold), clusters_of(predicted)
    for one in wanted:
        parts = [other for other in found if one & other]
        if len(parts) > 1:
            yield Finding("cluster-split", in_order(one), in_order(*parts))
    for one in found:
        parts = [other for other in wanted if one & other]
        if len(parts) > 1:
            yield Finding("cluster-merged", in_order(*parts), in_order(one))


def _types(gold: Annotation, predicted: Annotation) -> Iterator[Finding]:
    wanted = _types_of(gold)
    for cluster, names in _types_of(predicted).items():
        for name in sorted(names - wanted.get(cluster, names)):
            spans = in_order(cluster)
            yield Finding("entity-type", spans, spans, " or ".join(sorted(wanted[cluster])), name)


def _types_of(annotation: Annotation) -> dict[Cluster, set[str]]:
    types: dict[Cluster, set[str]] = {}
    for entity in annotation.entities:
        types.setdefault(frozenset(entity.mentions), set()).add(entity.type)
    return types


def _relations(gold: Annotation, predicted: Annotation) -> Iterator[Finding]:
    wanted, found = _by_ends(gold), _by_ends(predicted)
    known, made = set(clusters_of(gold)), set(clusters_of(predicted))
    for ends, relations in wanted.items():
        given = found.get(ends, {})
        spurious = sorted(given.keys() - relations.keys())
        for name in sorted(relations):
            if name in given:
                if not relations[name] & given[name]:
                    yield Finding("relation-ends", spans_of(ends), spans_of(ends), name, name)
            elif not made.issuperset(ends):
                yield Finding("relation-lost", spans_of(ends), (), name)
            elif spurious:
                yield Finding("relation-type", spans_of(ends), spans_of(ends), name, spurious.pop(0))
            else:
                yield Finding("relation-missed", spans_of(ends), (), name)
    for ends, relations in found.items():
        given = wanted.get(ends, {})
        missed = len(given.keys() - relations.keys())
        # As many as were missed between these ends are told above, as wrong types.
        for name in sorted(relations.keys() - given.keys())[missed:]:
            kind = "relation-spurious" if known.issuperset(ends) else "relation-stray"
            yield Finding(kind, (), spans_of(ends), "", name)


def _by_ends(annotation: Annotation) -> dict[Ends, dict[str, set[tuple[str, str]]]]:
    """Ends -> relation type -> the pairs of entity types under which it stands."""
    clusters = [frozenset(entity.mentions) for entity in annotation.entities]
    made: dict[Ends, dict[str, set[tuple[str, str]]]] = {}
    for one in annotation.relations:
        types = (annotation.entities[one.head].type, annotation.entities[one.tail].type)
        made.setdefault((clusters[one.head], clusters[one.tail]), {}).setdefault(one.type, set()).add(types)
    return made


def clusters_of(annotation: Annotation) -> list[Cluster]:
    """The different clusters, in the annotation's order."""
    return list(dict.fromkeys(frozenset(entity.mentions) for entity in annotation.entities))


def in_order(*clusters: Iterable[Span]) -> tuple[Span, ...]:
    """The spans of some clusters, each once, in reading order."""
    return tuple(sorted({span for cluster in clusters for span in cluster}))


def spans_of(ends: Ends) -> tuple[Span, ...]:
    """The first mention of the head and the first of the tail."""
    return (min(ends[0]), min(ends[1]))
