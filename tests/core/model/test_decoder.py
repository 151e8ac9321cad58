"""Decoder and batching: the other documents of a batch, order, padding and budgets change no result."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from core.config.schema import RunConfig
from core.data.documents import Annotation, Document, Entity
from core.data.issues import Issues
from core.features.batches import collate
from core.features.candidates import draw_sample
from core.features.wordpieces import EncodedDocument
from core.model.decoder import Decoded, Decoder, DecoderSettings, length_buckets, split_by_budget
from core.model.joint_model import JointModel, Logits
from core.training.loss import joint_loss
from tests.tiny import (
    LABELS,
    SYSTEMS,
    document,
    encoded,
    tiny_batch,
    tiny_config,
    tiny_model,
    wordpieces,
)

TASKS = ("mention", "coref", "entity", "relation")
DOCUMENTS = [document(0), document(1, extra=2), document(2, extra=4), document(3)]
ROWS = [{}, {"memory": {"read_mode": "inverse-normal", "inverse_scale": "mean", "pooling": "gated", "slot_width": 9}}]
CASES = [(name, row) for name in SYSTEMS for row in (ROWS if name.startswith("memory") else ROWS[:1])]
repeatable = settings(max_examples=8, derandomize=True)


def bare(name: str, tokens: str, *, entities: tuple[Entity, ...] | None = ()) -> Document:
    words = tuple(tokens.split())
    gold = None if entities is None else Annotation.from_entities(entities)
    return Document(id=name, tokens=words, sentences=((0, len(words)),), title=name, gold=gold)


SPARSE = [
    Document(id="no token", tokens=(), sentences=(), gold=Annotation()),
    bare("one token", "Ada"),
    bare("no gold", "Ada works in Paris .", entities=None),
    bare("nothing annotated", "It rained all day ."),
    bare("one mention", "Ada works .", entities=(Entity(((0, 1),), "PER"),)),
    bare("no relation", "Ada in Paris .", entities=(Entity(((0, 1),), "PER"), Entity(((2, 3),), "LOC"))),
    bare("one cluster", "Ada is Ada .", entities=(Entity(((0, 1), (2, 3)), "PER"),)),
]


def loud(name: str, row: dict) -> tuple[RunConfig, JointModel]:
    """A random model whose logits differ enough for some mentions, clusters and relations."""
    # A ReLU passes about half: thresholds at one half make decisions mixed.
    halves = dict.fromkeys(("mention_threshold", "coref_threshold", "relation_threshold"), 0.5)
    config = tiny_config(name, row | {"model": halves})
    return config, tiny_model(config, seed=3, scale=12.0)


def forward(config: RunConfig, model: JointModel, documents: list[EncodedDocument]) -> Logits:
    with torch.no_grad():
        found: Logits = model(tiny_batch(config, documents), reading=1.0)
    return found


def decode(config: RunConfig, model: JointModel, documents: list[EncodedDocument], **budgets: float) -> list[Decoded]:
    chosen = dataclasses.replace(DecoderSettings.from_config(config), **budgets)
    return Decoder(model, wordpieces(), LABELS, chosen).decode(documents, reading=1.0, issues=Issues())


def assert_same(one: Decoded, two: Decoded) -> None:
    assert one.annotation.mentions == two.annotation.mentions
    assert one.annotation.entities == two.annotation.entities
    scores = [
        {(relation.head, relation.tail, relation.type): relation.score for relation in found}
        for found in (one.annotation.relations, two.annotation.relations, one.ranked, two.ranked)
    ]
    assert scores[0].keys() == scores[1].keys()
    assert scores[0] == pytest.approx(scores[1], abs=1e-5)
    assert scores[2] == pytest.approx(scores[3], abs=1e-5)


@pytest.mark.parametrize(("name", "row"), CASES)
def test_training_logits_do_not_depend_on_the_batch(name: str, row: dict) -> None:
    config, model = loud(name, row)
    alone = [forward(config, model, encoded(one)) for one in DOCUMENTS]

    @given(st.permutations(range(len(DOCUMENTS))), st.integers(1, len(DOCUMENTS)))
    @repeatable
    def check(order: list[int], size: int) -> None:
        chosen = order[:size]
        together = forward(config, model, encoded(*(DOCUMENTS[number] for number in chosen)))
        for task in TASKS:
            wanted = torch.cat([getattr(alone[number], task) for number in chosen])
            torch.testing.assert_close(getattr(together, task), wanted, rtol=0, atol=1e-5)

    check()


@pytest.mark.parametrize(("name", "row"), CASES)
def test_predictions_depend_on_neither_order_nor_budgets(name: str, row: dict) -> None:
    config, model = loud(name, row)
    alone = [decode(config, model, encoded(one))[0] for one in [*DOCUMENTS, *SPARSE]]
    assert len({one.annotation.entities for one in alone}) > 3
    assert any(one.annotation.relations for one in alone)
    assert any(len(entity.mentions) > 1 for one in alone for entity in one.annotation.entities)

    @given(st.permutations(range(len(alone))), st.sampled_from([1, 30, 61, 4_096]), st.sampled_from([1, 7, 50, 16_384]))
    @settings(parent=repeatable, max_examples=5)
    def check(order: list[int], pieces: int, rows: int) -> None:
        chosen = encoded(*([*DOCUMENTS, *SPARSE][number] for number in order))
        together = decode(config, model, chosen, piece_budget=pieces, row_budget=rows)
        for number, one in zip(order, together, strict=True):
            assert_same(one, alone[number])

    check()


def test_every_prediction_has_the_score_that_it_was_chosen_by() -> None:
    config, model = loud("memory-grc", {})
    documents = encoded(*DOCUMENTS)
    some, everything = decode(config, model, documents), decode(config, model, documents, mention_threshold=1e-9)
    for one, all_of_them in zip(some, everything, strict=True):
        scores = dict(zip(all_of_them.annotation.mentions, all_of_them.annotation.mention_scores, strict=True))
        chosen = {span: score for span, score in scores.items() if score is not None and score >= 0.5}
        assert dict(zip(one.annotation.mentions, one.annotation.mention_scores, strict=True)) == chosen
        assert len(one.annotation.entity_scores) == len(one.annotation.entities)
        # The likeliest of three types has at least a third.
        assert all(score is not None and 1 / 3 <= score <= 1 for score in one.annotation.entity_scores)
        assert one.best_mention is None
        assert (one.best_relation is None) == bool(one.annotation.relations)
    for silent, all_of_them in zip(decode(config, model, documents, mention_threshold=1.0), everything, strict=True):
        if not silent.annotation.mentions:
            assert silent.best_mention == max(all_of_them.annotation.mention_scores)  # type: ignore[type-var]
            assert silent.best_relation is None
    for silent, one in zip(decode(config, model, documents, relation_threshold=1.0), some, strict=True):
        assert silent.best_relation == (one.ranked[0].score if len(one.annotation.entities) > 1 else None)


@pytest.mark.parametrize("training", [True, False])
def test_decoding_drops_nothing_out_and_leaves_the_model_in_its_mode(training: bool) -> None:
    config, model = loud("memory-mrc", ROWS[1])
    documents = encoded(*DOCUMENTS)
    calm = decode(config, model, documents)
    model.train(training)
    for one, two in zip(decode(config, model, documents), calm, strict=True):
        assert_same(one, two)
    assert {module.training for module in model.modules()} == {training}


def test_padding_pieces_are_never_read() -> None:
    for name in SYSTEMS:
        config, model = loud(name, {})
        batch = tiny_batch(config, encoded(DOCUMENTS[0], DOCUMENTS[2]))
        garbled = dataclasses.replace(batch.pieces, ids=batch.pieces.ids.where(batch.pieces.mask, 77))
        assert not torch.equal(garbled.ids, batch.pieces.ids)
        with torch.no_grad():
            one, two = (model.encode(pieces, reading=1.0) for pieces in (batch.pieces, garbled))
        torch.testing.assert_close(one, two, rtol=0, atol=1e-6)


@pytest.mark.parametrize("sparse", SPARSE, ids=lambda one: one.id)
@pytest.mark.parametrize("name", SYSTEMS)
def test_a_sparse_document_gives_no_nan(name: str, sparse: Document) -> None:
    config = tiny_config(name, {"model": {"mention_threshold": 0.3}})
    for company in ([], [document(0)]):
        for documents in ([sparse, *company], [*company, sparse]):
            model = tiny_model(config)
            batch = tiny_batch(config, encoded(*documents))
            losses = joint_loss(model(batch, reading=1.0), batch.targets, config.loss)
            if losses.total.requires_grad:
                losses.total.backward()
            assert all(bool(value.isfinite()) for value in vars(losses).values())
            assert all(bool(p.grad.isfinite().all()) for p in model.parameters() if p.grad is not None)
            decoded = decode(config, model, encoded(*documents))
            assert len(decoded) == len(documents)
            assert all(math.isfinite(relation.score or 0) for one in decoded for relation in one.ranked)


@pytest.mark.parametrize("name", SYSTEMS)
def test_terms_without_samples_are_zero(name: str) -> None:
    config = tiny_config(name)
    batch = tiny_batch(config, encoded(SPARSE[3]))
    with torch.no_grad():
        losses = joint_loss(tiny_model(config)(batch, reading=1.0), batch.targets, config.loss)
    assert float(losses.mention) > 0
    assert float(losses.coref) == float(losses.entity) == float(losses.relation) == 0
    assert float(losses.total) == pytest.approx(float(losses.mention))


@pytest.mark.parametrize("name", SYSTEMS)
def test_no_candidate_at_all_is_no_crash(name: str) -> None:
    # Sentences may be empty, and a document may be: then not even a span is there to score.
    config = tiny_config(name)
    nothing = encoded(Document(id="nothing", tokens=("Ada",), sentences=((0, 0),), gold=Annotation()))[0]
    batch = tiny_batch(config, [nothing])
    with torch.no_grad():
        losses = joint_loss(tiny_model(config)(batch, reading=1.0), batch.targets, config.loss)
    assert float(losses.total) == 0
    assert decode(config, tiny_model(config), [nothing])[0].annotation == Annotation()
    together = decode(config, tiny_model(config), [nothing, *encoded(document(0))])
    assert together[0].annotation == Annotation()


@given(st.lists(st.integers(1, 50), max_size=20), st.integers(1, 120))
def test_length_buckets_hold_every_document_once_within_the_budget(lengths: list[int], budget: int) -> None:
    buckets = list(length_buckets(lengths, budget))
    assert sorted(number for bucket in buckets for number in bucket) == list(range(len(lengths)))
    for bucket in buckets:
        assert len(bucket) == 1 or len(bucket) * max(lengths[number] for number in bucket) <= budget


@given(st.lists(st.integers(0, 50), max_size=20), st.integers(1, 120))
def test_budgeted_slices_cover_all_rows_within_the_budget(sizes: list[int], budget: int) -> None:
    parts = list(split_by_budget(np.array(sizes, dtype=np.int64), budget))
    covered = [number for part, _ in parts for number in range(*part.indices(len(sizes)))]
    assert covered == list(range(len(sizes)))
    for part, total in parts:
        assert total == sum(sizes[part])
        assert total <= budget or part.stop - part.start == 1


def test_collate_keeps_documents_apart() -> None:
    config = tiny_config("jerex-mrc")
    samples = [draw_sample(one, config.samples, LABELS, seed=0, epoch=0) for one in encoded(*DOCUMENTS)]
    batch = collate(samples, padding=0, multi_instance=True)
    bounds = np.cumsum([0, *(len(sample.encoded.ids) for sample in samples)])
    owner = np.searchsorted(bounds, batch.spans.starts.numpy(), side="right") - 1
    assert np.bincount(owner).tolist() == list(batch.spans.counts)
    assert np.array_equal(owner, np.searchsorted(bounds, batch.spans.ends.numpy(), side="left") - 1)
    pairs = batch.entity_pairs.mention_pairs
    assert pairs is not None
    assert np.array_equal(owner[pairs.heads.numpy()], owner[pairs.tails.numpy()])
    filled = (pairs.context_ends > pairs.context_starts).numpy()
    starts = pairs.context_starts.numpy()[filled]
    assert np.array_equal(np.searchsorted(bounds, starts, side="right") - 1, owner[pairs.heads.numpy()][filled])
    assert np.array_equal(owner[batch.span_pairs.first.numpy()], owner[batch.span_pairs.second.numpy()])
