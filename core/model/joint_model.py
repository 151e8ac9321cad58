"""JointModel: the stages once each, in pipeline order; `memory: None` is JEREX.

encode -> mentions -> coref -> entities -> relations. Training runs all of them on gold and drawn candidates in
`forward`; decoding (`core.model.decoder`) calls the same stages on what it has predicted so far.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from core.config.schema import MemoryConfig, ModelConfig
from core.features.batches import (
    Clusters,
    EntityPairs,
    Pieces,
    SpanPairs,
    Spans,
    TrainingBatch,
)
from core.model.encoder import INITIAL_STD, Encoder, LoadedEncoder
from core.model.heads.coref import CorefHead
from core.model.heads.entity import EntityHead
from core.model.heads.mention import MentionHead
from core.model.heads.relation_grc import GlobalRelationHead
from core.model.heads.relation_mrc import MultiInstanceRelationHead
from core.model.layers import Dropout, Linear
from core.model.memory import BilinearClassifier, Memory, PlaceRead, ReadMatrix, get_memory
from core.model.ops import range_max, segment_max
from core.seeding import seed_for


@dataclass(frozen=True)
class MentionStage:
    """Span vectors (after reading) and their mention logits."""

    vectors: Float[Tensor, "S H"]
    logits: Float[Tensor, " S"]


@dataclass(frozen=True)
class EntityStage:
    """Entity vectors (after dropout) and their type logits."""

    vectors: Float[Tensor, "N H"]
    logits: Float[Tensor, "N E"]


@dataclass(frozen=True)
class Logits:
    """The raw logits of the four tasks for one training batch."""

    mention: Float[Tensor, " S"]
    coref: Float[Tensor, " P"]
    entity: Float[Tensor, "N E"]
    relation: Float[Tensor, "Q R"]


class JointModel(nn.Module):
    """The joint extractor: encoder, four heads, and the memories where there are any.

    `reading` in every stage is the ramp in [0, 1]: 0 leaves the memories unread (warm-up), 1 reads them in full.
    """

    def __init__(
        self,
        encoder: Encoder,
        model: ModelConfig,
        memory: MemoryConfig | None,
        *,
        entity_types: int,
        relation_types: int,
    ) -> None:
        super().__init__()
        width = encoder.width
        self.encoder = encoder
        self.memories = build_memories(memory, width, entity_types, relation_types)
        self.reads = build_reads(memory, width, self.memories)
        self.read_matrices = build_read_matrices(memory, self.memories)
        self.mention_head = MentionHead(
            width=width, meta_width=model.meta_width, width_table=model.width_table, dropout=model.dropout
        )
        self.coref_head = CorefHead(
            width=width,
            meta_width=model.meta_width,
            edit_distance_table=model.edit_distance_table,
            dropout=model.dropout,
        )
        self.entity_dropout = Dropout(model.dropout)
        self.entity_head: EntityHead | BilinearClassifier
        self.type_embedding: nn.Embedding | None
        if "entity" in self.memories:
            slot_width = get_memory(self.memories, "entity").width
            self.entity_head = BilinearClassifier(width=width, slot_width=slot_width)
            self.type_embedding, type_width = None, slot_width
        else:
            self.entity_head = EntityHead(width=width, types=entity_types, dropout=model.dropout)
            self.type_embedding, type_width = nn.Embedding(entity_types, model.meta_width), model.meta_width
        self.relation_head: GlobalRelationHead | MultiInstanceRelationHead
        if model.relation_head == "grc":
            self.relation_head = GlobalRelationHead(width=width, type_width=type_width, dropout=model.dropout)
        else:
            self.relation_head = MultiInstanceRelationHead(
                width=width,
                meta_width=model.meta_width,
                type_width=type_width,
                token_distance_table=model.token_distance_table,
                sentence_distance_table=model.sentence_distance_table,
                dropout=model.dropout,
            )
        self.relation_classifier: nn.Linear | BilinearClassifier
        if "relation" in self.memories:
            slot_width = get_memory(self.memories, "relation").width
            self.relation_classifier = BilinearClassifier(width=width, slot_width=slot_width)
        else:
            self.relation_classifier = Linear(width, relation_types)

    @property
    def multi_instance(self) -> bool:
        """Whether relations are classified over mention pairs (MRC)."""
        return isinstance(self.relation_head, MultiInstanceRelationHead)

    def forward(self, batch: TrainingBatch, *, reading: float) -> Logits:
        """All stages on gold and drawn candidates, with gold clusters and gold types (teacher forcing)."""
        states = self.encode(batch.pieces, reading=reading)
        mentions = self.mentions(states, batch.spans, reading=reading)
        coref = self.coref(mentions, batch.span_pairs)
        entities = self.entities(mentions, batch.clusters)
        relation = self.relations(states, mentions, entities, batch.targets.entity, batch.entity_pairs)
        return Logits(mention=mentions.logits, coref=coref, entity=entities.logits, relation=relation)

    def encode(self, pieces: Pieces, *, reading: float) -> Float[Tensor, "T H"]:
        """Word pieces to states, memories read at tokens."""
        return self.read("tokens", self.encoder(pieces), pieces.counts, reading)

    def mentions(self, states: Float[Tensor, "T H"], spans: Spans, *, reading: float) -> MentionStage:
        """Span vectors, memories read at mentions, and mention logits."""
        pooled = range_max(states, spans.starts, spans.ends)
        vectors = self.read("mentions", pooled, spans.counts, reading)
        return MentionStage(vectors=vectors, logits=self.mention_head(vectors, spans.widths))

    def coref(self, mentions: MentionStage, pairs: SpanPairs) -> Float[Tensor, " P"]:
        """Coreference logits of ordered pairs of span rows."""
        logits: Tensor = self.coref_head(mentions.vectors, pairs)
        return logits

    def entities(self, mentions: MentionStage, clusters: Clusters) -> EntityStage:
        """Entity vectors, one dropout mask each for everything that uses them, and type logits."""
        pooled = segment_max(mentions.vectors.index_select(0, clusters.mentions), clusters.offsets)
        vectors = self.entity_dropout(pooled)
        if isinstance(self.entity_head, BilinearClassifier):
            return EntityStage(vectors=vectors, logits=self.entity_head(vectors, self.memories["entity"]))
        return EntityStage(vectors=vectors, logits=self.entity_head(vectors))

    def relations(
        self,
        states: Float[Tensor, "T H"],
        mentions: MentionStage,
        entities: EntityStage,
        entity_types: Int[Tensor, " N"],
        pairs: EntityPairs,
    ) -> Float[Tensor, "Q R"]:
        """Relation logits of ordered entity pairs; `entity_types` are gold in training, predicted at inference."""
        rows = (
            get_memory(self.memories, "entity").type_rows()
            if self.type_embedding is None
            else self.type_embedding.weight
        )
        if isinstance(self.relation_head, MultiInstanceRelationHead):
            hidden = self.relation_head(states, mentions.vectors, entities.vectors, entity_types, rows, pairs)
        else:
            hidden = self.relation_head(entities.vectors, entity_types, rows, pairs)
        if isinstance(self.relation_classifier, BilinearClassifier):
            logits: Tensor = self.relation_classifier(hidden, self.memories["relation"])
        else:
            logits = self.relation_classifier(hidden)
        return logits

    def read(
        self, place: str, rows: Float[Tensor, "S H"], counts: tuple[int, ...], reading: float
    ) -> Float[Tensor, "S H"]:
        """The rows with the memories read at this place, or as they are where nothing is read."""
        if place not in self.reads:
            return rows
        read: Tensor = self.reads[place](rows, self.read_matrices or self.memories, counts, reading)
        return read


def build_memories(memory: MemoryConfig | None, width: int, entity_types: int, relation_types: int) -> nn.ModuleDict:
    """The memories that classify, by name; none for JEREX."""
    memories = nn.ModuleDict()
    for name, types in (("entity", entity_types), ("relation", relation_types)):
        if memory is not None and memory.classifies in (name, "both"):
            own = memory.entity_slot_width if name == "entity" else memory.relation_slot_width
            memories[name] = Memory(
                types=types,
                slots_per_type=memory.slots_per_type,
                width=own or memory.slot_width or width,
                slot_logit=memory.slot_logit,
            )
    return memories


def build_reads(memory: MemoryConfig | None, width: int, memories: nn.ModuleDict) -> nn.ModuleDict:
    """What is read at each place, by place; empty where nothing is."""
    if memory is None or memory.read_mode == "none":
        return nn.ModuleDict()
    read = {name: get_memory(memories, name).width for name in read_names(memory, memories)}
    places = ("tokens", "mentions") if memory.places == "both" else (memory.places,)
    return nn.ModuleDict({place: PlaceRead(config=memory, width=width, slot_widths=read) for place in places})


def build_read_matrices(memory: MemoryConfig | None, memories: nn.ModuleDict) -> nn.ModuleDict:
    """The matrices that are read in place of the memories, by name; empty where the memories themselves are read."""
    if memory is None or memory.read_mode == "none" or memory.reads not in ("learned", "random"):
        return nn.ModuleDict()
    shapes = {name: get_memory(memories, name).slots.shape for name in read_names(memory, memories)}
    frozen = memory.reads == "random"
    return nn.ModuleDict({name: ReadMatrix(slots=c, width=d, frozen=frozen) for name, (c, d) in shapes.items()})


def read_names(memory: MemoryConfig, memories: nn.ModuleDict) -> list[str]:
    """The names of the memories that are read."""
    return [name for name in memories if memory.memories in (name, "both")]


def initialise(model: JointModel, loaded: LoadedEncoder | None, *, seed: int) -> None:
    """Draw every weight that is not pretrained: N(0, 0.02), biases 0, norms 1, keyed by (seed, parameter name).

    The key makes modules that two systems share start equal, whatever else differs. `loaded` says which parameters of
    the encoder are fresh; None means all of them. A frozen matrix is drawn as the learned one of its name.
    """
    norms = {
        name
        for owner, module in model.named_modules()
        if "norm" in type(module).__name__.lower()
        for name in (f"{owner}.{part}" for part, _ in module.named_parameters(recurse=False))
    }
    prefix = "encoder.transformer."
    with torch.no_grad():
        for name, parameter in drawn_tensors(model):
            first = 0
            if name.startswith(prefix) and loaded is not None:
                own = name.removeprefix(prefix)
                first = loaded.grown.get(own, 0)
                if own not in loaded.fresh and not first:
                    continue
            if name.endswith("bias"):
                parameter.zero_()
            elif name in norms:
                parameter.fill_(1.0)
            else:
                generator = torch.Generator().manual_seed(seed_for("weights", seed, name))
                drawn = torch.randn(parameter.shape, generator=generator) * INITIAL_STD
                parameter[first:].copy_(drawn[first:])


def drawn_tensors(model: JointModel) -> Iterator[tuple[str, Tensor]]:
    """All that a seed decides, by name: the parameters, and the matrices that are frozen as they were drawn."""
    yield from model.named_parameters()
    yield from model.read_matrices.named_buffers(prefix="read_matrices")
