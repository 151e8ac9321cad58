"""Decoding: the stages of the model on predicted candidates, thresholds and clustering -> Annotation.

All spans -> mentions -> pairs i < j -> clusters -> entities and their types -> all ordered entity pairs -> relations.
Documents of like length are encoded together under a budget of word pieces, pairs are scored under a budget of rows;
neither budget changes a result, and results come in the order of the input.

Coreference clusters from pair scores: complete linkage, merged strictly below the threshold.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np
import torch
from scipy.cluster.hierarchy import linkage
from torch import Tensor

from core.config.schema import RunConfig
from core.data.documents import Annotation, Entity, LabelSet, Relation, Span
from core.data.issues import Issues
from core.features.batches import (
    EntityPairs,
    MentionPairs,
    build_clusters,
    build_mention_pairs,
    build_span_pairs,
    build_spans,
    join_mention_pairs,
    pad_pieces,
    starting_rows,
    to_device,
)
from core.features.candidates import (
    all_spans,
    edit_distances,
    mention_pairs,
    ordered_pairs,
    trainable_gold,
    unordered_pairs,
)
from core.features.wordpieces import EncodedDocument, WordPieces
from core.model.joint_model import EntityStage, JointModel, MentionStage

# Relation candidates below this score are not kept for ranking measures; nobody accepts a relation down there.
MIN_RANKED_SCORE = 0.01
MAX_RANKED = 1_000


class Decoded(msgspec.Struct, frozen=True):
    """The prediction for one document, and its relation candidates by falling score (for ranking measures)."""

    annotation: Annotation
    ranked: tuple[Relation, ...]


@dataclass(frozen=True)
class DecoderSettings:
    """What decoding needs of a run's config."""

    max_span_tokens: int
    mention_threshold: float
    coref_threshold: float
    relation_threshold: float
    surface: Literal["tokens", "decoded"]
    max_mentions: int
    piece_budget: int
    row_budget: int

    @staticmethod
    def from_config(config: RunConfig) -> "DecoderSettings":
        """The settings of a run."""
        return DecoderSettings(
            max_span_tokens=config.samples.max_span_tokens,
            mention_threshold=config.model.mention_threshold,
            coref_threshold=config.model.coref_threshold,
            relation_threshold=config.model.relation_threshold,
            surface=config.data.surface,
            max_mentions=config.inference.max_mentions,
            piece_budget=config.inference.piece_budget,
            row_budget=config.inference.row_budget,
        )


class Decoder:
    """A model with what it takes to turn encoded documents into annotations."""

    def __init__(self, model: JointModel, wordpieces: WordPieces, labels: LabelSet, settings: DecoderSettings) -> None:
        self.model, self.wordpieces, self.labels, self.settings = model, wordpieces, labels, settings
        self.device = next(model.parameters()).device

    def decode(
        self,
        documents: Sequence[EncodedDocument],
        *,
        reading: float,
        issues: Issues,
        on_gold: bool = False,
        advance: Callable[[int], None] = lambda done: None,
    ) -> list[Decoded]:
        """The predictions, in input order; `advance` is told how many documents each batch finished.

        A document whose classifier accepts more than `max_mentions` spans keeps its best ones, counted in `issues`.
        With `on_gold` the gold mentions and clusters take the place of the predicted ones, so that relations can be
        compared without what comes before them.
        """
        results: dict[int, Decoded] = {}
        was_training = self.model.training
        # Telling every module takes longer than a short document's heads: only where it changes anything.
        if was_training:
            self.model.eval()
        try:
            with torch.inference_mode():
                for numbers in length_buckets([len(one.ids) for one in documents], self.settings.piece_budget):
                    batch = [documents[number] for number in numbers]
                    results.update(zip(numbers, self._decode_batch(batch, reading, issues, on_gold), strict=True))
                    advance(len(numbers))
        finally:
            if was_training:
                self.model.train()
        return [results[number] for number in range(len(documents))]

    def _decode_batch(
        self, batch: list[EncodedDocument], reading: float, issues: Issues, on_gold: bool
    ) -> list[Decoded]:
        states = self.model.encode(to_device(pad_pieces(batch, self.wordpieces.padding), self.device), reading=reading)
        spans = [all_spans(one.document, self.settings.max_span_tokens) for one in batch]
        gold = [trainable_gold(one.document, self.labels) if on_gold else Annotation() for one in batch]
        spans = [add_spans(part, one.mentions) for part, one in zip(spans, gold, strict=True)]
        stage = self.model.mentions(states, to_device(build_spans(batch, spans), self.device), reading=reading)
        if on_gold:
            accepted = [find_rows(part, one.mentions) for part, one in zip(spans, gold, strict=True)]
        else:
            accepted = self._accept(batch, stage.logits, spans, issues)
        first_spans = starting_rows([len(part) for part in spans])
        rows = np.concatenate([kept + first for kept, first in zip(accepted, first_spans, strict=True)])
        chosen = torch.from_numpy(rows).to(self.device)
        mentions = MentionStage(
            vectors=stage.vectors.index_select(0, chosen), logits=stage.logits.index_select(0, chosen)
        )
        spans = [part[kept] for part, kept in zip(spans, accepted, strict=True)]
        if on_gold:
            clusters = [
                [find_rows(part, entity.mentions) for entity in one.entities]
                for part, one in zip(spans, gold, strict=True)
            ]
        else:
            clusters = self._cluster(batch, spans, mentions)
        first_mentions = starting_rows([len(part) for part in spans])
        laid = [cluster + first for part, first in zip(clusters, first_mentions, strict=True) for cluster in part]
        entities = self.model.entities(mentions, to_device(build_clusters(laid), self.device))
        types = entities.logits.argmax(1)
        pairs = [ordered_pairs(len(part)) for part in clusters]
        scores = self._relate(batch, spans, clusters, pairs, states, mentions, entities, types)
        type_names = [self.labels.entity_types[index] for index in types.tolist()]
        decoded, first_entity, first_pair = [], 0, 0
        for number in range(len(batch)):
            entity_count, pair_count = len(clusters[number]), len(pairs[number])
            decoded.append(
                self._annotate(
                    spans[number],
                    clusters[number],
                    type_names[first_entity : first_entity + entity_count],
                    pairs[number],
                    scores[first_pair : first_pair + pair_count],
                )
            )
            first_entity, first_pair = first_entity + entity_count, first_pair + pair_count
        return decoded

    def _accept(
        self, batch: list[EncodedDocument], logits: Tensor, spans: list[np.ndarray], issues: Issues
    ) -> list[np.ndarray]:
        scores = torch.sigmoid(logits.float()).cpu().numpy()
        accepted, first = [], 0
        for one, part in zip(batch, spans, strict=True):
            own = scores[first : first + len(part)]
            first += len(part)
            kept = np.flatnonzero(own >= np.float32(self.settings.mention_threshold))
            if len(kept) > self.settings.max_mentions:
                issues.add("mention_flood", f"{one.document.id}: {len(kept)} spans accepted as mentions")
                best = np.argsort(-own[kept], kind="stable")[: self.settings.max_mentions]
                kept = np.sort(kept[best])
            accepted.append(kept)
        return accepted

    def _cluster(
        self, batch: list[EncodedDocument], spans: list[np.ndarray], mentions: MentionStage
    ) -> list[list[np.ndarray]]:
        clusters, first = [], 0
        for one, part in zip(batch, spans, strict=True):
            upper = unordered_pairs(len(part))
            distances = edit_distances(self._surfaces(one, part), upper)
            similarities = np.zeros(len(upper), dtype=np.float32)
            for start in range(0, len(upper), self.settings.row_budget):
                rows = slice(start, start + self.settings.row_budget)
                pairs = to_device(build_span_pairs(upper[rows] + first, distances[rows]), self.device)
                similarities[rows] = torch.sigmoid(self.model.coref(mentions, pairs).float()).cpu().numpy()
            clusters.append(cluster_mentions(similarities, count=len(part), threshold=self.settings.coref_threshold))
            first += len(part)
        return clusters

    def _surfaces(self, one: EncodedDocument, spans: np.ndarray) -> list[str]:
        if self.settings.surface == "tokens":
            return [one.document.surface((start, end)) for start, end in spans.tolist()]
        return [self.wordpieces.decode(one.ids[start:end].tolist()) for start, end in one.to_pieces(spans).tolist()]

    def _relate(
        self,
        batch: list[EncodedDocument],
        spans: list[np.ndarray],
        clusters: list[list[np.ndarray]],
        pairs: list[np.ndarray],
        states: Tensor,
        mentions: MentionStage,
        entities: EntityStage,
        types: Tensor,
    ) -> np.ndarray:
        """Relation scores [Q, R] of all entity pairs of the batch."""
        first_pieces = starting_rows([len(one.ids) for one in batch])
        first_spans = starting_rows([len(part) for part in spans])
        first_entities = starting_rows([len(part) for part in clusters])
        parts: list[np.ndarray] = []
        waiting: list[tuple[np.ndarray, MentionPairs | None]] = []

        def flush() -> None:
            if not waiting:
                return
            heads, tails = torch.from_numpy(np.concatenate([rows for rows, _ in waiting]).T.copy())
            layered = [layer for _, layer in waiting if layer is not None]
            laid = EntityPairs(heads, tails, join_mention_pairs(layered) if self.model.multi_instance else None)
            logits = self.model.relations(states, mentions, entities, types, to_device(laid, self.device))
            parts.append(torch.sigmoid(logits.float()).cpu().numpy())
            waiting.clear()

        held = 0
        for number, one in enumerate(batch):
            sizes = np.array([len(cluster) for cluster in clusters[number]], dtype=np.int64)
            row_counts = np.ones(len(pairs[number]), dtype=np.int64)
            if self.model.multi_instance:
                row_counts = sizes[pairs[number][:, 0]] * sizes[pairs[number][:, 1]]
            for chunk, size in split_by_budget(row_counts, self.settings.row_budget):
                if held + size > self.settings.row_budget:
                    flush()
                    held = 0
                held += size
                part, layer = pairs[number][chunk], None
                if self.model.multi_instance:
                    layer = build_mention_pairs(
                        one,
                        spans[number],
                        mention_pairs(clusters[number], part),
                        first_piece=int(first_pieces[number]),
                        first_span=int(first_spans[number]),
                    )
                waiting.append((part + first_entities[number], layer))
        flush()
        if len(parts) == 1:
            return parts[0]
        return np.concatenate([np.zeros((0, len(self.labels.relation_types)), dtype=np.float32), *parts])

    def _annotate(
        self,
        spans: np.ndarray,
        clusters: list[np.ndarray],
        types: list[str],
        pairs: np.ndarray,
        scores: np.ndarray,
    ) -> Decoded:
        found: list[Span] = [(start, end) for start, end in spans.tolist()]
        entities = tuple(
            Entity(mentions=tuple(sorted(found[mention] for mention in cluster.tolist())), type=name)
            for cluster, name in zip(clusters, types, strict=True)
        )
        flat = scores.ravel()
        places = np.flatnonzero(flat >= MIN_RANKED_SCORE)
        places = places[np.argsort(-flat[places], kind="stable")]
        rows, columns = np.divmod(places, scores.shape[1])
        candidates = zip(pairs[rows].tolist(), columns.tolist(), flat[places].tolist(), strict=True)
        ranked = tuple(
            Relation(head=head, tail=tail, type=self.labels.relation_types[column], score=score)
            for (head, tail), column, score in candidates
        )
        bound = float(np.float32(self.settings.relation_threshold))
        kept = tuple(relation for relation in ranked if relation.score is not None and relation.score >= bound)
        annotation = Annotation(mentions=tuple(sorted(found)), entities=entities, relations=kept)
        return Decoded(annotation=annotation, ranked=ranked[:MAX_RANKED])


def add_spans(spans: np.ndarray, more: Sequence[Span]) -> np.ndarray:
    """The spans [S, 2] and, behind them, those of `more` that they lack."""
    if not more:
        return spans
    known = set(map(tuple, spans.tolist()))
    lacking = [span for span in more if span not in known]
    return np.concatenate([spans, np.array(lacking, dtype=np.int64).reshape(-1, 2)])


def find_rows(spans: np.ndarray, wanted: Sequence[Span]) -> np.ndarray:
    """The row of each wanted span, each once."""
    place = {(start, end): row for row, (start, end) in enumerate(spans.tolist())}
    return np.array([place[span] for span in dict.fromkeys(wanted)], dtype=np.int64)


def length_buckets(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Documents of like length together, each group's padded size within the budget (a long one stands alone)."""
    group: list[int] = []
    for number in sorted(range(len(lengths)), key=lambda index: (-lengths[index], index)):
        # The first of a group is its longest: it sets the padded length.
        if group and (len(group) + 1) * lengths[group[0]] > budget:
            yield group
            group = []
        group.append(number)
    if group:
        yield group


def split_by_budget(sizes: np.ndarray, budget: int) -> Iterator[tuple[slice, int]]:
    """Consecutive slices whose sizes add up to at most the budget (a larger single one stands alone)."""
    start = 0
    while start < len(sizes):
        total = np.cumsum(sizes[start:])
        count = max(int(np.searchsorted(total, budget, side="right")), 1)
        yield slice(start, start + count), int(total[count - 1])
        start += count


def cluster_mentions(similarities: np.ndarray, *, count: int, threshold: float) -> list[np.ndarray]:
    """Group `count` mentions by the float32 similarities of their pairs i < j, row by row [count * (count - 1) / 2].

    Two clusters merge while the largest distance 1 - similarity between them is below 1 - threshold. Clusters come in
    order of their first mention.
    """
    if count <= 1:
        return [np.arange(count)] if count else []
    distances = (np.float32(1.0) - similarities.astype(np.float32)).astype(np.float64)
    groups = unambiguous_groups(distances < 1.0 - threshold, count)
    if groups is None:
        tree = linkage(distances, method="complete")
        merged = {mention: [mention] for mention in range(count)}
        # Merges come by rising distance; merge number i makes the group count + i.
        kept = tree[tree[:, 2] < 1.0 - threshold, :2].astype(np.int64)
        for number, (one, other) in enumerate(kept.tolist(), start=count):
            merged[number] = merged.pop(one) + merged.pop(other)
        groups = sorted(sorted(group) for group in merged.values())
    return [np.array(group) for group in groups]


def unambiguous_groups(close: np.ndarray, count: int) -> list[list[int]] | None:
    """The groups of mentions that are close to one another and to nobody else; None where some mention is in doubt.

    Whatever the order of merging, complete linkage ends in these groups, and finding them takes a fraction of its time.
    """
    mentions = np.arange(count)
    table = mentions[:, None] == mentions
    table[mentions[:, None] < mentions] = close
    table |= table.T
    first = table.argmax(1)
    if (table != (first[:, None] == first)).any():
        return None
    groups: dict[int, list[int]] = {}
    for mention, leader in enumerate(first.tolist()):
        groups.setdefault(leader, []).append(mention)
    return list(groups.values())
