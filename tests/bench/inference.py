"""Decoding of every system, document by document, candidates to final graph, against the encoder's forward.

Untrained weights predict nothing sensible, and what decoding costs depends on how many mentions it finds. So the scores
are planted: every stage computes its logits in full, and then they are overwritten by those of a perfect model (gold
mentions, gold clusters, gold relations: about 26 mentions a document), whose relation scores elsewhere are below the
floor of ranking, as a trained model's mostly are.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from core.batches import EntityPairs, Pieces, SpanPairs, Spans, pad_pieces
from core.candidates import all_spans, gold_in_reach, ordered_pairs
from core.config import RunConfig
from core.decode import Decoder, Settings
from core.documents import Dirt, LabelSet
from core.model import EntityStage, JointModel, MentionStage
from core.wordpieces import EncodedDocument
from tests.bench.material import Bench, Material, system_config
from tests.bench.timing import Readings, Stopwatch
from tests.bench.training import OWN, PLAIN

YES, NO = 6.0, -6.0


class Planted(nn.Module):
    """A model whose stages compute everything, and whose logits are then those of the gold of one document."""

    def __init__(self, model: JointModel, labels: LabelSet) -> None:
        super().__init__()
        self.model, self.labels = model, labels
        self.multi_instance = model.multi_instance

    def plant(self, one: EncodedDocument, config: RunConfig) -> int:
        """Take the gold of a document; the number of its mentions that are candidates."""
        gold = gold_in_reach(one.document, self.labels)
        spans = all_spans(one.document, config.samples.max_span_tokens)
        owner: dict[tuple[int, int], int] = {}
        for index, entity in enumerate(gold.entities):
            for span in entity.mentions:
                owner.setdefault(span, index)
        of_span = np.array([owner.get((start, end), -1) for start, end in spans.tolist()], dtype=np.int64)
        of_mention = of_span[of_span >= 0]
        self.mention_logits = torch.where(torch.from_numpy(of_span) >= 0, YES, NO)
        self.owner = torch.from_numpy(of_mention)
        # Clusters come in the order of their first mention.
        entities = list(dict.fromkeys(of_mention.tolist()))
        place = {entity: number for number, entity in enumerate(entities)}
        pairs = ordered_pairs(len(entities))
        row = {(head, tail): number for number, (head, tail) in enumerate(pairs.tolist())}
        self.relation_logits = torch.full((len(pairs), len(self.labels.relation_types)), NO)
        for relation in gold.relations:
            if relation.head in place and relation.tail in place:
                column = self.labels.relation_types.index(relation.type)
                self.relation_logits[row[place[relation.head], place[relation.tail]], column] = YES
        self.done = 0
        return len(of_mention)

    def encode(self, pieces: Pieces, *, reading: float) -> Tensor:
        """As it is."""
        return self.model.encode(pieces, reading=reading)

    def mentions(self, states: Tensor, spans: Spans, *, reading: float) -> MentionStage:
        """Everything computed, then gold mentions."""
        stage = self.model.mentions(states, spans, reading=reading)
        return MentionStage(vectors=stage.vectors, logits=self.mention_logits)

    def coref(self, mentions: MentionStage, pairs: SpanPairs) -> Tensor:
        """Everything computed, then gold clusters."""
        self.model.coref(mentions, pairs)
        same = self.owner.index_select(0, pairs.first) == self.owner.index_select(0, pairs.second)
        return torch.where(same, YES, NO)

    def entities(self, mentions: MentionStage, clusters: object) -> EntityStage:
        """As they are: any type costs the same."""
        return self.model.entities(mentions, clusters)  # type: ignore[arg-type]

    def relations(
        self, states: Tensor, mentions: MentionStage, entities: EntityStage, types: Tensor, pairs: EntityPairs
    ) -> Tensor:
        """Everything computed, then gold relations."""
        self.model.relations(states, mentions, entities, types, pairs)
        self.done += len(pairs.heads)
        return self.relation_logits[self.done - len(pairs.heads) : self.done]


def measure_inference(bench: Bench, material: Material, precision: str, first: int, rounds: int) -> Readings:
    """Seconds per document, `rounds` documents from number `first` on, after one that only warms up."""
    readings: Readings = {}
    bench.plain.eval()
    decoders = {}
    for system, model in bench.models.items():
        config = system_config(system, precision)
        planted = Planted(model, material.labels).eval()
        decoders[system] = Decoder(planted, material.wordpieces, material.labels, Settings.of(config))  # type: ignore[arg-type]
    order = [OWN, *decoders]
    for number in range(first - 1, first + rounds):
        one = material.documents[number % len(material.documents)]
        turn = number % (len(order) + 1)
        watches: dict[str, Stopwatch] = {}
        for what in [*order[turn:], PLAIN, *order[:turn]]:
            watch = watches[what] = Stopwatch()
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
                if what in (PLAIN, OWN):
                    pieces = pad_pieces([one], material.wordpieces.padding)
                    with watch.part("encoder"), torch.inference_mode():
                        if what == PLAIN:
                            bench.plain(input_ids=pieces.ids)
                        else:
                            bench.encoder(pieces)
                else:
                    decode_one(decoders[what], one, system_config(what, precision), watch)
        if number >= first:
            for what, watch in watches.items():
                watch.into(readings, what)
    return readings


def decode_one(decoder: Decoder, one: EncodedDocument, config: RunConfig, watch: Stopwatch) -> None:
    """Decode one document whose gold is planted, and hold the result against it."""
    planted = decoder.model
    assert isinstance(planted, Planted)
    mentions = planted.plant(one, config)
    with watch.part("decoding"):
        decoded = decoder.decode([one], reading=1.0, dirt=Dirt())
    assert len(decoded[0].annotation.mentions) == mentions


def mentions_per_document(documents: Sequence[EncodedDocument], config: RunConfig, labels: LabelSet) -> float:
    """The mean number of planted mentions."""
    widest = config.samples.max_span_tokens
    counts = [
        len({span for span in gold_in_reach(one.document, labels).mentions if span[1] - span[0] <= widest})
        for one in documents
    ]
    return sum(counts) / len(counts)
