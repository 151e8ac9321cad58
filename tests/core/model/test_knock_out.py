"""Knock-outs: what the reads return under them, that they end, and that they find a memory that is used."""

from functools import cache
from typing import Any

import msgspec
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from core.data.issues import Issues
from core.model.decoder import Decoder
from core.model.joint_model import JointModel
from core.model.knock_out import decode_knocked_out, mean_reads
from core.model.memory import InverseRead, SlotRead
from core.records.memory_use import KnockOut
from core.scoring.evaluate import count_documents
from core.scoring.metrics import TASKS, score
from tests.tiny import document, encoded, tiny_config, tiny_decoder, tiny_model

EAGER = {"model": {"mention_threshold": 0.45, "coref_threshold": 0.5}, "inference": {"max_mentions": 9}}


@cache
def place_read(mode: str, **memory: Any) -> tuple[JointModel, SlotRead, Tensor]:
    """A read of entity slots at mentions."""
    model, _ = system(read_mode=mode, places="mentions", **memory)
    return model, model.reads["mentions"].reads[mode]["entity"], model.memory("entity").slots


def system(*, preset: str = "memory-grc", **memory: Any) -> tuple[JointModel, Decoder]:
    config = tiny_config(preset, EAGER | {"memory": memory})
    model = tiny_model(config, scale=15.0)
    return model, tiny_decoder(model, config)


READS = [("normal", {}), ("normal", {"slot_width": 5}), ("inverse", {}), ("inverse", {"inverse_scale": "mean"})]


@pytest.mark.parametrize(("mode", "memory"), READS)
@settings(max_examples=30)
@given(counts=st.lists(st.integers(0, 7), min_size=1, max_size=5).filter(any), seed=st.integers(0, 100))
def test_every_row_of_a_document_reads_the_same(
    mode: str, memory: dict[str, Any], counts: list[int], seed: int
) -> None:
    model, read, slots = place_read(mode, **memory)
    rows = torch.randn(sum(counts), 16, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        whole = read(rows, slots, counts)
        with mean_reads(model):
            knocked_out = read(rows, slots, counts)
        first = 0
        for count in counts:
            own = slice(first, first + count)
            first += count
            if not count:
                continue
            if isinstance(read, InverseRead):
                # A row's weight is what the read multiplied it with.
                weight = (whole[own] / rows[own]).mean()
                wanted = weight * rows[own]
                slots_read = len(slots) if read.scale == "sum" else count
                torch.testing.assert_close(weight, torch.tensor(slots_read / count), rtol=1e-3, atol=1e-4)
            else:
                wanted = whole[own].mean(0).expand(count, -1)
            torch.testing.assert_close(knocked_out[own], wanted, rtol=1e-3, atol=1e-4)
    assert not torch.allclose(knocked_out, whole, atol=1e-4) or max(counts) == 1, "nothing was knocked out"


@pytest.mark.parametrize("preset", ["memory-grc", "memory-mrc"])
def test_a_knock_out_changes_reads_only_and_ends(preset: str) -> None:
    model, decoder = system(preset=preset, read_mode="inverse-normal", slots_per_type=2)
    documents = encoded(*(document(number) for number in range(3)))
    before = decoder.decode(documents, reading=1.0, issues=Issues())
    vectors = torch.randn(4, 16, generator=torch.Generator().manual_seed(0))
    classified = model.entity_head(vectors, model.memory("entity"))
    type_rows = model.memory("entity").type_rows()
    with mean_reads(model):
        assert decoder.decode(documents, reading=1.0, issues=Issues()) != before
        # The classifiers, and the type rows of the relation head, keep their slots.
        assert torch.equal(model.entity_head(vectors, model.memory("entity")), classified)
        assert torch.equal(model.memory("entity").type_rows(), type_rows)
    assert not [module for module in model.modules() if module._forward_hooks]
    assert decoder.decode(documents, reading=1.0, issues=Issues()) == before
    off = decode_knocked_out(decoder, documents, "reading-off", reading=1.0)
    assert off == decoder.decode(documents, reading=0.0, issues=Issues()) != before
    with pytest.raises(ZeroDivisionError), mean_reads(model):
        1 / 0  # noqa: B018
    assert not [module for module in model.modules() if module._forward_hooks]


def test_a_constant_read_is_the_same_for_all_rows_already() -> None:
    _, decoder = system(reads="constant")
    documents = encoded(document(0), document(1))
    whole = decoder.decode(documents, reading=1.0, issues=Issues())
    assert decode_knocked_out(decoder, documents, "mean-read", reading=1.0) == whole
    assert decode_knocked_out(decoder, documents, "reading-off", reading=1.0) != whole


def residual_system() -> tuple[JointModel, Decoder]:
    """A model whose normal read at mentions adds what its maps V let through: nothing yet."""
    config = tiny_config("memory-residual-grc", {"model": EAGER["model"], "memory": {"places": "mentions"}})
    model = tiny_model(config, scale=15.0)
    return model, tiny_decoder(model, config)


def plant_memory(model: JointModel) -> None:
    """Let the read of the entity memory alone decide what a mention is, by the slot that a span attends to."""
    component = 0
    read = model.reads["mentions"].reads["normal"]["entity"]
    head = model.mention_head
    norm = next(module for name, module in model.encoder.named_modules() if name.endswith("layer.0.output.LayerNorm"))
    with torch.no_grad():
        # No state, and so no span vector, has anything in this component before it is read ...
        norm.weight[component] = norm.bias[component] = 0.0
        # ... the read adds +10 for the content of the first slot and -10 for that of the others ...
        slots = model.memory("entity").slots
        content = torch.tensor([[10.0], [-10.0], [-10.0]])
        read.widen.weight.zero_()
        read.widen.weight[component] = (torch.linalg.pinv(slots) @ content).squeeze(1)
        # ... by sharp attention, and the mention head sees nothing else.
        read.key.weight.mul_(20.0)
        head.hidden.weight.zero_()
        head.hidden.weight[0, component] = 1.0
        head.hidden.bias.zero_()
        head.output.weight.zero_()
        head.output.weight[0, 0] = 1.0
        head.output.bias.fill_(-1.0)


def score_both(decoder: Decoder) -> dict[KnockOut | None, dict[str, float]]:
    """F1 by task of the whole model (None), which is right by construction, and under each knock-out."""
    documents = encoded(*(document(number, extra=number % 2) for number in range(4)))
    whole = decoder.decode(documents, reading=1.0, issues=Issues())
    plain = [
        msgspec.structs.replace(one.document, gold=prediction.annotation)
        for one, prediction in zip(documents, whole, strict=True)
    ]
    knock_outs: tuple[KnockOut, ...] = ("reading-off", "mean-read")
    predicted: dict[KnockOut | None, Any] = {None: whole}
    predicted |= {kind: decode_knocked_out(decoder, documents, kind, reading=1.0) for kind in knock_outs}
    scores = {
        kind: score(count_documents(plain, [one.annotation for one in decoded])) for kind, decoded in predicted.items()
    }
    return {kind: {task: getattr(own, task).f1 for task in TASKS} for kind, own in scores.items()}


def test_a_memory_that_decides_is_found_to_be_used() -> None:
    model, decoder = residual_system()
    plant_memory(model)
    scores = score_both(decoder)
    assert scores[None] == dict.fromkeys(TASKS, 100.0)
    for kind in ("reading-off", "mean-read"):
        assert scores[kind]["mention"] < 60.0
        assert scores[kind]["relation_strict"] < 60.0


def test_a_memory_that_reaches_no_row_is_found_not_to_be() -> None:
    _, decoder = residual_system()
    scores = score_both(decoder)
    assert scores[None] == dict.fromkeys(TASKS, 100.0)
    assert scores["reading-off"] == scores["mean-read"] == scores[None]
