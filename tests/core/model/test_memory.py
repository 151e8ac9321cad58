"""Memory reads and poolings against a naive transcription of their formulas, term by term."""

import itertools
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from core.config.memory import MemoryConfig
from core.model.memory import BilinearClassifier, Memory, PlaceRead

WIDTH, TYPES, RELATIONS = 6, 3, 4
COUNTS = (5, 0, 3)
MODES = ("inverse", "normal", "inverse-normal")
POOLINGS = ("mean", "sum", "concat", "gated")


def build(config: MemoryConfig, widths: dict[str, int]) -> tuple[PlaceRead, nn.ModuleDict]:
    """A place and its memories with drawn weights."""
    generator = torch.Generator().manual_seed(1)
    memories = nn.ModuleDict(
        {
            name: Memory(config, types=TYPES if name == "entity" else RELATIONS, width=width)
            for name, width in widths.items()
        }
    )
    place = PlaceRead(config=config, width=WIDTH, slot_widths=widths)
    with torch.no_grad():
        for parameter in itertools.chain(memories.parameters(), place.parameters()):
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.6)
    return place, memories


def rows_of(seed: int = 0) -> Tensor:
    return torch.randn(sum(COUNTS), WIDTH, generator=torch.Generator().manual_seed(seed))


def naive_inverse(rows: Tensor, weight: Tensor, slots: Tensor, scale: str) -> Tensor:
    """A = softmax over the positions of a document of (X W M^T); a = A summed over slots; a times X, row by row."""
    result = torch.zeros_like(rows)
    first = 0
    for count in COUNTS:
        document = rows[first : first + count]
        for slot in slots:
            scores = torch.stack([(row @ weight @ slot).exp() for row in document]) if count else torch.zeros(0)
            for position in range(count):
                share = scores[position] / scores.sum()
                if scale == "mean":
                    share = share * count / len(slots)
                result[first + position] += share * document[position]
        first += count
    return result


def naive_normal(rows: Tensor, weight: Tensor, slots: Tensor) -> Tensor:
    """A = softmax over slots of (X W M^T), output A M."""
    result = []
    for row in rows:
        scores = torch.stack([(row @ weight @ slot).exp() for slot in slots])
        shares = scores / scores.sum()
        result.append(sum((share * slot for share, slot in zip(shares, slots, strict=True)), torch.zeros(())))
    return torch.stack(result)


def naive_combine(rows: Tensor, reads: list[Tensor], pooling: str, place: PlaceRead, mode: str) -> Tensor:
    combine = place.combine[mode]
    if pooling == "concat":
        return torch.cat([rows, *reads], 1) @ combine.concat.weight.T + combine.concat.bias
    result = rows.clone()
    for number, read in enumerate(reads):
        if pooling == "gated":
            gate = combine.gates[number]
            both = torch.cat([rows, read], 1)
            result = result + 1 / (1 + (-(both @ gate.weight.T + gate.bias)).exp()) * read
        else:
            result = result + read
    return result / (1 + len(reads)) if pooling == "mean" else result


def naive_read(config: MemoryConfig, place: PlaceRead, memories: nn.ModuleDict, rows: Tensor) -> Tensor:
    result = rows
    for mode in ("inverse", "normal"):
        if mode not in config.read_mode:
            continue
        reads = []
        for name, memory in memories.items():
            reader = place.reads[mode][name]
            if mode == "inverse":
                reads.append(naive_inverse(result, reader.key.weight, memory.slots, config.inverse_scale))
            else:
                read = naive_normal(result, reader.key.weight, memory.slots)
                mapped = config.pooling == "residual" or memory.slots.shape[1] != WIDTH
                reads.append(read @ reader.widen.weight.T if mapped else read)
        pooling = config.pooling or ("mean" if mode == "inverse" else "concat")
        result = naive_combine(result, reads, pooling, place, mode)
    return result


@pytest.mark.parametrize(
    "widths", [{"entity": 6, "relation": 6}, {"entity": 5, "relation": 9}, {"relation": 6}, {"entity": 4}]
)
@pytest.mark.parametrize(("mode", "pooling"), [*itertools.product(MODES, (None, *POOLINGS)), ("normal", "residual")])
def test_a_read_is_its_formula(mode: Any, pooling: Any, widths: dict[str, int]) -> None:
    for scale, slots_per_type in (("sum", 1), ("mean", 2)):
        config = MemoryConfig(read_mode=mode, pooling=pooling, inverse_scale=scale, slots_per_type=slots_per_type)
        place, memories = build(config, widths)
        with torch.no_grad():
            found = place(rows_of(), memories, COUNTS, 1.0)
            wanted = naive_read(config, place, memories, rows_of())
        assert found.shape == (sum(COUNTS), WIDTH)
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
        assert not torch.allclose(found, rows_of(), atol=1e-2)


def test_an_inverse_mean_read_only_rescales_rows() -> None:
    place, memories = build(MemoryConfig(read_mode="inverse"), {"entity": 6, "relation": 6})
    with torch.no_grad():
        factors = place(rows_of(), memories, COUNTS, 1.0) / rows_of()
    torch.testing.assert_close(factors, factors[:, :1].expand_as(factors), rtol=1e-4, atol=1e-5)
    # (1 + a_E + a_R) / 3, and attention sums to the number of slots in every document.
    weights = factors[:, 0] * 3 - 1
    for part in weights.split(list(COUNTS)):
        assert float(part.sum()) == pytest.approx(TYPES + RELATIONS if len(part) else 0, abs=1e-4)


def test_mean_scale_gives_weights_that_average_one() -> None:
    config = MemoryConfig(read_mode="inverse", inverse_scale="mean", slots_per_type=2)
    place, memories = build(config, {"entity": 6})
    reader = place.reads["inverse"]["entity"]
    with torch.no_grad():
        attention = reader.attention(rows_of(), memories["entity"].slots, COUNTS)
        weights = reader.weights(attention, COUNTS)
    assert weights.std() > 1e-3
    for part in weights.split(list(COUNTS)):
        assert part.mean() == pytest.approx(1.0, abs=1e-5) if len(part) else True


@pytest.mark.parametrize("mode", MODES)
def test_the_ramp_goes_from_the_rows_to_the_read(mode: Any) -> None:
    place, memories = build(MemoryConfig(read_mode=mode), {"entity": 6, "relation": 6})
    rows = rows_of()
    with torch.no_grad():
        assert place(rows, memories, COUNTS, 0.0) is rows
        full = place(rows, memories, COUNTS, 1.0)
        for strength in (0.25, 0.8):
            found = place(rows, memories, COUNTS, strength)
            torch.testing.assert_close(found, (1 - strength) * rows + strength * full)


@given(
    counts=st.lists(st.integers(0, 6), min_size=1, max_size=4),
    seed=st.integers(0, 1000),
    slots_per_type=st.integers(1, 2),
    slot_width=st.sampled_from([None, 3, 9]),
    data=st.data(),
)
def test_a_residual_read_reads_every_row_alone(
    counts: list[int], seed: int, slots_per_type: int, slot_width: int | None, data: st.DataObject
) -> None:
    config = MemoryConfig(read_mode="normal", pooling="residual", slots_per_type=slots_per_type, slot_width=slot_width)
    place, memories = build(config, dict.fromkeys(("entity", "relation"), slot_width or WIDTH))
    rows = torch.randn(sum(counts), WIDTH, generator=torch.Generator().manual_seed(seed))
    kept = data.draw(st.permutations(range(len(rows))))[: data.draw(st.integers(0, len(rows)))]
    with torch.no_grad():
        read = place(rows, memories, counts, 1.0)
        alone = place(rows[kept], memories, (len(kept),), 1.0)
    torch.testing.assert_close(alone, read[kept], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("mode", MODES)
def test_read_grad_off_detaches_the_slots_and_never_the_weights(mode: Any, pooling: Any) -> None:
    for read_grad in (True, False):
        config = MemoryConfig(read_mode=mode, pooling=pooling, read_grad=read_grad, slot_width=5)
        place, memories = build(config, {"entity": 5, "relation": 6})
        (place(rows_of(), memories, COUNTS, 1.0) * rows_of(3)).sum().backward()
        for memory in memories.values():
            assert (memory.slots.grad is not None) == read_grad
            assert not read_grad or memory.slots.grad.abs().max() > 0
        for name, parameter in place.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("slot_logit", ["max", "logsumexp"])
@pytest.mark.parametrize("slots", [1, 3])
def test_a_type_with_several_slots_has_one_logit(slots: int, slot_logit: Any) -> None:
    memory = Memory(MemoryConfig(slots_per_type=slots, slot_logit=slot_logit), types=TYPES, width=5)
    with torch.no_grad():
        memory.slots.copy_(torch.randn(TYPES * slots, 5, generator=torch.Generator().manual_seed(0)))
    queries = torch.randn(4, 5, generator=torch.Generator().manual_seed(1))
    found = memory.similarity(queries)
    assert found.shape == (4, TYPES)
    for row, kind in itertools.product(range(4), range(TYPES)):
        own = torch.stack([queries[row] @ memory.slots[kind * slots + number] for number in range(slots)])
        wanted = own.max() if slot_logit == "max" else own.exp().sum().log()
        assert float(found[row, kind].detach()) == pytest.approx(float(wanted.detach()), abs=1e-5)


def test_a_type_row_is_the_detached_mean_of_its_slots() -> None:
    memory = Memory(MemoryConfig(slots_per_type=3), types=2, width=4)
    with torch.no_grad():
        memory.slots.copy_(torch.arange(24.0).view(6, 4))
    assert torch.equal(memory.type_rows(), torch.stack([memory.slots[:3].mean(0), memory.slots[3:].mean(0)]).detach())
    assert not memory.type_rows().requires_grad


def test_writing_is_a_bilinear_classifier_without_bias() -> None:
    memory = Memory(MemoryConfig(), types=TYPES, width=5)
    classifier = BilinearClassifier(MemoryConfig(), width=WIDTH, slot_width=5)
    with torch.no_grad():
        memory.slots.copy_(torch.randn(TYPES, 5, generator=torch.Generator().manual_seed(2)))
    assert [name for name, _ in classifier.named_parameters()] == ["project.weight"]
    logits = classifier(rows_of(), memory)
    torch.testing.assert_close(logits, (rows_of() @ classifier.project.weight.T) @ memory.slots.T)
    logits.sum().backward()
    assert memory.slots.grad is not None


def test_attention_stays_finite_where_scores_are_huge() -> None:
    place, memories = build(MemoryConfig(read_mode="inverse-normal"), {"entity": 6, "relation": 6})
    assert place(rows_of() * 1e4, memories, COUNTS, 1.0).isfinite().all()
