"""Memory attention: the softmax of the model's own states, whole where it should be, and captured only on request."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.data.issues import Issues
from core.errors import UserError
from core.features.batches import build_spans, pad_pieces
from core.features.candidates import all_spans
from core.features.wordpieces import EncodedDocument
from core.model.decoder import Decoder
from core.model.joint_model import JointModel
from core.model.memory_attention import STRONGEST, document_attention
from core.model.ops import range_max
from core.records.memory_attention import DocumentAttention, ReadAttention, read_attention, write_attention
from tests.tiny import document, encoded, tiny_config, tiny_decoder, tiny_model

EAGER = {"model": {"mention_threshold": 0.45, "coref_threshold": 0.5}, "inference": {"max_mentions": 9}}
MODES = ("inverse", "normal", "inverse-normal")


def system(**memory: Any) -> tuple[JointModel, Decoder, Any]:
    config = tiny_config("memory-grc", EAGER | {"memory": memory})
    model = tiny_model(config, scale=15.0)
    return model, tiny_decoder(model, config), config.memory


@pytest.fixture(scope="module")
def one() -> EncodedDocument:
    return encoded(document(2, extra=2))[0]


def by_key(found: DocumentAttention) -> dict[tuple[str, str, str], ReadAttention]:
    return {(read.place, read.mode, read.memory): read for read in found.reads}


@torch.no_grad()
def by_hand(model: JointModel, decoder: Decoder, one: EncodedDocument, modes: str) -> dict[tuple[str, str, str], Any]:
    """Every read's softmax over rows or slots, from the states that the model's own stages hand to it."""
    spans = all_spans(one.document, decoder.settings.max_span_tokens)
    rows = model.encoder(pad_pieces([one], decoder.wordpieces.padding))
    found = {}
    for place in ("tokens", "mentions"):
        if place == "mentions":
            laid = build_spans([one], [spans])
            rows = range_max(rows, laid.starts, laid.ends)
        for mode in ("inverse", "normal"):
            if mode not in modes:
                continue
            readers = model.reads[place].reads[mode]
            for name, memory in model.memories.items():
                scores = rows @ readers[name].key.weight @ memory.slots.T
                found[place, mode, name] = torch.softmax(scores, 0 if mode == "inverse" else 1)
            reads = [readers[name](rows, memory.slots, (len(rows),)) for name, memory in model.memories.items()]
            rows = model.reads[place].combine[mode](rows, reads)
    return found


@pytest.mark.parametrize("mode", MODES)
def test_it_is_the_softmax_of_the_models_own_states(mode: str, one: EncodedDocument) -> None:
    model, decoder, memory = system(read_mode=mode, slot_width=7)
    assert (np.diff(one.bounds) > 1).any(), "a token of several pieces has to be joined"
    found = document_attention(decoder, one, memory, reading=1.0)
    wanted = by_hand(model, decoder, one, mode)
    assert list(by_key(found)) == list(wanted)
    rows = {span: row for row, span in enumerate(map(tuple, all_spans(one.document, 3).tolist()))}
    for key, read in by_key(found).items():
        attention = wanted[key].T.double().numpy()
        if read.place == "mentions":
            items = attention[:, [rows[span] for span in found.spans]]
        else:
            join = np.sum if read.mode == "inverse" else np.mean
            bounds = list(zip(one.bounds[:-1], one.bounds[1:], strict=True))
            items = np.stack([join(attention[:, start:end], axis=1) for start, end in bounds], axis=1)
        np.testing.assert_allclose(read.weights, items, rtol=1e-3, atol=1e-6)
        assert items.std() > 1e-3, "attention that is all alike would show nothing"


@pytest.mark.parametrize("mode", MODES)
def test_a_slots_attention_or_a_rows_attention_is_whole(mode: str, one: EncodedDocument) -> None:
    _, decoder, memory = system(read_mode=mode, slots_per_type=2)
    found = document_attention(decoder, one, memory, reading=1.0)
    for read in found.reads:
        weights = np.array(read.weights)
        assert weights.shape == (6, len(one.document.tokens) if read.place == "tokens" else len(found.spans))
        if read.mode == "normal":
            np.testing.assert_allclose(weights.sum(0), 1.0, atol=1e-3)
            assert not read.elsewhere
        else:
            rest = np.array(read.elsewhere) if read.place == "mentions" else 0.0
            np.testing.assert_allclose(weights.sum(1) + rest, 1.0, atol=1e-3)
    entity = found.reads[0]
    assert entity.slots == ("PER 1", "PER 2", "ORG 1", "ORG 2", "LOC 1", "LOC 2")


def test_mentions_found_are_kept_with_their_types_and_the_strongest_others(one: EncodedDocument) -> None:
    model, decoder, memory = system()
    found = document_attention(decoder, one, memory, reading=1.0)
    annotation = decoder.decode([one], reading=1.0, issues=Issues())[0].annotation
    assert len(annotation.mentions) == 9
    typed = {span: kind for span, kind in zip(found.spans, found.types, strict=True) if kind is not None}
    assert typed == {span: entity.type for entity in annotation.entities for span in entity.mentions}
    assert list(found.spans) == sorted(found.spans)
    candidates = list(map(tuple, all_spans(one.document, 3).tolist()))
    assert found.candidates == len(candidates)
    others = set(found.spans) - set(annotation.mentions)
    assert len(others) == STRONGEST < len(candidates) - 9
    attention = by_hand(model, decoder, one, "inverse")
    strength = sum(attention["mentions", "inverse", name].mean(1) for name in model.memories)
    weakest = min(float(strength[candidates.index(span)]) for span in others)
    left = [float(strength[row]) for row, span in enumerate(candidates) if span not in found.spans]
    assert weakest >= max(left)


def test_where_only_tokens_are_read_the_predicted_mentions_are_the_spans(one: EncodedDocument) -> None:
    _, decoder, memory = system(places="tokens", memories="relation")
    found = document_attention(decoder, one, memory, reading=1.0)
    assert [(read.place, read.memory) for read in found.reads] == [("tokens", "relation")]
    assert len(found.spans) == 9
    assert None not in found.types


def test_uniform_attention_gives_every_piece_the_same(one: EncodedDocument) -> None:
    _, decoder, memory = system(reads="uniform")
    for read in document_attention(decoder, one, memory, reading=1.0).reads:
        pieces = np.diff(one.bounds)
        each = pieces / pieces.sum() if read.place == "tokens" else 1 / len(all_spans(one.document, 3))
        np.testing.assert_allclose(read.weights, np.broadcast_to(each, np.shape(read.weights)), rtol=1e-3)


def test_slots_of_a_matrix_stand_for_no_type(one: EncodedDocument) -> None:
    for reads in ("learned", "random"):
        model, decoder, memory = system(reads=reads)
        found = document_attention(decoder, one, memory, reading=1.0)
        assert found.source == reads
        assert found.reads[0].slots == ("slot 1", "slot 2", "slot 3")
        rows = model.encoder(pad_pieces([one], decoder.wordpieces.padding))
        keys = model.reads["tokens"].reads["inverse"]["entity"].key(model.read_matrices["entity"].slots)
        wanted = torch.softmax(rows @ keys.T, 0)[one.bounds[-2] :].sum(0)
        np.testing.assert_allclose([slot[-1] for slot in found.reads[0].weights], wanted.detach(), rtol=1e-3)


def test_capturing_changes_no_prediction_and_ends(one: EncodedDocument) -> None:
    model, decoder, memory = system(read_mode="inverse-normal")
    before = decoder.decode([one], reading=1.0, issues=Issues())
    document_attention(decoder, one, memory, reading=1.0)
    assert decoder.decode([one], reading=1.0, issues=Issues()) == before
    assert not any(module._forward_hooks for module in model.modules())


def test_a_file_comes_back_and_a_damaged_one_is_one_line(tmp_path: Path, one: EncodedDocument) -> None:
    _, decoder, memory = system()
    found = [document_attention(decoder, one, memory, reading=strength) for strength in (1.0, 0.5)]
    path = tmp_path / "attention.test.jsonl"
    write_attention(path, found)
    assert read_attention(path) == found
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UserError, match=r"attention\.test\.jsonl is damaged: .*; delete it, or run") as caught:
        read_attention(path)
    assert "\n" not in str(caught.value)
