"""Decoder: the stages of the model on predicted candidates, with thresholds and clustering, give an Annotation.

All spans -> mentions -> pairs i < j -> clusters -> entities and their types -> all ordered entity pairs -> relations.
Documents of like length are encoded together under a budget of word pieces, pairs are scored under a budget of rows;
neither budget changes a result, and results come in the order of the input.
"""

from collections.abc import Callable, Iterator, Sequence, Sized
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np
import torch
from torch import Tensor

from core.config.schema import RunConfig
from core.data.documents import Annotation, Entity, LabelSet, Relation, Span
from core.data.issues import Issues
from core.features.batches import (
    EntityPairs,
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
    add_spans,
    all_spans,
    edit_distances,
    find_rows,
    mention_pairs,
    ordered_pairs,
    trainable_gold,
    unordered_pairs,
)
from core.features.wordpieces import EncodedDocument, WordPieces
from core.model.clustering import cluster_mentions
from core.model.joint_model import EntityStage, JointModel, MentionStage

OnBatch = Callable[[Sequence[EncodedDocument], Sequence[np.ndarray]], None]
"""Is called before a batch is computed, with its documents and the candidate spans [S, 2] of each."""
# Relation candidates below this score are not kept for ranking measures; no threshold is that low.
MIN_RANKED_SCORE = 0.01
MAX_RANKED = 1_000


class Decoded(msgspec.Struct, frozen=True):
    """The prediction for one document, and its relation candidates by falling score (for ranking measures).

    `best_mention` and `best_relation` are the highest scores where none reached the threshold, else None.
    """

    annotation: Annotation
    ranked: tuple[Relation, ...]
    best_mention: float | None = None
    best_relation: float | None = None


@dataclass(frozen=True)
class DecoderSettings:
    """The settings of a run that decoding needs."""

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
        on_batch: OnBatch = lambda documents, spans: None,
        advance: Callable[[int], None] = lambda done: None,
    ) -> list[Decoded]:
        """The predictions, in input order; `advance` is called with the number of documents of each finished batch.

        A document with more than `max_mentions` accepted spans keeps its best ones, counted in `issues`. With `on_gold`
        the gold mentions and clusters take the place of the predicted ones, so that relations can be compared without
        what comes before them.
        """
        results: dict[int, Decoded] = {}
        was_training = self.model.training
        # Switching every module takes longer than a short document's heads: only where it changes anything.
        if was_training:
            self.model.eval()
        try:
            with torch.inference_mode():
                lengths = [len(document.ids) for document in documents]
                for numbers in length_buckets(lengths, self.settings.piece_budget):
                    batch = [documents[number] for number in numbers]
                    decoded = self._decode_batch(batch, reading, issues, on_gold, on_batch)
                    results.update(zip(numbers, decoded, strict=True))
                    advance(len(numbers))
        finally:
            if was_training:
                self.model.train()
        return [results[number] for number in range(len(documents))]

    def _decode_batch(
        self, batch: list[EncodedDocument], reading: float, issues: Issues, on_gold: bool, on_batch: OnBatch
    ) -> list[Decoded]:
        gold = [trainable_gold(document.document, self.labels) for document in batch] if on_gold else None
        candidates = [all_spans(document.document, self.settings.max_span_tokens) for document in batch]
        if gold is not None:
            candidates = [add_spans(own, known.mentions) for own, known in zip(candidates, gold, strict=True)]
        on_batch(batch, candidates)
        states = self.model.encode(to_device(pad_pieces(batch, self.wordpieces.padding), self.device), reading=reading)
        stage = self.model.mentions(states, to_device(build_spans(batch, candidates), self.device), reading=reading)
        mention_scores = split_like(torch.sigmoid(stage.logits.float()).cpu().numpy(), candidates)
        if gold is not None:
            accepted = [find_rows(own, known.mentions) for own, known in zip(candidates, gold, strict=True)]
        else:
            accepted = self._accept_mentions(batch, mention_scores, issues)
        first_candidates = starting_rows([len(own) for own in candidates])
        rows = [own + first for own, first in zip(accepted, first_candidates, strict=True)]
        chosen = torch.from_numpy(np.concatenate(rows)).to(self.device)
        mentions = MentionStage(
            vectors=stage.vectors.index_select(0, chosen), logits=stage.logits.index_select(0, chosen)
        )
        spans = [own[kept] for own, kept in zip(candidates, accepted, strict=True)]
        if gold is not None:
            clusters = [
                [find_rows(own, entity.mentions) for entity in known.entities]
                for own, known in zip(spans, gold, strict=True)
            ]
        else:
            clusters = self._cluster_mentions(batch, spans, mentions)
        first_mentions = starting_rows([len(own) for own in spans])
        shifted = [cluster + first for own, first in zip(clusters, first_mentions, strict=True) for cluster in own]
        entities = self.model.entities(mentions, to_device(build_clusters(shifted), self.device))
        types = entities.logits.argmax(1)
        type_scores = torch.softmax(entities.logits.float(), 1).amax(1)
        pairs = [ordered_pairs(len(own)) for own in clusters]
        scores = self._score_relations(batch, spans, clusters, pairs, states, mentions, entities, types)
        by_document = zip(
            spans,
            accepted,
            mention_scores,
            clusters,
            split_like(types.cpu().numpy(), clusters),
            split_like(type_scores.cpu().numpy(), clusters),
            pairs,
            split_like(scores, pairs),
            strict=True,
        )
        return [self._annotate(*parts) for parts in by_document]

    def _accept_mentions(
        self, batch: list[EncodedDocument], scores: list[np.ndarray], issues: Issues
    ) -> list[np.ndarray]:
        """The rows of each document's candidates that are mentions, by the scores [S] of all of them."""
        accepted = []
        for document, own in zip(batch, scores, strict=True):
            rows = np.flatnonzero(own >= np.float32(self.settings.mention_threshold))
            if len(rows) > self.settings.max_mentions:
                issues.add("mention_flood", f"{document.document.id}: {len(rows)} spans accepted as mentions")
                best = np.argsort(-own[rows], kind="stable")[: self.settings.max_mentions]
                rows = np.sort(rows[best])
            accepted.append(rows)
        return accepted

    def _cluster_mentions(
        self, batch: list[EncodedDocument], spans: list[np.ndarray], mentions: MentionStage
    ) -> list[list[np.ndarray]]:
        """The clusters of each document, as rows of its spans."""
        clusters, first = [], 0
        for document, own in zip(batch, spans, strict=True):
            pairs = unordered_pairs(len(own))
            distances = edit_distances(self._surfaces(document, own), pairs)
            similarities = np.zeros(len(pairs), dtype=np.float32)
            for start in range(0, len(pairs), self.settings.row_budget):
                rows = slice(start, start + self.settings.row_budget)
                tensors = to_device(build_span_pairs(pairs[rows] + first, distances[rows]), self.device)
                similarities[rows] = torch.sigmoid(self.model.coref(mentions, tensors).float()).cpu().numpy()
            clusters.append(cluster_mentions(similarities, count=len(own), threshold=self.settings.coref_threshold))
            first += len(own)
        return clusters

    def _surfaces(self, document: EncodedDocument, spans: np.ndarray) -> list[str]:
        if self.settings.surface == "tokens":
            return [document.document.surface((start, end)) for start, end in spans.tolist()]
        pieces = document.to_pieces(spans).tolist()
        return [self.wordpieces.decode(document.ids[start:end].tolist()) for start, end in pieces]

    def _score_relations(
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
        first_pieces = starting_rows([len(document.ids) for document in batch])
        first_spans = starting_rows([len(own) for own in spans])
        first_entities = starting_rows([len(own) for own in clusters])
        chunks: list[tuple[int, np.ndarray, int]] = []
        for number, own in enumerate(pairs):
            rows = np.ones(len(own), dtype=np.int64)
            if self.model.multi_instance:
                sizes = np.array([len(cluster) for cluster in clusters[number]], dtype=np.int64)
                rows = sizes[own[:, 0]] * sizes[own[:, 1]]
            chunks += [(number, own[chunk], size) for chunk, size in split_by_budget(rows, self.settings.row_budget)]
        scores = [np.zeros((0, len(self.labels.relation_types)), dtype=np.float32)]
        all_sizes = np.array([size for _, _, size in chunks], dtype=np.int64)
        for together, _ in split_by_budget(all_sizes, self.settings.row_budget):
            numbered = [(number, own) for number, own, _ in chunks[together]]
            heads, tails = torch.from_numpy(np.concatenate([own + first_entities[n] for n, own in numbered]).T.copy())
            joined = None
            if self.model.multi_instance:
                joined = join_mention_pairs(
                    [
                        build_mention_pairs(
                            batch[number],
                            spans[number],
                            mention_pairs(clusters[number], own),
                            first_piece=int(first_pieces[number]),
                            first_span=int(first_spans[number]),
                        )
                        for number, own in numbered
                    ]
                )
            entity_pairs = to_device(EntityPairs(heads, tails, joined), self.device)
            logits = self.model.relations(states, mentions, entities, types, entity_pairs)
            scores.append(torch.sigmoid(logits.float()).cpu().numpy())
        return scores[1] if len(scores) == 2 else np.concatenate(scores)

    def _annotate(
        self,
        spans: np.ndarray,
        accepted: np.ndarray,
        mention_scores: np.ndarray,
        clusters: list[np.ndarray],
        types: np.ndarray,
        type_scores: np.ndarray,
        pairs: np.ndarray,
        scores: np.ndarray,
    ) -> Decoded:
        """One document's prediction from its spans (the accepted ones of all that have scores), clusters and pairs."""
        mentions: list[Span] = [(start, end) for start, end in spans.tolist()]
        entities = tuple(
            Entity(mentions=tuple(sorted(mentions[row] for row in cluster)), type=self.labels.entity_types[index])
            for cluster, index in zip(clusters, types.tolist(), strict=True)
        )
        flat = scores.ravel()
        order = np.flatnonzero(flat >= MIN_RANKED_SCORE)
        order = order[np.argsort(-flat[order], kind="stable")]
        rows, columns = np.divmod(order, scores.shape[1])
        candidates = zip(pairs[rows].tolist(), columns.tolist(), flat[order].tolist(), strict=True)
        ranked = tuple(
            Relation(head=head, tail=tail, type=self.labels.relation_types[column], score=score)
            for (head, tail), column, score in candidates
        )
        threshold = float(np.float32(self.settings.relation_threshold))
        relations = tuple(relation for relation in ranked if relation.score is not None and relation.score >= threshold)
        scored = sorted(zip(mentions, mention_scores[accepted].tolist(), strict=True))
        annotation = Annotation(
            mentions=tuple(span for span, _ in scored),
            entities=entities,
            relations=relations,
            mention_scores=tuple(score for _, score in scored),
            entity_scores=tuple(type_scores.tolist()),
        )
        return Decoded(
            annotation=annotation,
            ranked=ranked[:MAX_RANKED],
            best_mention=float(mention_scores.max()) if mention_scores.size and not accepted.size else None,
            best_relation=float(flat.max()) if flat.size and not relations else None,
        )


def split_like(values: np.ndarray, parts: Sequence[Sized]) -> list[np.ndarray]:
    """The values of each part; as many rows as it has."""
    return np.split(values, starting_rows([len(part) for part in parts])[1:])


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
