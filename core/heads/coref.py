"""Coreference: do two mentions belong to one entity?"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from core.batches import SpanPairs
from core.parted import PartedLinear


class CorefHead(nn.Module):
    """[m_i; m_j; edit-distance embedding] -> H -> ReLU -> dropout -> 1, on ordered pairs."""

    def __init__(self, *, width: int, meta_width: int, edit_distance_table: int, dropout: float) -> None:
        super().__init__()
        self.edit_distance_embedding = nn.Embedding(edit_distance_table, meta_width)
        self.hidden = PartedLinear(parts={"first": width, "second": width, "edit_distance": meta_width}, width=width)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(width, 1)

    def forward(self, vectors: Float[Tensor, "S H"], pairs: SpanPairs) -> Float[Tensor, " P"]:
        """The logit of every pair of span rows."""
        rows = pairs.edit_distances.clamp(max=self.edit_distance_embedding.num_embeddings - 1)
        by_distance = self.hidden.part("edit_distance", self.edit_distance_embedding.weight) + self.hidden.bias
        hidden = (
            self.hidden.part("first", vectors).index_select(0, pairs.first)
            + self.hidden.part("second", vectors).index_select(0, pairs.second)
            + by_distance.index_select(0, rows)
        )
        logits: Tensor = self.output(self.dropout(torch.relu(hidden)))
        return logits.squeeze(1)
