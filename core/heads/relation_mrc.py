"""Multi-instance relation classification (MRC): an entity pair as the maximum over its mention pairs."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from core.batches import EntityPairs, MentionPairs
from core.ops import range_max, segment_max
from core.parted import PartedLinear


class MultiInstanceRelationHead(nn.Module):
    """[ctx; m_h; m_t; e_h; e_t; token distance; sentence distance] -> H -> dropout, max over the mention pairs, then
    [that; type of head; type of tail] -> H -> ReLU -> dropout: the hidden layer p of an entity pair."""

    def __init__(
        self,
        *,
        width: int,
        meta_width: int,
        type_width: int,
        token_distance_table: int,
        sentence_distance_table: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.token_distance_embedding = nn.Embedding(token_distance_table, meta_width)
        self.sentence_distance_embedding = nn.Embedding(sentence_distance_table, meta_width)
        vectors = dict.fromkeys(("context", "head_mention", "tail_mention", "head", "tail"), width)
        distances = dict.fromkeys(("token_distance", "sentence_distance"), meta_width)
        self.instance = PartedLinear(parts=vectors | distances, width=width)
        self.hidden = PartedLinear(
            parts={"instances": width, "head_type": type_width, "tail_type": type_width}, width=width
        )
        self.dropout = nn.Dropout(dropout)

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
        types = [
            self.hidden.part(name, type_rows).index_select(0, entity_types.index_select(0, rows))
            for name, rows in (("head_type", pairs.heads), ("tail_type", pairs.tails))
        ]
        hidden = self.hidden.part("instances", pooled) + types[0] + types[1] + self.hidden.bias
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
        of_pair = (
            self.instance.part("head", entities).index_select(0, pairs.heads)
            + self.instance.part("tail", entities).index_select(0, pairs.tails)
            + self.instance.bias
        )
        counts = rows.offsets[1:] - rows.offsets[:-1]
        owner = torch.arange(len(counts), device=counts.device).repeat_interleave(counts)
        return (
            self.instance.part("context", context)
            + self.instance.part("head_mention", mentions).index_select(0, rows.heads)
            + self.instance.part("tail_mention", mentions).index_select(0, rows.tails)
            + of_pair.index_select(0, owner)
            + self.by_distance("token_distance", self.token_distance_embedding, rows.token_distances)
            + self.by_distance("sentence_distance", self.sentence_distance_embedding, rows.sentence_distances)
        )

    def by_distance(self, part: str, table: nn.Embedding, distances: Int[Tensor, " K"]) -> Float[Tensor, "K H"]:
        """The product of a distance embedding; distances beyond the table share its last row."""
        rows = distances.clamp(max=table.num_embeddings - 1)
        return self.instance.part(part, table.weight).index_select(0, rows)
