"""A Linear over a concatenation, computed part by part.

W [a; b; c] = W_a a + W_b b + W_c c: a part that many rows share (a mention in hundreds of pairs) is multiplied once and
gathered, and the concatenation is never built.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class PartedLinear(nn.Module):
    """A Linear with bias whose input is the concatenation of named parts, in the order of `parts`."""

    def __init__(self, *, parts: dict[str, int], width: int) -> None:
        super().__init__()
        self.parts = parts
        self.weight = nn.Parameter(torch.empty(width, sum(parts.values())))
        self.bias = nn.Parameter(torch.empty(width))

    def columns(self) -> dict[str, Float[Tensor, "H _"]]:
        """The weight of every part, for `core.products.linear`; the bias is not in them.

        They are split together, so that the backward pass writes the whole weight's gradient once.
        """
        return dict(zip(self.parts, self.weight.split(list(self.parts.values()), dim=1), strict=True))
