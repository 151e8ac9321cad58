"""Candidates: what a training sample of a document may hold."""

from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.config.schema import SamplesConfig
from core.data.documents import Annotation, Document, Entity, LabelSet, Relation
from core.features.batches import epoch_batches, epoch_order
from core.features.candidates import (
    Sample,
    all_spans,
    draw_sample,
    mention_pairs,
    ordered_pairs,
    trainable_gold,
    unordered_pairs,
)
from core.features.wordpieces import EncodedDocument
from tests.tiny import LABELS, document, encoded

ENTITY_TYPES, RELATION_TYPES = LABELS.entity_types, LABELS.relation_types
relaxed = settings(max_examples=60)


@st.composite
def documents(draw: st.DrawFn) -> EncodedDocument:
    """A document whose spans may repeat within an entity, be shared by two, nest, or be wider than a candidate."""
    lengths = draw(st.lists(st.integers(0, 7), min_size=1, max_size=4).filter(any))
    bounds = np.cumsum([0, *lengths]).tolist()
    sentences = tuple(pairwise(bounds))
    spans = st.sampled_from([one for one in sentences if one[1] > one[0]]).flatmap(
        lambda one: st.tuples(st.integers(one[0], one[1] - 1), st.integers(1, 5)).map(
            lambda pair: (pair[0], min(sum(pair), one[1]))
        )
    )
    entity = st.builds(Entity, st.lists(spans, min_size=1, max_size=4).map(tuple), st.sampled_from(ENTITY_TYPES))
    entities = tuple(draw(st.lists(entity, max_size=5)))
    relations: tuple[Relation, ...] = ()
    if entities:
        index = st.integers(0, len(entities) - 1)
        drawn = draw(st.lists(st.builds(Relation, index, index, st.sampled_from(RELATION_TYPES)), max_size=9))
        relations = tuple(relation for relation in drawn if relation.head != relation.tail)
    mentions = tuple(dict.fromkeys(span for one in entities for span in one.mentions))
    gold = Annotation(mentions=mentions, entities=entities, relations=relations)
    made = Document(id="drawn", tokens=("x",) * bounds[-1], sentences=sentences, gold=gold)
    return EncodedDocument(made, np.zeros(bounds[-1], dtype=np.int64), np.arange(bounds[-1] + 1))


CONFIGS = st.builds(
    SamplesConfig,
    max_span_tokens=st.integers(1, 4),
    neg_mentions=st.integers(0, 25),
    neg_corefs=st.integers(0, 12),
    neg_relations=st.integers(0, 12),
)


def rows(array: np.ndarray) -> list[tuple[int, ...]]:
    return [tuple(row) for row in array.tolist()]


def same(one: Sample, two: Sample) -> bool:
    names = ("spans", "is_mention", "coref_pairs", "is_coref", "entity_types", "entity_pairs", "relations")
    return all(np.array_equal(getattr(one, name), getattr(two, name)) for name in names)


@given(documents(), CONFIGS)
@relaxed
def test_mention_samples(one: EncodedDocument, config: SamplesConfig) -> None:
    sample = draw_sample(one, config, LABELS, seed=1, epoch=2)
    spans = rows(sample.spans)
    assert one.document.gold is not None
    gold = list(one.document.gold.mentions)
    # Gold first, each span once however often it is annotated; negatives are candidates that no one annotated.
    assert spans[: len(gold)] == gold
    assert len(set(spans)) == len(spans)
    assert sample.is_mention.tolist() == [1.0] * len(gold) + [0.0] * (len(spans) - len(gold))
    candidates = set(rows(all_spans(one.document, config.max_span_tokens)))
    negatives = spans[len(gold) :]
    assert set(negatives) <= candidates - set(gold)

    def is_inside(span: tuple[int, ...]) -> bool:
        return any(start <= span[0] and span[1] <= end for start, end in gold)

    inside = [span for span in negatives if is_inside(span)]
    free = candidates - set(gold)
    wanted_inside = min(config.neg_mentions // 2, sum(map(is_inside, free)))
    assert len(inside) == wanted_inside
    outside = sum(not is_inside(span) for span in free)
    assert len(negatives) - len(inside) == min(config.neg_mentions - wanted_inside, outside)


@given(documents(), CONFIGS)
@relaxed
def test_coreference_samples(one: EncodedDocument, config: SamplesConfig) -> None:
    sample = draw_sample(one, config, LABELS, seed=1, epoch=2)
    assert one.document.gold is not None
    count = len(one.document.gold.mentions)
    spans = rows(sample.spans)
    clusters = [{spans.index(span) for span in entity.mentions} for entity in one.document.gold.entities]
    assert [set(cluster.tolist()) for cluster in sample.clusters] == clusters
    assert all(len(set(cluster.tolist())) == len(cluster) for cluster in sample.clusters)
    together = {(i, j) for cluster in clusters for i in cluster for j in cluster if i != j}
    pairs = rows(sample.coref_pairs)
    positives = {pair for pair, label in zip(pairs, sample.is_coref, strict=True) if label == 1}
    negatives = [pair for pair, label in zip(pairs, sample.is_coref, strict=True) if label == 0]
    assert positives == together
    assert len(set(pairs)) == len(pairs)
    assert all(i != j and i < count and j < count for i, j in pairs)
    assert not set(negatives) & together
    assert len(negatives) == min(config.neg_corefs, count * (count - 1) - len(together))


@given(documents(), CONFIGS)
@relaxed
def test_relation_samples(one: EncodedDocument, config: SamplesConfig) -> None:
    sample = draw_sample(one, config, LABELS, seed=1, epoch=2)
    assert one.document.gold is not None
    gold = one.document.gold
    assert sample.entity_types.tolist() == [ENTITY_TYPES.index(entity.type) for entity in gold.entities]
    wanted: dict[tuple[int, ...], set[str]] = {}
    for relation in gold.relations:
        wanted.setdefault((relation.head, relation.tail), set()).add(relation.type)
    pairs = rows(sample.entity_pairs)
    assert sample.relations.shape == (len(pairs), len(RELATION_TYPES))
    found = {
        pair: {RELATION_TYPES[column] for column in np.flatnonzero(row)}
        for pair, row in zip(pairs, sample.relations, strict=True)
    }
    assert set(np.unique(sample.relations).tolist()) <= {0.0, 1.0}
    assert {pair: types for pair, types in found.items() if types} == wanted
    assert len(found) == len(pairs)
    assert all(head != tail for head, tail in pairs)
    entities = len(gold.entities)
    assert len(pairs) - len(wanted) == min(config.neg_relations, entities * (entities - 1) - len(wanted))


@given(documents(), CONFIGS, st.integers(0, 2**31 - 1), st.integers(0, 30))
@relaxed
def test_a_sample_depends_on_seed_epoch_and_document_only(
    one: EncodedDocument, config: SamplesConfig, seed: int, epoch: int
) -> None:
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - the global state is what must not move
    first = draw_sample(one, config, LABELS, seed=seed, epoch=epoch)
    assert same(first, draw_sample(one, config, LABELS, seed=seed, epoch=epoch))
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_another_seed_epoch_or_document_draws_other_samples() -> None:
    config = SamplesConfig(neg_mentions=10, neg_corefs=4, neg_relations=4, max_span_tokens=3)
    one = encoded(document(0, extra=2))[0]
    drawn = draw_sample(one, config, LABELS, seed=0, epoch=0)
    renamed = EncodedDocument(msgspec.structs.replace(one.document, id="another"), one.ids, one.bounds)
    for other, seed, epoch in ((one, 1, 0), (one, 0, 1), (renamed, 0, 0)):
        assert not same(drawn, draw_sample(other, config, LABELS, seed=seed, epoch=epoch))
    seen = {span for epoch in range(60) for span in rows(draw_sample(one, config, LABELS, seed=0, epoch=epoch).spans)}
    assert seen == set(rows(all_spans(one.document, 3)))


def test_two_relations_of_a_pair_are_one_multi_hot_row() -> None:
    gold = Annotation.from_entities(
        [Entity(((0, 1),), "PER"), Entity(((2, 3),), "LOC")],
        [Relation(0, 1, "born_in"), Relation(0, 1, "works_for"), Relation(0, 1, "works_for")],
    )
    made = Document(id="d", tokens=("a", "b", "c"), sentences=((0, 3),), gold=gold)
    sample = draw_sample(encoded(made)[0], SamplesConfig(), LABELS, seed=0, epoch=0)
    assert rows(sample.entity_pairs) == [(0, 1), (1, 0)]
    assert sample.relations.tolist() == [[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]]


def test_what_the_labels_or_a_cut_leave_out_is_left_out() -> None:
    gold = Annotation.from_entities(
        [
            Entity(((0, 1), (4, 5)), "PER"),
            Entity(((2, 3),), "DATE"),
            Entity(((5, 6),), "LOC"),
            Entity(((1, 2),), "LOC"),
        ],
        [Relation(0, 1, "born_in"), Relation(0, 3, "born_in"), Relation(3, 0, "unheard"), Relation(2, 0, "born_in")],
    )
    cut = Document(id="d", tokens=("a", "b", "c"), sentences=((0, 3),), gold=gold)
    kept = trainable_gold(cut, LABELS)
    assert kept.entities == (Entity(((0, 1),), "PER"), Entity(((1, 2),), "LOC"))
    assert kept.relations == (Relation(0, 1, "born_in"),)
    sample = draw_sample(encoded(cut)[0], SamplesConfig(), LABELS, seed=0, epoch=0)
    assert sample.entity_types.tolist() == [0, 2]


def test_candidates_come_by_sentence_width_and_start() -> None:
    one = Document(id="d", tokens=("a",) * 5, sentences=((0, 2), (2, 2), (2, 5)))
    assert rows(all_spans(one, 2)) == [(0, 1), (1, 2), (0, 2), (2, 3), (3, 4), (4, 5), (2, 4), (3, 5)]


def test_candidates_of_equally_long_sentences_are_not_mixed_up() -> None:
    one = Document(id="d", tokens=("a",) * 6, sentences=((0, 3), (3, 6)))
    first = rows(all_spans(one, 3))[:6]
    assert first == [(0, 1), (1, 2), (2, 3), (0, 2), (1, 3), (0, 3)]
    assert rows(all_spans(one, 3))[6:] == [(start + 3, end + 3) for start, end in first]


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_pairs_are_all_of_them_row_by_row(count: int) -> None:
    ordered = [(i, j) for i in range(count) for j in range(count) if i != j]
    assert rows(ordered_pairs(count)) == ordered
    assert rows(unordered_pairs(count)) == [(i, j) for i, j in ordered if i < j]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_mention_pairs_are_every_head_mention_with_every_tail_mention(order: tuple[int, int]) -> None:
    clusters = [np.array([3, 0]), np.array([5]), np.array([1, 2, 4])]
    pairs = np.array([[2, 0], order])
    index = mention_pairs(clusters, pairs)
    assert rows(index.mentions[:6]) == [(1, 3), (1, 0), (2, 3), (2, 0), (4, 3), (4, 0)]
    assert set(rows(index.mentions[6:])) == {(int(h), int(t)) for h in clusters[order[0]] for t in clusters[order[1]]}
    assert index.offsets.tolist() == [0, 6, 8]


def test_an_epoch_visits_every_document_once_and_drops_the_rest() -> None:
    order = epoch_order(7, seed=3, epoch=0)
    assert sorted(order.tolist()) == list(range(7))
    assert order.tolist() == epoch_order(7, seed=3, epoch=0).tolist()
    assert order.tolist() != epoch_order(7, seed=3, epoch=1).tolist()
    assert order.tolist() != epoch_order(7, seed=4, epoch=0).tolist()
    batches = [batch.tolist() for batch in epoch_batches(order, 2)]
    assert batches == [order[0:2].tolist(), order[2:4].tolist(), order[4:6].tolist()]
    assert [batch.tolist() for batch in epoch_batches(order, 2, first=2)] == batches[2:]


def test_labels_of_a_corpus_keep_their_order() -> None:
    assert LabelSet.observed([document(0)]).entity_types == ("PER", "ORG", "LOC")
