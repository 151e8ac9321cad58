"""Joint model: its stages once each, in the order of the pipeline, and how their weights start; no memory is JEREX.

encode -> mentions -> coref -> entities -> relations. Training runs all of them on gold and drawn candidates in
`forward`; decoding (`core.model.decoder`) calls the same stages on what it has predicted so far.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from core.config.memory import MemoryConfig
from core.config.schema import RunConfig
from core.data.documents import LabelSet
from core.features.batches import Clusters, EntityPairs, Pieces, SpanPairs, Spans, TrainingBatch
from core.model.encoder import INITIAL_STD, Encoder, LoadedEncoder
from core.model.heads.coref import CorefHead
from core.model.heads.entity import EntityHead
from core.model.heads.mention import MentionHead
from core.model.heads.relation_grc import GlobalRelationHead
from core.model.heads.relation_mrc import MultiInstanceRelationHead
from core.model.layers import Dropout, Linear
from core.model.memory import BilinearClassifier, Memory, PlaceRead, ReadMatrix
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

    def __init__(self, encoder: Encoder, config: RunConfig, labels: LabelSet) -> None:
        super().__init__()
        width, model, memory = encoder.width, config.model, config.memory
        self.encoder = encoder
        self.memories = build_memories(memory, width, labels)
        self.reads, self.read_matrices = build_reads(memory, width, self.memories)
        self.mention_head = MentionHead(width=width, config=model)
        self.coref_head = CorefHead(width=width, config=model)
        self.entity_dropout = Dropout(model.dropout)
        self.entity_head: EntityHead | BilinearClassifier
        self.type_embedding: nn.Embedding | None
        if memory is not None and "entity" in self.memories:
            type_width = self.memory("entity").width
            self.entity_head = BilinearClassifier(memory, width=width, slot_width=type_width)
            self.type_embedding = None
        else:
            type_width, types = model.meta_width, len(labels.entity_types)
            self.entity_head = EntityHead(width=width, types=types, config=model)
            self.type_embedding = nn.Embedding(types, type_width)
        relation_head = GlobalRelationHead if model.relation_head == "grc" else MultiInstanceRelationHead
        self.relation_head = relation_head(width=width, type_width=type_width, config=model)
        self.relation_classifier: nn.Linear | BilinearClassifier
        if memory is not None and "relation" in self.memories:
            self.relation_classifier = BilinearClassifier(memory, width=width, slot_width=self.memory("relation").width)
        else:
            self.relation_classifier = Linear(width, len(labels.relation_types))

    def memory(self, name: str) -> Memory:
        """The memory that classifies entities or relations."""
        memory = self.memories[name]
        assert isinstance(memory, Memory)
        return memory

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
            return EntityStage(vectors=vectors, logits=self.entity_head(vectors, self.memory("entity")))
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
        rows = self.memory("entity").type_rows() if self.type_embedding is None else self.type_embedding.weight
        if isinstance(self.relation_head, MultiInstanceRelationHead):
            hidden = self.relation_head(states, mentions.vectors, entities.vectors, entity_types, rows, pairs)
        else:
            hidden = self.relation_head(entities.vectors, entity_types, rows, pairs)
        if isinstance(self.relation_classifier, BilinearClassifier):
            logits: Tensor = self.relation_classifier(hidden, self.memory("relation"))
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


def build_memories(memory: MemoryConfig | None, width: int, labels: LabelSet) -> nn.ModuleDict:
    """The memories that classify, by name; none for JEREX."""
    memories = nn.ModuleDict()
    for name, types in (("entity", labels.entity_types), ("relation", labels.relation_types)):
        if memory is not None and memory.classifies in (name, "both"):
            memories[name] = Memory(memory, types=len(types), width=memory.slot_width_for(name) or width)
    return memories


def build_reads(
    memory: MemoryConfig | None, width: int, memories: nn.ModuleDict
) -> tuple[nn.ModuleDict, nn.ModuleDict]:
    """The reads by place, and the matrices that are read in place of memories by name; empty where there are none."""
    reads, matrices = nn.ModuleDict(), nn.ModuleDict()
    if memory is None or not memory.modes:
        return reads, matrices
    shapes = {
        name: own.slots.shape
        for name, own in memories.items()
        if isinstance(own, Memory) and memory.memories in (name, "both")
    }
    for place in ("tokens", "mentions"):
        if memory.places in (place, "both"):
            slot_widths = {name: width for name, (_, width) in shapes.items()}
            reads[place] = PlaceRead(config=memory, width=width, slot_widths=slot_widths)
    if memory.reads in ("learned", "random"):
        for name, (slots, slot_width) in shapes.items():
            matrices[name] = ReadMatrix(memory, slots=slots, width=slot_width)
    return reads, matrices


def initialise(model: JointModel, loaded: LoadedEncoder | None, *, seed: int) -> None:
    """Draw every weight that is not pretrained: N(0, 0.02), biases 0, norms 1, keyed by (seed, parameter name).

    The key makes modules that two systems share start equal, whatever else differs. `loaded` says what of
    the encoder is pretrained; None means nothing. A frozen matrix is drawn as the learned one of its name. The
    `initial_std` of a module is that of its tensors which start with another standard deviation than 0.02.
    """
    norms = norm_parameters(model)
    other_stds = {
        f"{owner}.{name}": std
        for owner, module in model.named_modules()
        for name, std in getattr(module, "initial_std", {}).items()
    }
    prefix = "encoder.transformer."
    with torch.no_grad():
        for name, parameter in drawn_tensors(model):
            first = 0
            if name.startswith(prefix) and loaded is not None:
                first = loaded.pretrained_rows.get(name.removeprefix(prefix), 0)
            if first == len(parameter):
                continue
            if name.endswith("bias"):
                parameter.zero_()
            elif name in norms:
                parameter.fill_(1.0)
            else:
                generator = torch.Generator().manual_seed(seed_for("weights", seed, name))
                drawn = torch.randn(parameter.shape, generator=generator) * other_stds.get(name, INITIAL_STD)
                parameter[first:].copy_(drawn[first:])


def norm_parameters(model: nn.Module) -> set[str]:
    """The names of the parameters of normalisation layers, whatever the encoder calls them."""
    return {
        f"{owner}.{name}"
        for owner, module in model.named_modules()
        if type(module).__name__.endswith("Norm")
        for name, _ in module.named_parameters(recurse=False)
    }


def drawn_tensors(model: JointModel) -> Iterator[tuple[str, Tensor]]:
    """All that a seed decides, by name: the parameters, and the matrices that are frozen as they were drawn."""
    yield from model.named_parameters()
    yield from model.read_matrices.named_buffers(prefix="read_matrices")
