"""Operations on flat tensors: maximum, range maximum, softmax within a document.

Gathers use `index_select`: the backward of `x[index]` is not deterministic on several CPU threads.
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor


def maximum(a: Float[Tensor, "*shape"], b: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """`torch.maximum`, ties sharing the gradient; on a CPU torch's own backward pass takes fifty times longer."""
    if not torch.is_grad_enabled():
        return torch.maximum(a, b)
    result: Tensor = _Maximum.apply(a, b)
    return result


class _Maximum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        """The larger of two values; which one it was is kept in a byte."""
        ctx.save_for_backward(torch.gt(a, b).view(torch.int8) - torch.lt(a, b).view(torch.int8))
        return torch.maximum(a, b)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """All of the gradient for the larger one, half each where they tie."""
        (sign,) = ctx.saved_tensors
        grad_a = torch.addcmul(gradient, gradient, sign.to(gradient.dtype)).mul_(0.5)
        return grad_a, gradient - grad_a


def range_max(values: Float[Tensor, "T H"], starts: Int[Tensor, " S"], ends: Int[Tensor, " S"]) -> Float[Tensor, "S H"]:
    """The maximum over each half-open range of rows, zeros where a range is empty.

    A sparse table: level l holds the maxima of 2^l neighbouring rows, and any range is the maximum of two of them, so
    that memory is T log(longest range) H instead of S T H. Where rows tie, the gradient is shared.
    """
    lengths = ends - starts
    longest = int(lengths.max()) if len(lengths) else 0
    if longest <= 0:
        return values.new_zeros(len(starts), values.shape[1])
    levels = [values]
    while 2 << (len(levels) - 1) <= longest:
        below, half = levels[-1], 1 << (len(levels) - 1)
        # Rows too close to the end have no full window; no range needs them.
        levels.append(maximum(below[: max(len(below) - half, 0)], below[half:]))
    sizes = torch.tensor([len(level) for level in levels], device=values.device)
    offsets = sizes.cumsum(0) - sizes
    level = torch.floor(torch.log2(lengths.clamp(min=1).double())).long()
    first = offsets.index_select(0, level) + starts
    second = offsets.index_select(0, level) + ends - torch.bitwise_left_shift(torch.ones_like(level), level)
    filled = lengths > 0
    first, second = first.where(filled, 0), second.where(filled, 0)
    table = torch.cat(levels)
    maxima = maximum(table.index_select(0, first), table.index_select(0, second))
    return maxima * filled.unsqueeze(1).to(maxima.dtype)


def segment_max(values: Float[Tensor, "M H"], offsets: Int[Tensor, " bounds"]) -> Float[Tensor, "N H"]:
    """The maximum over each segment of rows; segment i is rows offsets[i] to offsets[i + 1]."""
    return range_max(values, offsets[:-1], offsets[1:])


def softmax_within(logits: Float[Tensor, "S C"], counts: Sequence[int]) -> Float[Tensor, "S C"]:
    """Softmax over the rows of each document, column by column; a document without rows stays empty."""
    return torch.cat([own.softmax(0) for own in logits.split(list(counts))]) if len(logits) else logits
