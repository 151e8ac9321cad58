"""Memory controls in place of the slots: what is read, what trains, and the constant against what it replaces."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from torch import Tensor

from core.config.memory import MemoryConfig
from core.features.wordpieces import EncodedDocument
from core.model.joint_model import JointModel
from core.model.memory import ConstantRead, InverseRead, NormalRead, mean_attention_shares
from core.training.checkpoints import ModelState, TrainedModel, load_model, save_model
from core.training.loop import train_step
from core.training.optimizer import build_optimizer
from tests.tiny import (
    LABELS,
    document,
    encoded,
    tiny_batch,
    tiny_config,
    tiny_model,
    wordpieces,
)

# Of different lengths, so that a mean over rows and one over documents are two numbers.
EXTRA = (0, 1, 4, 0)


@pytest.fixture(scope="module")
def documents() -> list[EncodedDocument]:
    return encoded(*(document(number, extra=extra) for number, extra in enumerate(EXTRA)))


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def control(reads: str, **memory: Any) -> JointModel:
    return tiny_model(tiny_config("memory-grc", {"memory": {"reads": reads, **memory}}), scale=4.0)


def mention_loss(model: JointModel, documents: list[EncodedDocument]) -> Tensor:
    """A loss that no memory classifies for: what reaches slots from it has come through reading."""
    return model(tiny_batch(tiny_config("memory-grc"), documents), reading=1.0).mention.square().sum()


@pytest.mark.parametrize("mode", ["inverse", "normal", "inverse-normal"])
def test_a_learned_matrix_trains_by_reading_alone_and_the_slots_by_writing_alone(
    mode: str, documents: list[EncodedDocument]
) -> None:
    model = control("learned", read_mode=mode)
    mention_loss(model, documents).backward()
    assert all(memory.slots.grad is None for memory in model.memories.values())
    assert all(bool(matrix.slots.grad.ne(0).any()) for matrix in model.read_matrices.values())
    model.zero_grad()
    logits = model(tiny_batch(tiny_config("memory-grc"), documents), reading=0.0)
    (logits.entity.square().sum() + logits.relation.square().sum()).backward()
    assert all(bool(memory.slots.grad.ne(0).any()) for memory in model.memories.values())
    assert all(matrix.slots.grad is None for matrix in model.read_matrices.values())


def test_a_frozen_matrix_is_neither_counted_nor_trained(documents: list[EncodedDocument]) -> None:
    config = tiny_config("memory-grc", {"memory": {"reads": "random"}})
    model = tiny_model(config).train()
    frozen = {name: matrix.slots.clone() for name, matrix in model.read_matrices.items()}
    written = {name: memory.slots.detach().clone() for name, memory in model.memories.items()}
    plain = tiny_model(tiny_config("memory-grc"))
    assert {name: one.shape for name, one in model.named_parameters()} == {
        name: one.shape for name, one in plain.named_parameters()
    }
    optimizer = build_optimizer(model, config.training)
    kept = {parameter.data_ptr() for group in optimizer.param_groups for parameter in group["params"]}
    assert not kept & {matrix.slots.data_ptr() for matrix in model.read_matrices.values()}
    for _ in range(3):
        train_step(model, tiny_batch(config, documents), config, Accelerator(cpu=True), optimizer, 1.0)
    assert all(torch.equal(model.read_matrices[name].slots, value) for name, value in frozen.items())
    assert not any(torch.equal(model.memories[name].slots, value) for name, value in written.items())


@pytest.mark.parametrize("reads", ["learned", "random"])
def test_what_is_read_is_the_matrix_and_not_the_slots(reads: str, documents: list[EncodedDocument]) -> None:
    model = control(reads, read_mode="inverse-normal")
    batch = tiny_batch(tiny_config("memory-grc"), documents)
    with torch.no_grad():
        before = model(batch, reading=1.0).mention
        model.memories["entity"].slots.mul_(3.0)
        assert torch.equal(model(batch, reading=1.0).mention, before)
        model.read_matrices["entity"].slots.mul_(3.0)
        assert not torch.equal(model(batch, reading=1.0).mention, before)


@pytest.mark.parametrize("reads", ["learned", "random", "uniform", "constant"])
def test_a_control_is_the_same_after_its_checkpoint(
    tmp_path: Path, reads: str, documents: list[EncodedDocument]
) -> None:
    config = tiny_config("memory-grc", {"memory": {"reads": reads}})
    model = tiny_model(config, seed=3, scale=4.0)
    save_model(tmp_path / "best", TrainedModel(model, wordpieces(), LABELS, ModelState(epoch=1, step=1, reading=1.0)))
    loaded = load_model(tmp_path / "best", config).model
    batch = tiny_batch(config, documents)
    with torch.no_grad():
        one, two = (vars(each(batch, reading=1.0)) for each in (model, loaded))
    assert all(torch.equal(value, two[name]) for name, value in one.items())


@pytest.mark.parametrize("scale", ["sum", "mean"])
def test_uniform_attention_is_alike_for_every_row_and_slot(scale: Any) -> None:
    rows, slots = drawn(7, 5), drawn(3, 5, seed=1)
    config = MemoryConfig(reads="uniform", inverse_scale=scale)
    inverse, normal = InverseRead(config, width=5, slot_width=5), NormalRead(config, width=5, slot_width=5)
    found = inverse(rows, slots, (5, 0, 2))
    weights = torch.tensor([3 / 5] * 5 + [3 / 2] * 2) if scale == "sum" else torch.ones(7)
    torch.testing.assert_close(found, weights.unsqueeze(1) * rows)
    torch.testing.assert_close(normal(rows, slots, (5, 0, 2)), slots.mean(0).expand(7, 5))
    assert not list(inverse.parameters())
    assert not list(normal.parameters())


def test_the_constant_has_the_mean_of_the_weights_that_it_replaces(documents: list[EncodedDocument]) -> None:
    config = tiny_config("memory-grc")
    model = tiny_model(config, scale=8.0)
    weights: dict[str, list[Tensor]] = {}

    def keep(name: str) -> Any:
        def hook(read: InverseRead, given: tuple[Any, ...], output: Tensor) -> None:
            weights.setdefault(name, []).append(read.weights(read.attention(*given), given[2]))

        return hook

    for place in ("tokens", "mentions"):
        for name, read in model.reads[place].reads["inverse"].items():
            read.register_forward_hook(keep(f"{place}/{name}"))
    with torch.no_grad():
        # Documents of one batch and of one each: the mean is over rows, however they are dealt out.
        for batch in (documents[:3], documents[3:]):
            model(tiny_batch(config, batch, epoch=5), reading=1.0)
    shares = mean_attention_shares(documents, config.samples, LABELS)
    for name, parts in weights.items():
        flat = torch.cat(parts)
        assert float(flat.std()) > 1e-3, "weights that are all alike would show nothing"
        place, memory = name.split("/")
        assert float(flat.mean()) == pytest.approx(shares[place] * len(model.memories[memory].slots), rel=1e-5)
    assert len(weights) == 4


def test_the_constant_is_one_number_for_training_and_inference(documents: list[EncodedDocument]) -> None:
    model = control("constant")
    read = model.reads["mentions"].reads["inverse"]["entity"]
    assert isinstance(read, ConstantRead)
    training = mean_attention_shares(encoded(*map(document, range(4))), tiny_config("memory-grc").samples, LABELS)
    rows, slots = drawn(40, 16), model.memories["entity"].slots
    for counts in ((4,), (40,), (13, 0, 27)):
        some = rows[: sum(counts)]
        torch.testing.assert_close(read(some, slots, counts), training["mentions"] * len(slots) * some)
    # At tokens it is another number, as rows are word pieces there.
    assert training["tokens"] != training["mentions"]
    assert float(model.reads["tokens"].reads["inverse"]["relation"].share) == pytest.approx(training["tokens"])


def test_a_constant_of_mean_scale_leaves_rows_as_they_are() -> None:
    rows = drawn(3, 4)
    assert torch.equal(ConstantRead(scale="mean")(rows, drawn(2, 4), (3,)), rows)


def test_a_constant_that_was_never_set_is_no_number() -> None:
    found = ConstantRead(scale="sum")(torch.ones(2, 4), torch.ones(3, 4), (2,))
    assert all(math.isnan(value) for value in found.flatten().tolist())


def test_the_mean_share_is_documents_over_rows() -> None:
    # Twelve negative spans are drawn of every document with five mentions, so long as it has as many.
    samples = tiny_config("memory-grc").samples
    some = encoded(document(0), document(1, extra=2))
    pieces = sum(len(one.ids) for one in some)
    assert mean_attention_shares(some, samples, LABELS) == {"tokens": 2 / pieces, "mentions": 2 / 34}
    assert mean_attention_shares([], samples, LABELS) == {"tokens": 0.0, "mentions": 0.0}
