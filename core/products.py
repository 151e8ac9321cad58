"""Matrix products of fp32 layers on a processor, by the faster of the two libraries that torch carries.

torch hands fp32 products to MKL, which leaves half of the vector width of other makers' processors unused; oneDNN,
which torch hands everything else to, uses all of it (an AMD EPYC with AVX-512 does 200 against 440 GFLOP/s). The
results differ in rounding only.
"""

from functools import cache
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

# Multiplications below which handing a product over costs more than it saves.
SMALL = 2_000_000


@cache
def prefers_onednn() -> bool:
    """Whether this processor is one on which oneDNN is the faster library for fp32."""
    if torch.backends.cpu.get_cpu_capability() != "AVX512" or not torch.backends.mkl.is_available():
        return False
    if not torch.backends.mkldnn.is_available() or not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        return False
    processor = Path("/proc/cpuinfo")
    return processor.is_file() and "GenuineIntel" not in processor.read_text(errors="replace")


def linear(
    values: Float[Tensor, "*rows in_width"],
    weight: Float[Tensor, "out_width in_width"],
    bias: Float[Tensor, " out_width"] | None = None,
) -> Float[Tensor, "*rows out_width"]:
    """`torch.nn.functional.linear`, at full speed where that is not."""
    fits = values.dtype == weight.dtype == torch.float32 and values.device.type == "cpu"
    if not fits or values.numel() * weight.shape[0] < SMALL or not prefers_onednn() or torch.is_autocast_enabled("cpu"):
        return nn.functional.linear(values, weight, bias)
    # oneDNN falls back to plain loops for slices of a matrix: a copy costs next to nothing beside that.
    values, weight = values.contiguous(), weight.contiguous()
    if not torch.is_grad_enabled():
        return _product(values, weight, bias)
    result: Tensor = _Linear.apply(values, weight, bias)
    return result


class Linear(nn.Linear):
    """`torch.nn.Linear` by way of `linear`."""

    def forward(self, input: Tensor) -> Tensor:
        """The product with the weight, and the bias."""
        return linear(input, self.weight, self.bias)


def _product(values: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    product: Tensor = torch.ops.mkldnn._linear_pointwise(values, weight, bias, "none", [], "")
    return product


class _Linear(torch.autograd.Function):
    """The product and its three gradients; transposed operands are read as they lie."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """The product."""
        ctx.save_for_backward(values, weight)
        return _product(values, weight, bias)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Gradients of values, weight and bias, each where it is needed."""
        values, weight = ctx.saved_tensors
        gradient = gradient.contiguous()
        of_values, of_weight, of_bias = ctx.needs_input_grad
        rows = gradient.reshape(-1, gradient.shape[-1])
        flat = values.reshape(-1, values.shape[-1])
        return (
            _product(gradient, weight.t(), None) if of_values else None,
            _product(rows.t(), flat.t(), None) if of_weight else None,
            rows.sum(0) if of_bias else None,
        )
