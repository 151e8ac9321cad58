"""Layers: SplitLinear, Linear and Dropout, which compute on a CPU faster than torch's own what those compute.

SplitLinear: W [a; b; c] = W_a a + W_b b + W_c c. A part that many rows share (a mention in hundreds of pairs) is
multiplied once and gathered, and the concatenation is never built.

Linear: torch hands fp32 products to MKL, which leaves half of the vector width of other makers' processors unused;
oneDNN, which torch hands everything else to, uses all of it (an AMD EPYC with AVX-512 does 200 against 440 GFLOP/s).
The results differ in rounding only.

Dropout: torch draws a number for every value. Here the gaps between dropped values are drawn (geometric, by inversion),
so a share p of as many numbers is enough, and what is kept for the backward pass are positions instead of factors.
Every value is dropped independently with probability p; only the mask of a given seed is another one than torch's.
"""

import math
from functools import cache
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


class SplitLinear(nn.Module):
    """A Linear with bias whose input is the concatenation of named parts, in the order of `parts`."""

    def __init__(self, *, parts: dict[str, int], width: int) -> None:
        super().__init__()
        self.parts = parts
        self.weight = nn.Parameter(torch.empty(width, sum(parts.values())))
        self.bias = nn.Parameter(torch.empty(width))

    def columns(self) -> dict[str, Float[Tensor, "H _"]]:
        """The weight of every part, for `linear`; the bias is not in them.

        They are split together, so that the backward pass writes the whole weight's gradient once.
        """
        return dict(zip(self.parts, self.weight.split(list(self.parts.values()), dim=1), strict=True))


# Multiplications below which handing a product over costs more than it saves.
SMALL_PRODUCT = 2_000_000


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
    """`torch.nn.functional.linear`, by oneDNN where that is faster."""
    fits = values.dtype == weight.dtype == torch.float32 and values.device.type == "cpu"
    small = values.numel() * weight.shape[0] < SMALL_PRODUCT
    if not fits or small or not prefers_onednn() or torch.is_autocast_enabled("cpu"):
        return nn.functional.linear(values, weight, bias)
    # oneDNN falls back to plain loops for slices of a matrix; a copy costs next to nothing compared with that.
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
        needs_values, needs_weight, needs_bias = ctx.needs_input_grad
        rows = gradient.reshape(-1, gradient.shape[-1])
        flat = values.reshape(-1, values.shape[-1])
        return (
            _product(gradient, weight.t(), None) if needs_values else None,
            _product(rows.t(), flat.t(), None) if needs_weight else None,
            rows.sum(0) if needs_bias else None,
        )


def draw_dropped_positions(count: int, p: float) -> Int[Tensor, " dropped"]:
    """The positions of dropped values among `count`, each with probability `p` (0 < p < 1), ascending."""
    draws: list[Tensor] = []
    last = -1
    while last < count - 1:
        remaining = count - 1 - last
        # Six standard deviations above the mean: a second draw is almost never needed, and correct when it is.
        size = int(remaining * p + 6.0 * math.sqrt(remaining * p * (1.0 - p))) + 8
        # rand is below 1, so that 1 - rand is above 0.
        gaps = torch.rand(size).neg_().add_(1.0).log_().mul_(1.0 / math.log1p(-p))
        # A gap past the end stays past it, and stays a number that the sum can hold.
        positions = gaps.clamp_(max=float(2**40)).long().add_(1).cumsum_(0).add_(last)
        last = int(positions[-1])
        draws.append(positions)
    positions = draws[0] if len(draws) == 1 else torch.cat(draws)
    return positions[: int(torch.searchsorted(positions, count))]


def dropout(values: Float[Tensor, "*shape"], p: float) -> Float[Tensor, "*shape"]:
    """The values with a share `p` of them zero and the others scaled by 1 / (1 - p)."""
    if p == 0.0:
        return values
    if values.device.type != "cpu" or p >= 1.0:
        return nn.functional.dropout(values, p)
    result: Tensor = _Dropout.apply(values, p)
    return result


class Dropout(nn.Dropout):
    """`torch.nn.Dropout` by way of `dropout`."""

    def forward(self, input: Tensor) -> Tensor:
        """The values with some dropped in training, unchanged otherwise."""
        return dropout(input, self.p) if self.training else input


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, p: float) -> Tensor:
        """The values, some dropped, the others scaled."""
        positions = draw_dropped_positions(values.numel(), p)
        ctx.save_for_backward(positions)
        ctx.scale = 1.0 / (1.0 - p)
        return _drop(values, positions, ctx.scale)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """The same mask on the gradient."""
        (positions,) = ctx.saved_tensors
        return _drop(gradient, positions, ctx.scale), None


def _drop(values: Tensor, positions: Tensor, scale: float) -> Tensor:
    dropped = torch.empty(values.shape, dtype=values.dtype)
    torch.mul(values, scale, out=dropped)
    dropped.view(-1).index_fill_(0, positions, 0.0)
    return dropped
