"""Cheap dropout is dropout: independent, at its rate, keyed by the seed, with the right gradient."""

import numpy as np
import pytest
import torch
from scipy.stats import binom

from core.model.encoder_attention import _Attention
from core.model.layers import Dropout, draw_dropped_positions, dropout


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
