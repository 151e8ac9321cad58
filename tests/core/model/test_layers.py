"""Layers are torch's own: products of both libraries, dropout and its attention, and a Linear over parts."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom
from torch import Tensor, nn

from core.model import layers as products
from core.model.encoder_attention import _Attention
from core.model.layers import Dropout, SplitLinear, draw_dropped_positions, dropout, linear


@pytest.mark.skipif(not hasattr(torch.ops.mkldnn, "_linear_pointwise"), reason="this torch has no oneDNN")
@pytest.mark.parametrize("sliced", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("shape", [(7,), (2, 3)])
def test_onednn_and_mkl_agree(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...], bias: bool, sliced: bool
) -> None:
    calls = []
    product = products._product
    monkeypatch.setattr(products, "prefers_onednn", lambda: True)
    monkeypatch.setattr(products, "SMALL_PRODUCT", 0)
    monkeypatch.setattr(products, "_product", lambda *given: calls.append(1) or product(*given))
    generator = torch.Generator().manual_seed(0)
    wide = torch.randn(5, 20, generator=generator)
    given = torch.randn(*shape, 11, generator=generator)
    offset = torch.randn(5, generator=generator) if bias else None
    results = []
    for function in (linear, torch.nn.functional.linear):
        leaves = [part.clone().requires_grad_() for part in (given, wide, offset) if part is not None]
        weight = leaves[1][:, 4:15] if sliced else leaves[1][:, :11]
        found = function(leaves[0], weight, leaves[2] if bias else None)
        found.square().sum().backward()
        results.append([found.detach(), *(leaf.grad for leaf in leaves)])
    assert len(calls) == 3
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
    with torch.no_grad():
        torch.testing.assert_close(linear(given, wide[:, :11]), torch.nn.functional.linear(given, wide[:, :11]))


@pytest.mark.parametrize("p", [0.001, 0.1, 0.5, 0.95])
def test_every_value_is_dropped_at_its_rate(p: float) -> None:
    torch.manual_seed(3)
    counts = np.zeros(50)
    for _ in range(4_000):
        places = draw_dropped_positions(50, p)
        assert bool((places[1:] > places[:-1]).all())
        counts[places.numpy()] += 1
    # First, last and middle alike: 50 binomials within bounds that one in 10^5 leaves.
    low, high = binom.ppf([1e-7, 1 - 1e-7], 4_000, p)
    assert low <= counts.min()
    assert counts.max() <= high
    assert counts.sum() == pytest.approx(4_000 * 50 * p, rel=0.03 if p > 0.01 else 0.35)


def test_neighbours_are_dropped_independently() -> None:
    torch.manual_seed(4)
    mask = torch.zeros(1_000_000)
    mask[draw_dropped_positions(1_000_000, 0.1)] = 1.0
    for distance in (1, 2, 7, 64):
        together = float((mask[distance:] * mask[:-distance]).mean())
        assert together == pytest.approx(0.01, abs=0.0005)


def test_a_draw_that_falls_short_is_continued(monkeypatch: pytest.MonkeyPatch) -> None:
    # Uniform numbers near 1 give the shortest gaps: every value is dropped, and one draw never reaches the end.
    monkeypatch.setattr(torch, "rand", lambda count: torch.full((count,), 1e-9))
    assert draw_dropped_positions(500, 0.1).tolist() == list(range(500))


def test_dropout_is_keyed_scaled_and_off_in_evaluation() -> None:
    values, module = torch.ones(3, 4_000), Dropout(0.25)
    torch.manual_seed(1)
    first = module(values)
    torch.manual_seed(1)
    assert torch.equal(module(values), first)
    assert not torch.equal(module(values), first)
    assert first.unique().tolist() == pytest.approx([0.0, 4 / 3])
    assert torch.equal(module.eval()(values), values)


def test_gradients_of_dropout_and_attention() -> None:
    def seeded(function):  # type: ignore[no-untyped-def]
        def call(*given: torch.Tensor) -> torch.Tensor:
            torch.manual_seed(0)
            return function(*given)

        return call

    torch.manual_seed(2)
    values = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(seeded(lambda x: dropout(x, 0.3)), (values,))
    parts = tuple(torch.randn(2, 5, 3, dtype=torch.float64, requires_grad=True) for _ in range(3))
    assert torch.autograd.gradcheck(seeded(lambda q, k, v: _Attention.apply(q, k, v, 0.3)), parts)


def test_attention_with_dropout_is_the_formula() -> None:
    torch.manual_seed(5)
    q, k, v = (torch.randn(2, 6, 4, dtype=torch.float64) for _ in range(3))
    torch.manual_seed(6)
    found = _Attention.apply(q, k, v, 0.4)
    torch.manual_seed(6)
    places = draw_dropped_positions(2 * 6 * 6, 0.4)
    mask = torch.ones(72, dtype=torch.float64)
    mask[places] = 0.0
    wanted = ((q @ k.transpose(1, 2)).softmax(-1) * mask.view(2, 6, 6) / 0.6) @ v
    assert 0 < len(places) < 72
    torch.testing.assert_close(found, wanted)


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.integers(0, 6), st.integers(1, 5), st.integers(0, 99))
@settings(max_examples=60)
def test_split_linear_is_a_linear_over_the_concatenation(widths: list[int], rows: int, out: int, seed: int) -> None:
    names = {f"part {number}": width for number, width in enumerate(widths)}
    split, plain = SplitLinear(parts=names, width=out), nn.Linear(sum(widths), out)
    with torch.no_grad():
        split.weight.copy_(plain.weight)
        split.bias.copy_(plain.bias)
    values = [drawn(seed + number, rows, width) for number, width in enumerate(widths)]
    ours, theirs = ([value.clone().requires_grad_() for value in values] for _ in range(2))
    columns = split.columns()
    found = sum(value @ columns[name].T for name, value in zip(names, ours, strict=True)) + split.bias
    wanted = plain(torch.cat(theirs, dim=1))
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
    weights = drawn(seed + 50, rows, out)
    for output in (found, wanted):
        (output * weights).sum().backward()
    pairs = [*zip(ours, theirs, strict=True), (split.weight, plain.weight), (split.bias, plain.bias)]
    for mine, other in pairs:
        torch.testing.assert_close(mine.grad, other.grad, rtol=1e-5, atol=1e-5)
