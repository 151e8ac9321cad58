"""Model grid: every preset and every combination of memory options is built, stepped with the optimiser and decoded."""

import itertools
import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from accelerate import Accelerator

from core.config.presets import names
from core.config.schema import RunConfig
from core.data.issues import Issues
from core.features.wordpieces import EncodedDocument
from core.training.loop import train_step
from core.training.optimizer import build_optimizer
from tests.tiny import (
    SYSTEMS,
    document,
    encoded,
    tiny_batch,
    tiny_config,
    tiny_decoder,
    tiny_model,
)

# Thresholds that an untrained model passes, so that decoding has mentions, clusters and relations to work on.
EAGER = {
    "model": {"mention_threshold": 0.3, "coref_threshold": 0.5, "relation_threshold": 0.3},
    "inference": {"max_mentions": 6},
}
READ = ("inverse", "normal", "inverse-normal")
WHICH = (("both", "both"), ("both", "entity"), ("both", "relation"), ("entity", "entity"), ("relation", "relation"))


def reading_points() -> Iterator[dict[str, Any]]:
    """Every valid way of reading."""
    poolings = (None, "mean", "sum", "concat", "gated")
    for mode, pooling, places, which in itertools.product(READ, poolings, ("tokens", "mentions", "both"), WHICH):
        classifies, memories = which
        yield {"read_mode": mode, "pooling": pooling, "places": places, "classifies": classifies, "memories": memories}
    for classifies in ("both", "entity", "relation"):
        yield {"read_mode": "none", "classifies": classifies}


def control_points() -> Iterator[dict[str, Any]]:
    """Every control in place of the written slots that each mode of reading can have."""
    others = ({}, {"slot_width": 11, "slots_per_type": 2}, {"pooling": "gated"}, {"places": "tokens"})
    for mode, control, other in itertools.product(READ, ("learned", "random", "uniform"), others):
        yield {"read_mode": mode, "reads": control} | other
    for other in (*others, {"inverse_scale": "mean", "pooling": "concat"}):
        yield {"read_mode": "inverse", "reads": "constant"} | other


def slot_points() -> Iterator[dict[str, Any]]:
    """Every shape of slots and way of training them, under every read mode."""
    slots = ({}, {"slots_per_type": 2}, {"slots_per_type": 3, "slot_logit": "logsumexp"})
    widths = ({}, {"slot_width": 11}, {"entity_slot_width": 7, "relation_slot_width": 16})
    others = ({}, {"read_grad": False}, {"inverse_scale": "mean"}, {"ramp": 0.5, "warmup": 0.2}, {"pooling": "gated"})
    for mode, *rest in itertools.product(("none", *READ), slots, widths, others):
        yield {"read_mode": mode} | {name: value for part in rest for name, value in part.items()}


POINTS = (*reading_points(), *control_points())


def name_of(point: dict[str, Any]) -> str:
    return ",".join(str(value) for value in point.values())


@pytest.fixture(scope="module")
def accelerator() -> Accelerator:
    return Accelerator(cpu=True)


@pytest.fixture(scope="module")
def documents() -> list[EncodedDocument]:
    return encoded(document(0), document(1, extra=1))


def build_step_decode(
    config: RunConfig, accelerator: Accelerator, documents: list[EncodedDocument], reading: float = 1.0
) -> None:
    model = tiny_model(config).train()
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    optimizer = build_optimizer(model, config.training)
    losses, norm = train_step(model, tiny_batch(config, documents), config, accelerator, optimizer, reading)
    assert all(math.isfinite(value) and value > 0 for value in losses.values())
    assert math.isfinite(norm)
    for name, parameter in model.named_parameters():
        # The gradient of a key bias is zero in exact arithmetic.
        if name.endswith("key.bias"):
            continue
        assert parameter.grad is not None, name
        assert bool(parameter.grad.ne(0).any()), name
        assert not torch.equal(parameter, before[name]), name
    issues = Issues()
    decoded = tiny_decoder(model, config).decode(documents, reading=reading, issues=issues)
    assert [len(one.annotation.mentions) for one in decoded] == [6, 6]
    assert issues.counts == {"mention_flood": 2}
    for one in decoded:
        assert sum(len(entity.mentions) for entity in one.annotation.entities) == 6
        assert len(one.annotation.entities) == 1 or one.ranked
        assert all(math.isfinite(relation.score or 0.0) for relation in one.ranked)


# A residual read trains a part of itself only from its second step: its own test is with the initial weights.
@pytest.mark.parametrize("preset", sorted(name for name in names() if "residual" not in name))
def test_every_preset_trains_and_decodes(
    preset: str, accelerator: Accelerator, documents: list[EncodedDocument]
) -> None:
    build_step_decode(tiny_config(preset, EAGER), accelerator, documents)


# The heads take turns; an odd number of combinations of each option shows every option to both.
@pytest.mark.parametrize(
    ("point", "preset"),
    list(zip(POINTS, itertools.cycle(("memory-grc", "memory-mrc")), strict=False)),
    ids=lambda value: name_of(value) if isinstance(value, dict) else value,
)
def test_every_way_of_reading_trains_and_decodes(
    point: dict[str, Any], preset: str, accelerator: Accelerator, documents: list[EncodedDocument]
) -> None:
    build_step_decode(tiny_config(preset, EAGER | {"memory": point}), accelerator, documents)


@pytest.mark.parametrize("point", list(slot_points()), ids=name_of)
def test_every_shape_of_slots_trains_and_decodes(
    point: dict[str, Any], accelerator: Accelerator, documents: list[EncodedDocument]
) -> None:
    config = tiny_config("memory-mrc", EAGER | {"memory": point})
    build_step_decode(config, accelerator, documents, reading=0.5 if "ramp" in point else 1.0)


@pytest.mark.parametrize("preset", ["memory-grc", "memory-mrc"])
def test_before_reading_starts_the_reads_are_not_trained(preset: str, documents: list[EncodedDocument]) -> None:
    config = tiny_config(preset)
    model = tiny_model(config)
    logits = model(tiny_batch(config, documents), reading=0.0)
    sum(value.sum() for value in vars(logits).values()).backward()
    untouched = {name for name, parameter in model.named_parameters() if parameter.grad is None}
    assert untouched == {name for name, _ in model.named_parameters() if name.startswith("reads.")}
    assert untouched


@pytest.mark.parametrize("head", ["grc", "mrc"])
def test_a_memory_preset_without_its_memory_is_jerex(head: str, documents: list[EncodedDocument]) -> None:
    jerex = tiny_config(f"jerex-{head}")
    bare = tiny_config(f"memory-{head}").model_copy(update={"memory": None})
    one, two = tiny_model(jerex), tiny_model(bare)
    assert list(one.state_dict()) == list(two.state_dict())
    assert all(torch.equal(value, two.state_dict()[name]) for name, value in one.state_dict().items())
    batch = tiny_batch(jerex, documents)
    first, second = (vars(model(batch, reading=reading)) for model, reading in ((one, 0.0), (two, 1.0)))
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    assert not any("memor" in name or "reads" in name for name in one.state_dict())


def test_a_memory_that_is_not_read_still_classifies(documents: list[EncodedDocument]) -> None:
    config = tiny_config("memory-grc", {"memory": {"read_mode": "none"}})
    model = tiny_model(config)
    batch = tiny_batch(config, documents)
    read, unread = (vars(model(batch, reading=reading)) for reading in (1.0, 0.0))
    assert all(torch.equal(value, unread[name]) for name, value in read.items())
    names_of_parameters = set(dict(model.named_parameters()))
    assert {"memories.entity.slots", "memories.relation.slots", "entity_head.project.weight"} <= names_of_parameters
    assert "entity_head.output.weight" not in names_of_parameters


@pytest.mark.parametrize(
    ("classifies", "kept"), [("entity", "relation_classifier"), ("relation", "entity_head.output")]
)
def test_only_the_head_that_a_memory_replaces_is_gone(classifies: str, kept: str) -> None:
    config = tiny_config("memory-grc", {"memory": {"classifies": classifies, "memories": classifies}})
    model = tiny_model(config)
    assert f"{kept}.weight" in dict(model.named_parameters())
    assert list(model.memories) == [classifies]


@pytest.mark.parametrize("preset", SYSTEMS)
def test_type_rows_are_detached_in_the_relation_head(preset: str, documents: list[EncodedDocument]) -> None:
    config = tiny_config(preset, {"memory": {"read_mode": "none"}} if preset.startswith("memory") else {})
    model = tiny_model(config)
    model(tiny_batch(config, documents), reading=0.0).relation.sum().backward()
    if model.type_embedding is not None:
        assert model.type_embedding.weight.grad is not None
    else:
        assert model.memories["entity"].slots.grad is None
        assert model.memories["relation"].slots.grad is not None
