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
        ends = torch.tensor(list(parts.values())).cumsum(0).tolist()
        self._columns = {name: slice(end - parts[name], end) for name, end in zip(parts, ends, strict=True)}

    def part(self, name: str, values: Float[Tensor, "rows part"]) -> Float[Tensor, "rows H"]:
        """The product of one part, without the bias."""
        return nn.functional.linear(values, self.weight[:, self._columns[name]])
