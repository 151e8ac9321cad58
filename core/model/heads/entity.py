"""Entity head: the type of an entity; with a memory a bilinear classifier takes its place (`core.model.memory`)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from core.config.schema import ModelConfig
from core.model.layers import Dropout, Linear


class EntityHead(nn.Module):
    """e -> H -> ReLU -> dropout -> E (JEREX's entity classification)."""

    def __init__(self, *, width: int, types: int, config: ModelConfig) -> None:
        super().__init__()
        self.hidden = Linear(width, width)
        self.dropout = Dropout(config.dropout)
        self.output = Linear(width, types)

    def forward(self, vectors: Float[Tensor, "N H"]) -> Float[Tensor, "N E"]:
        """The logit of every type for every entity vector."""
        logits: Tensor = self.output(self.dropout(torch.relu(self.hidden(vectors))))
        return logits
