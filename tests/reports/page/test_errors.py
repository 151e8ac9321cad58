"""Every kind of error on cases prediction by hand, and that each wrong relation is one error."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.documents import Annotation, Entity, Relation, Span
from core.scoring.metrics import add, count
from reports.page.errors import KINDS, PredictionError, find_errors

ADA, BYRON, SHE, ACME, OSLO = (0, 2), (1, 2), (4, 5), (7, 8), (9, 10)
PERSON, FIRM, PLACE = Entity((ADA, SHE), "PER"), Entity((ACME,), "ORG"), Entity((OSLO,), "LOC")
GOLD = Annotation.from_entities([PERSON, FIRM, PLACE], [Relation(0, 1, "works_for"), Relation(1, 2, "based_in")])


def predicted(*entities: Entity, relations: tuple[Relation, ...] = ()) -> Annotation:
    return Annotation.from_entities(entities, relations)


def errors_of(annotation: Annotation, kind: str, gold: Annotation = GOLD) -> list[PredictionError]:
    return [error for error in find_errors(gold, annotation) if error.kind == kind]


def test_a_right_prediction_has_no_error() -> None:
    assert find_errors(GOLD, GOLD) == []


def test_missed_spurious_and_boundary_share_no_mention() -> None:
    prediction = predicted(Entity((BYRON, SHE), "PER"), Entity(((11, 12),), "LOC"))
    assert errors_of(prediction, "mention-boundary") == [PredictionError("mention-boundary", (ADA,), (BYRON,))]
    assert errors_of(prediction, "mention-spurious") == [PredictionError("mention-spurious", (), ((11, 12),))]
    assert [error.gold for error in errors_of(prediction, "mention-missed")] == [(ACME,), (OSLO,)]


def test_a_wrong_boundary_names_the_gold_mention_with_the_larger_overlap() -> None:
    gold = predicted(Entity(((0, 2),), "PER"), Entity(((2, 6),), "PER"))
    prediction = predicted(Entity(((1, 5),), "PER"))
    assert errors_of(prediction, "mention-boundary", gold) == [
        PredictionError("mention-boundary", ((2, 6),), ((1, 5),))
    ]
    assert errors_of(prediction, "mention-missed", gold) == []


def test_split_and_merged_clusters() -> None:
    split = predicted(Entity((ADA,), "PER"), Entity((SHE,), "PER"), FIRM, PLACE)
    assert errors_of(split, "cluster-split") == [PredictionError("cluster-split", (ADA, SHE), (ADA, SHE))]
    assert errors_of(split, "cluster-merged") == []
    merged = predicted(PERSON, Entity((ACME, OSLO), "ORG"))
    assert errors_of(merged, "cluster-merged") == [PredictionError("cluster-merged", (ACME, OSLO), (ACME, OSLO))]
    assert errors_of(merged, "cluster-split") == []


def test_a_wrong_type_needs_the_right_cluster() -> None:
    prediction = predicted(Entity((ADA,), "ORG"), Entity((ACME,), "LOC"))
    assert errors_of(prediction, "entity-type") == [PredictionError("entity-type", (ACME,), (ACME,), "ORG", "LOC")]


@pytest.mark.parametrize(
    ("relations", "kinds"),
    [
        ((), {"relation-missed": 2}),
        ((Relation(0, 1, "founded"), Relation(1, 2, "based_in")), {"relation-type": 1}),
        ((Relation(0, 1, "works_for"), Relation(0, 1, "founded")), {"relation-missed": 1, "relation-spurious": 1}),
        ((Relation(1, 0, "works_for"), Relation(1, 2, "based_in")), {"relation-missed": 1, "relation-spurious": 1}),
    ],
)
def test_relations_between_right_clusters(relations: tuple[Relation, ...], kinds: dict[str, int]) -> None:
    prediction = predicted(PERSON, FIRM, PLACE, relations=relations)
    assert Counter(error.kind for error in find_errors(GOLD, prediction)) == kinds


def test_relations_of_wrong_clusters_and_types() -> None:
    lost = predicted(
        Entity((ADA,), "PER"), FIRM, PLACE, relations=(Relation(0, 1, "works_for"), Relation(1, 2, "based_in"))
    )
    assert errors_of(lost, "relation-lost") == [PredictionError("relation-lost", (ADA, ACME), (), "works_for")]
    assert errors_of(lost, "relation-stray") == [PredictionError("relation-stray", (), (ADA, ACME), "", "works_for")]
    typed = predicted(PERSON, Entity((ACME,), "LOC"), PLACE, relations=(Relation(0, 1, "works_for"),))
    assert [error.gold_type for error in errors_of(typed, "relation-ends")] == ["works_for"]
    assert [error.gold_type for error in errors_of(typed, "relation-missed")] == ["based_in"]


spans = st.tuples(st.integers(0, 8), st.integers(1, 3))
TYPES = ("works_for", "based_in", "founded")
Drawn = tuple[dict[tuple[int, int], tuple[int, bool]], list[tuple[int, int, str]]]
# Mentions by start and width, each with its cluster and that cluster's type; relations by the places of their ends.
drawn = st.tuples(
    st.dictionaries(spans, st.tuples(st.integers(0, 3), st.booleans()), min_size=2, max_size=8),
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.sampled_from(TYPES)), max_size=6),
)


def annotation_of(parts: Drawn) -> Annotation:
    """Clusters that share no mention, as gold and clustering have them, and relations between them."""
    mentions, relations = parts
    clusters: dict[int, list[Span]] = {}
    for (start, width), (cluster, _) in mentions.items():
        clusters.setdefault(cluster, []).append((start, start + width))
    typed = {cluster: "PER" if person else "ORG" for cluster, person in mentions.values()}
    entities = [Entity(tuple(spans), typed[cluster]) for cluster, spans in clusters.items()]
    size = len(entities)
    return Annotation.from_entities(
        entities, [Relation(head % size, tail % size, name) for head, tail, name in relations]
    )


@given(drawn, drawn)
def test_every_wrong_item_is_one_error(gold_parts: Drawn, made_parts: Drawn) -> None:
    gold, prediction = annotation_of(gold_parts), annotation_of(made_parts)
    errors = find_errors(gold, prediction)
    counted = count("document", gold, prediction).counts
    _, spurious, missed = add(list(counted["relation_strict"].values()))
    kinds = Counter(error.kind for error in errors)
    both = kinds["relation-type"] + kinds["relation-ends"]
    assert kinds["relation-missed"] + kinds["relation-lost"] + both == missed
    assert kinds["relation-spurious"] + kinds["relation-stray"] + both == spurious
    assert kinds["mention-spurious"] + kinds["mention-boundary"] == counted["mention"]["all"].fp
    assert {error.kind for error in errors} <= KINDS.keys()
