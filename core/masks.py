"""Dropout whose masks cost little on a processor, keyed like torch's by the generator that `torch.manual_seed` sets.

torch draws a number for every value. Here the gaps between dropped values are drawn (geometric, by inversion), so a
share p of as many numbers is enough, and what is kept for the backward pass are places instead of factors. Every value
is dropped independently with probability p, as in torch; only the mask of a given seed is another one.
"""

import math
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


def dropped(count: int, p: float) -> Int[Tensor, " places"]:
    """The places of dropped values among `count`, each with probability `p` (0 < p < 1), ascending."""
    parts: list[Tensor] = []
    last = -1
    while last < count - 1:
        left = count - 1 - last
        # Six standard deviations above the mean: a second draw is as good as never needed, and right when it is.
        wanted = int(left * p + 6.0 * math.sqrt(left * p * (1.0 - p))) + 8
        # rand is below 1, so that 1 - rand is above 0.
        gaps = torch.rand(wanted).neg_().add_(1.0).log_().mul_(1.0 / math.log1p(-p))
        # A gap past the end stays past it, and stays a number that the sum can hold.
        places = gaps.clamp_(max=float(2**40)).long().add_(1).cumsum_(0).add_(last)
        last = int(places[-1])
        parts.append(places)
    places = parts[0] if len(parts) == 1 else torch.cat(parts)
    return places[: int(torch.searchsorted(places, count))]


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
        """The values with some dropped in training, as they are otherwise."""
        return dropout(input, self.p) if self.training else input


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, p: float) -> Tensor:
        """Values to keep, scaled."""
        places = dropped(values.numel(), p)
        ctx.save_for_backward(places)
        ctx.scale = 1.0 / (1.0 - p)
        return _without(values, places, ctx.scale)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """The same mask on the gradient."""
        (places,) = ctx.saved_tensors
        return _without(gradient, places, ctx.scale), None


def _without(values: Tensor, places: Tensor, scale: float) -> Tensor:
    kept = torch.empty(values.shape, dtype=values.dtype)
    torch.mul(values, scale, out=kept)
    kept.view(-1).index_fill_(0, places, 0.0)
    return kept
