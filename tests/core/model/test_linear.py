"""The two libraries give the same product and gradients, whatever the layout of the operands."""

import pytest
import torch

from core.model import layers as products
from core.model.layers import linear


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
