"""Operations on flat tensors against the plain loops that they replace, gradients included."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from core.model.ops import maximum, range_max, segment_max, softmax_within

# A slow machine is no failure: what is checked here is arithmetic.
relaxed = settings(max_examples=60)


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def loop_max(values: Tensor, starts: Tensor, ends: Tensor) -> Tensor:
    rows = [
        values[start:end].amax(0) if end > start else values.new_zeros(values.shape[1])
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
    ]
    return torch.stack(rows) if rows else values.new_zeros(0, values.shape[1])


@st.composite
def ranges(draw: st.DrawFn) -> tuple[int, int, list[tuple[int, int]]]:
    """Rows, a seed, and ranges of them: some empty, some single, some all of them."""
    rows = draw(st.integers(1, 40))
    bounds = st.tuples(st.integers(0, rows), st.integers(0, rows)).map(lambda pair: (min(pair), max(pair)))
    return rows, draw(st.integers(0, 99)), draw(st.lists(bounds | st.just((0, rows)), max_size=12))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_larger_is_torchs_maximum_bit_for_bit_gradients_included(dtype: torch.dtype) -> None:
    # Rounded: about a tenth of the values tie. A NaN without a gradient gives none.
    one, other, weights = (drawn(seed, 40, 7).mul(4).round().to(dtype) for seed in range(3))
    one[3, 2], one[5], other[5], weights[3] = torch.nan, torch.inf, torch.inf, 0.0
    found = []
    for compute in (maximum, torch.maximum):
        leaves = [part.clone().requires_grad_() for part in (one, other)]
        result = compute(*leaves)
        result.backward(weights)
        found.append([result.detach(), *(leaf.grad for leaf in leaves)])
    for ours, theirs in zip(*found, strict=True):
        assert torch.equal(ours.nan_to_num(9.0), theirs.nan_to_num(9.0))
    assert torch.equal(maximum(one, other).nan_to_num(9.0), found[0][0].nan_to_num(9.0))
    assert found[0][1].isfinite().all()


@given(ranges())
@relaxed
def test_range_max_is_the_loop_gradients_included(case: tuple[int, int, list[tuple[int, int]]]) -> None:
    rows, seed, bounds = case
    starts, ends = torch.tensor(bounds, dtype=torch.long).reshape(-1, 2).T.contiguous()
    values, weights = drawn(seed, rows, 3), drawn(seed + 1, len(bounds), 3)
    gradients = []
    for compute in (range_max, loop_max):
        leaf = values.clone().requires_grad_()
        found = compute(leaf, starts, ends)
        assert torch.equal(found, loop_max(values, starts, ends))
        (found * weights).sum().backward() if found.requires_grad else None
        gradients.append(leaf.grad if leaf.grad is not None else torch.zeros_like(values))
    # Several ranges add up in another order.
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-5, atol=1e-6)


@given(ranges())
@relaxed
def test_range_max_shares_the_gradient_of_tied_rows(case: tuple[int, int, list[tuple[int, int]]]) -> None:
    rows, seed, bounds = case
    starts, ends = torch.tensor(bounds, dtype=torch.long).reshape(-1, 2).T.contiguous()
    # Few different values: most maxima tie. The gradient of a range stays one in sum and goes to maximal rows only.
    values = drawn(seed, rows, 2).round()
    for start, end in zip(starts, ends, strict=True):
        leaf = values.clone().requires_grad_()
        found = range_max(leaf, start.reshape(1), end.reshape(1))
        if not found.requires_grad:
            assert int(end) == int(start)
            continue
        found.sum().backward()
        assert leaf.grad is not None
        total = leaf.grad.sum(0)
        torch.testing.assert_close(total, torch.full_like(total, float(end > start)))
        inside = torch.zeros(rows, 1, dtype=torch.bool)
        inside[int(start) : int(end)] = True
        assert not bool((leaf.grad[~(inside & (values == found)).expand_as(leaf.grad)] != 0).any())
        assert not bool((leaf.grad < 0).any())


def test_empty_ranges_give_zeros_and_no_gradient() -> None:
    values = (-drawn(0, 9, 4).abs() - 1).requires_grad_()
    starts, ends = torch.tensor([3, 2, 9, 0]), torch.tensor([3, 6, 9, 0])
    found = range_max(values, starts, ends)
    assert found[[0, 2, 3]].eq(0).all()
    assert found[1].lt(0).all()
    found[[0, 2, 3]].sum().backward()
    assert values.grad is not None
    assert values.grad.eq(0).all()
    assert range_max(values, starts[:1], ends[:1]).shape == (1, 4)
    assert range_max(values, starts[:0], ends[:0]).shape == (0, 4)
    assert range_max(values[:0], starts[3:], ends[3:]).eq(0).all()


def test_a_nan_outside_a_range_stays_outside() -> None:
    values = drawn(0, 6, 2)
    values[4] = torch.nan
    found = range_max(values, torch.tensor([0, 5, 2]), torch.tensor([4, 6, 4]))
    assert found.isfinite().all()


@given(st.lists(st.integers(0, 6), min_size=1, max_size=8), st.integers(0, 99))
@relaxed
def test_segment_max_is_the_maximum_of_each_segment(sizes: list[int], seed: int) -> None:
    values = drawn(seed, sum(sizes), 3)
    offsets = torch.tensor([0, *torch.tensor(sizes).cumsum(0).tolist()])
    found = segment_max(values, offsets)
    for row, part in zip(found, values.split(sizes), strict=True):
        assert torch.equal(row, part.amax(0) if len(part) else torch.zeros(3))


@given(st.lists(st.integers(0, 6), min_size=1, max_size=8), st.integers(0, 99), st.floats(0.1, 80))
@relaxed
def test_softmax_within_sums_to_one_in_each_document(sizes: list[int], seed: int, scale: float) -> None:
    logits = drawn(seed, sum(sizes), 3) * scale
    found = softmax_within(logits, sizes)
    assert found.shape == logits.shape
    for part, own in zip(found.split(sizes), logits.split(sizes), strict=True):
        torch.testing.assert_close(part.sum(0), torch.full((3,), float(len(part) > 0)))
        alone = softmax_within(own, [len(own)])
        torch.testing.assert_close(part, alone)
