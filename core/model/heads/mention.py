"""Mention head: is a span a mention?"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from core.config.schema import ModelConfig
from core.model.layers import Dropout, Linear, SplitLinear, linear


class MentionHead(nn.Module):
    """[span; width embedding] -> H -> ReLU -> dropout -> 1 (JEREX's mention localisation)."""

    def __init__(self, *, width: int, config: ModelConfig) -> None:
        super().__init__()
        self.width_embedding = nn.Embedding(config.width_table, config.meta_width)
        self.hidden = SplitLinear(parts={"span": width, "width": config.meta_width}, width=width)
        self.dropout = Dropout(config.dropout)
        self.output = Linear(width, 1)

    def forward(self, vectors: Float[Tensor, "S H"], widths: Int[Tensor, " S"]) -> Float[Tensor, " S"]:
        """The logit of every span; widths in tokens, those beyond the table share its last row."""
        rows = widths.clamp(max=self.width_embedding.num_embeddings - 1)
        columns = self.hidden.columns()
        by_width = linear(self.width_embedding.weight, columns["width"], self.hidden.bias)
        hidden = linear(vectors, columns["span"]) + by_width.index_select(0, rows)
        logits: Tensor = self.output(self.dropout(torch.relu(hidden)))
        return logits.squeeze(1)
