"""Coreference head: do two mentions belong to one entity?"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from core.config.schema import ModelConfig
from core.features.batches import SpanPairs
from core.model.layers import Dropout, Linear, SplitLinear, linear


class CorefHead(nn.Module):
    """[m_i; m_j; edit-distance embedding] -> H -> ReLU -> dropout -> 1, on ordered pairs."""

    def __init__(self, *, width: int, config: ModelConfig) -> None:
        super().__init__()
        self.edit_distance_embedding = nn.Embedding(config.edit_distance_table, config.meta_width)
        parts = {"first": width, "second": width, "edit_distance": config.meta_width}
        self.hidden = SplitLinear(parts=parts, width=width)
        self.dropout = Dropout(config.dropout)
        self.output = Linear(width, 1)

    def forward(self, vectors: Float[Tensor, "S H"], pairs: SpanPairs) -> Float[Tensor, " P"]:
        """The logit of every pair of span rows."""
        rows = pairs.edit_distances.clamp(max=self.edit_distance_embedding.num_embeddings - 1)
        columns = self.hidden.columns()
        by_distance = linear(self.edit_distance_embedding.weight, columns["edit_distance"], self.hidden.bias)
        hidden = (
            linear(vectors, columns["first"]).index_select(0, pairs.first)
            + linear(vectors, columns["second"]).index_select(0, pairs.second)
            + by_distance.index_select(0, rows)
        )
        logits: Tensor = self.output(self.dropout(torch.relu(hidden)))
        return logits.squeeze(1)
