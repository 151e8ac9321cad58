"""Multi-instance relation head (MRC): an entity pair from the maximum over its mention pairs."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from core.config.schema import ModelConfig
from core.features.batches import EntityPairs, MentionPairs
from core.model.layers import Dropout, SplitLinear, linear
from core.model.ops import range_max, segment_max


class MultiInstanceRelationHead(nn.Module):
    """[ctx; m_h; m_t; e_h; e_t; token distance; sentence distance] -> H -> dropout, max over the mention pairs, then
    [that; type of head; type of tail] -> H -> ReLU -> dropout: the hidden layer p of an entity pair."""

    def __init__(self, *, width: int, type_width: int, config: ModelConfig) -> None:
        super().__init__()
        self.token_distance_embedding = nn.Embedding(config.token_distance_table, config.meta_width)
        self.sentence_distance_embedding = nn.Embedding(config.sentence_distance_table, config.meta_width)
        vectors = dict.fromkeys(("context", "head_mention", "tail_mention", "head", "tail"), width)
        distances = dict.fromkeys(("token_distance", "sentence_distance"), config.meta_width)
        self.instance = SplitLinear(parts=vectors | distances, width=width)
        parts = {"instances": width, "head_type": type_width, "tail_type": type_width}
        self.hidden = SplitLinear(parts=parts, width=width)
        self.dropout = Dropout(config.dropout)

    def forward(
        self,
        states: Float[Tensor, "T H"],
        mentions: Float[Tensor, "S H"],
        entities: Float[Tensor, "N H"],
        entity_types: Int[Tensor, " N"],
        type_rows: Float[Tensor, "E W"],
        pairs: EntityPairs,
    ) -> Float[Tensor, "Q H"]:
        """The hidden layer of every pair; `type_rows` is the embedding of each entity type."""
        assert pairs.mention_pairs is not None
        instances = self.dropout(self.instances(states, mentions, entities, pairs, pairs.mention_pairs))
        pooled = segment_max(instances, pairs.mention_pairs.offsets)
        columns = self.hidden.columns()
        types = [
            linear(type_rows, columns[name]).index_select(0, entity_types.index_select(0, rows))
            for name, rows in (("head_type", pairs.heads), ("tail_type", pairs.tails))
        ]
        hidden = linear(pooled, columns["instances"], self.hidden.bias) + types[0] + types[1]
        activated: Tensor = self.dropout(torch.relu(hidden))
        return activated

    def instances(
        self,
        states: Float[Tensor, "T H"],
        mentions: Float[Tensor, "S H"],
        entities: Float[Tensor, "N H"],
        pairs: EntityPairs,
        rows: MentionPairs,
    ) -> Float[Tensor, "K H"]:
        """The vector of every mention pair, before dropout."""
        context = range_max(states, rows.context_starts, rows.context_ends)
        columns = self.instance.columns()
        as_head = linear(entities, columns["head"], self.instance.bias)
        as_tail = linear(entities, columns["tail"])
        entity_pairs = as_head.index_select(0, pairs.heads) + as_tail.index_select(0, pairs.tails)
        counts = rows.offsets[1:] - rows.offsets[:-1]
        owner = torch.arange(len(counts), device=counts.device).repeat_interleave(counts)
        return (
            linear(context, columns["context"])
            + linear(mentions, columns["head_mention"]).index_select(0, rows.heads)
            + linear(mentions, columns["tail_mention"]).index_select(0, rows.tails)
            + entity_pairs.index_select(0, owner)
            + by_distance(columns["token_distance"], self.token_distance_embedding, rows.token_distances)
            + by_distance(columns["sentence_distance"], self.sentence_distance_embedding, rows.sentence_distances)
        )


def by_distance(
    columns: Float[Tensor, "H meta"], table: nn.Embedding, distances: Int[Tensor, " K"]
) -> Float[Tensor, "K H"]:
    """The product of distance embeddings with their columns; distances beyond the table share its last row."""
    return linear(table.weight, columns).index_select(0, distances.clamp(max=table.num_embeddings - 1))
