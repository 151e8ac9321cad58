"""Decoding of every system, document by document, candidates to final graph, against the encoder's forward.

Untrained weights predict nothing sensible, and what decoding costs depends on how many mentions it finds. So the scores
are planted: every stage computes its logits in full, and then they are overwritten by those of a perfect model (gold
mentions, gold clusters, gold relations: about 26 mentions a document), whose relation scores elsewhere are below the
floor of ranking, as a trained model's mostly are.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from core.config.schema import RunConfig
from core.data.documents import LabelSet
from core.data.issues import Issues
from core.features.batches import (
    Clusters,
    EntityPairs,
    Pieces,
    SpanPairs,
    Spans,
    pad_pieces,
)
from core.features.candidates import all_spans, ordered_pairs, trainable_gold
from core.features.wordpieces import EncodedDocument
from core.model.decoder import Decoded, Decoder, DecoderSettings
from core.model.joint_model import EntityStage, JointModel, MentionStage
from tests.bench.material import Bench, Material, system_config
from tests.bench.timing import Readings, Stopwatch
from tests.bench.training import OWN, PLAIN

YES, NO = 6.0, -6.0


class Planted(nn.Module):
    """A model whose stages compute everything, and whose logits are then those of the gold of its documents.

    `watch` times the stages: `encoder`, and `heads` with the little that planting costs.
    """

    def __init__(self, model: JointModel, labels: LabelSet) -> None:
        super().__init__()
        self.model, self.labels = model, labels
        self.multi_instance = model.multi_instance
        self.watch = Stopwatch()
        self.plants: dict[bytes, Plant] = {}

    def plant(self, one: EncodedDocument, config: RunConfig) -> int:
        """Take the gold of a document; the number of its mentions that are candidates."""
        plant = self.plants[pieces_key(one.ids)] = plant_of(one, self.labels, config.samples.max_span_tokens)
        return len(plant.owners)

    def encode(self, pieces: Pieces, *, reading: float) -> Tensor:
        """As it is; whose gold is wanted is known by the pieces."""
        with self.watch.part("encoder"):
            states = self.model.encode(pieces, reading=reading)
        with self.watch.part("heads"):
            batch = [
                self.plants[pieces_key(row[:count])]
                for row, count in zip(pieces.ids.numpy(), pieces.counts, strict=True)
            ]
            self.is_mention = torch.cat([plant.is_mention for plant in batch])
            # Mentions are paired within a document only, so that entities of two documents may share a number.
            self.owners = torch.cat([plant.owners for plant in batch])
            self.related = torch.cat([plant.related for plant in batch])
            self.done = 0
        return states

    def mentions(self, states: Tensor, spans: Spans, *, reading: float) -> MentionStage:
        """Everything computed, then gold mentions."""
        with self.watch.part("heads"):
            stage = self.model.mentions(states, spans, reading=reading)
            return MentionStage(vectors=stage.vectors, logits=torch.where(self.is_mention, YES, NO))

    def coref(self, mentions: MentionStage, pairs: SpanPairs) -> Tensor:
        """Everything computed, then gold clusters."""
        with self.watch.part("heads"):
            self.model.coref(mentions, pairs)
            same = self.owners.index_select(0, pairs.first) == self.owners.index_select(0, pairs.second)
            return torch.where(same, YES, NO)

    def entities(self, mentions: MentionStage, clusters: Clusters) -> EntityStage:
        """As they are: any type costs the same."""
        with self.watch.part("heads"):
            return self.model.entities(mentions, clusters)

    def relations(
        self, states: Tensor, mentions: MentionStage, entities: EntityStage, types: Tensor, pairs: EntityPairs
    ) -> Tensor:
        """Everything computed, then gold relations."""
        with self.watch.part("heads"):
            self.model.relations(states, mentions, entities, types, pairs)
            self.done += len(pairs.heads)
            return torch.where(self.related[self.done - len(pairs.heads) : self.done], YES, NO)


@dataclass(frozen=True)
class Plant:
    """The gold of one document as decoding meets it.

    `is_mention` [S] of all spans; `owners` [M]: the entity of every mention; `related` [Q, R] of all ordered pairs of
    entities, these in the order of their first mention.
    """

    is_mention: Tensor
    owners: Tensor
    related: Tensor


def plant_of(one: EncodedDocument, labels: LabelSet, max_span_tokens: int) -> Plant:
    """The gold of a document, as far as its mentions are candidates."""
    gold = trainable_gold(one.document, labels)
    owner: dict[tuple[int, int], int] = {}
    for index, entity in enumerate(gold.entities):
        for span in entity.mentions:
            owner.setdefault(span, index)
    spans = all_spans(one.document, max_span_tokens)
    of_span = np.array([owner.get((start, end), -1) for start, end in spans.tolist()], dtype=np.int64)
    of_mention = of_span[of_span >= 0]
    place = {entity: number for number, entity in enumerate(dict.fromkeys(of_mention.tolist()))}
    pairs = ordered_pairs(len(place))
    row = {(head, tail): number for number, (head, tail) in enumerate(pairs.tolist())}
    related = torch.zeros(len(pairs), len(labels.relation_types), dtype=torch.bool)
    for relation in gold.relations:
        if relation.head in place and relation.tail in place:
            column = labels.relation_types.index(relation.type)
            related[row[place[relation.head], place[relation.tail]], column] = True
    return Plant(torch.from_numpy(of_span >= 0), torch.from_numpy(of_mention), related)


def pieces_key(ids: np.ndarray) -> bytes:
    """What tells documents apart: their pieces."""
    return np.asarray(ids, dtype=np.int64).tobytes()


def measure_inference(bench: Bench, material: Material, precision: str, first: int, rounds: int) -> Readings:
    """Seconds per document, `rounds` documents from number `first` on, after one that only warms up."""
    readings: Readings = {}
    decoders = {}
    for system, model in bench.models.items():
        config = system_config(system, precision)
        planted = Planted(model, material.labels).eval()
        decoders[system] = Decoder(planted, material.wordpieces, material.labels, DecoderSettings.from_config(config))  # type: ignore[arg-type]
    order = [OWN, *decoders]
    for number in range(first - 1, first + rounds):
        one = material.documents[number % len(material.documents)]
        turn = number % (len(order) + 1)
        watches: dict[str, Stopwatch] = {}
        for what in [*order[turn:], PLAIN, *order[:turn]]:
            watch = watches[what] = Stopwatch()
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
                if what in (PLAIN, OWN):
                    encode_alone(bench, material, what, one, watch)
                else:
                    decode_one(decoders[what], one, system_config(what, precision), watch)
        if number >= first:
            for what, watch in watches.items():
                watch.into(readings, what)
    return readings


def encode_alone(bench: Bench, material: Material, what: str, one: EncodedDocument, watch: Stopwatch) -> None:
    """The forward pass of an encoder over one document."""
    pieces = pad_pieces([one], material.wordpieces.padding)
    bench.plain.eval()
    bench.encoder.eval()
    with watch.part("encoder"), torch.inference_mode():
        if what == PLAIN:
            bench.plain(input_ids=pieces.ids)
        else:
            bench.encoder(pieces)


def decode_one(decoder: Decoder, one: EncodedDocument, config: RunConfig, watch: Stopwatch) -> None:
    """Decode one document whose gold is planted, its parts apart, and hold the result against it."""
    planted = decoder.model
    assert isinstance(planted, Planted)
    mentions = planted.plant(one, config)
    decoded = decode_in_parts(decoder, [one], watch)
    assert len(decoded[0].annotation.mentions) == mentions


def decode_in_parts(decoder: Decoder, documents: Sequence[EncodedDocument], watch: Stopwatch) -> list[Decoded]:
    """Decode, timed as `encoder`, `heads` and `python`: all that is neither (candidates, clustering, the graph)."""
    planted = decoder.model
    assert isinstance(planted, Planted)
    planted.watch = watch
    start = time.perf_counter()
    decoded = decoder.decode(documents, reading=1.0, issues=Issues())
    watch.rest("python", time.perf_counter() - start)
    return decoded


def mentions_per_document(documents: Sequence[EncodedDocument], config: RunConfig, labels: LabelSet) -> float:
    """The mean number of planted mentions."""
    widest = config.samples.max_span_tokens
    counts = [
        len({span for span in trainable_gold(one.document, labels).mentions if span[1] - span[0] <= widest})
        for one in documents
    ]
    return sum(counts) / len(counts)
