"""Global relation head (GRC): an entity pair from its two entity vectors and types."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from core.config.schema import ModelConfig
from core.features.batches import EntityPairs
from core.model.layers import Dropout, SplitLinear, linear


class GlobalRelationHead(nn.Module):
    """[e_h; e_t; type of head; type of tail] -> H -> ReLU -> dropout: the hidden layer p of an entity pair."""

    def __init__(self, *, width: int, type_width: int, config: ModelConfig) -> None:
        super().__init__()
        parts = {"head": width, "tail": width, "head_type": type_width, "tail_type": type_width}
        self.hidden = SplitLinear(parts=parts, width=width)
        self.dropout = Dropout(config.dropout)

    def forward(
        self,
        entities: Float[Tensor, "N H"],
        entity_types: Int[Tensor, " N"],
        type_rows: Float[Tensor, "E W"],
        pairs: EntityPairs,
    ) -> Float[Tensor, "Q H"]:
        """The hidden layer of every pair; `type_rows` is the embedding of each entity type."""
        columns = self.hidden.columns()
        head_types, tail_types = (linear(type_rows, columns[name]) for name in ("head_type", "tail_type"))
        as_head = linear(entities, columns["head"], self.hidden.bias) + head_types.index_select(0, entity_types)
        as_tail = linear(entities, columns["tail"]) + tail_types.index_select(0, entity_types)
        hidden = as_head.index_select(0, pairs.heads) + as_tail.index_select(0, pairs.tails)
        activated: Tensor = self.dropout(torch.relu(hidden))
        return activated
