"""Batches: the named tensors that the model's stages take, in training and at inference, and their collation.

Everything but the encoder's input is flat: rows of all documents behind one another, with `counts` where a stage must
know where a document ends. Indices point into the flat rows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from itertools import accumulate
from typing import Any, TypeVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from core.features.candidates import MentionPairIndex, Sample, edit_distances, mention_pairs, pair_geometry
from core.features.wordpieces import EncodedDocument
from core.seeding import seed_for

Tensors = TypeVar("Tensors")


@dataclass(frozen=True)
class Pieces:
    """The encoder's input, padded on the right: `ids` and `mask` [B, L], `counts` pieces per document."""

    ids: Int[Tensor, "B L"]
    mask: Bool[Tensor, "B L"]
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Spans:
    """Spans as rows `starts`:`ends` of the flat states; `widths` in tokens; `counts` spans per document."""

    starts: Int[Tensor, " S"]
    ends: Int[Tensor, " S"]
    widths: Int[Tensor, " S"]
    counts: tuple[int, ...]


@dataclass(frozen=True)
class SpanPairs:
    """Ordered mention pairs for coreference, by span row, and the edit distance of their surfaces."""

    first: Int[Tensor, " P"]
    second: Int[Tensor, " P"]
    edit_distances: Int[Tensor, " P"]


@dataclass(frozen=True)
class Clusters:
    """Entities as span rows: entity i holds `mentions[offsets[i]:offsets[i + 1]]`."""

    mentions: Int[Tensor, " M"]
    offsets: Int[Tensor, " bounds"]


@dataclass(frozen=True)
class MentionPairs:
    """The mention pairs of the entity pairs (MRC), by span row; entity pair q holds rows offsets[q]:offsets[q + 1].

    `context_starts`:`context_ends` are the states strictly between the two mentions; distances are unsigned.
    """

    heads: Int[Tensor, " K"]
    tails: Int[Tensor, " K"]
    context_starts: Int[Tensor, " K"]
    context_ends: Int[Tensor, " K"]
    token_distances: Int[Tensor, " K"]
    sentence_distances: Int[Tensor, " K"]
    offsets: Int[Tensor, " bounds"]


@dataclass(frozen=True)
class EntityPairs:
    """Ordered entity pairs; `mention_pairs` where the relation head is multi-instance."""

    heads: Int[Tensor, " Q"]
    tails: Int[Tensor, " Q"]
    mention_pairs: MentionPairs | None


@dataclass(frozen=True)
class Targets:
    """Gold labels of a training batch."""

    mention: Float[Tensor, " S"]
    coref: Float[Tensor, " P"]
    entity: Int[Tensor, " N"]
    relation: Float[Tensor, "Q R"]


@dataclass(frozen=True)
class TrainingBatch:
    """One optimiser step's input: gold and drawn candidates of B documents, with their labels."""

    pieces: Pieces
    spans: Spans
    span_pairs: SpanPairs
    clusters: Clusters
    entity_pairs: EntityPairs
    targets: Targets


def to_device(tensors: Tensors, device: torch.device) -> Tensors:
    """The same named tensors on another device."""
    moved: dict[str, Any] = {}
    for name, value in vars(tensors).items():
        if isinstance(value, Tensor):
            value = value.to(device)
        elif is_dataclass(value):
            value = to_device(value, device)
        moved[name] = value
    return type(tensors)(**moved)


def epoch_order(count: int, *, seed: int, epoch: int) -> np.ndarray:
    """The order in which an epoch visits the documents, keyed by (seed, epoch)."""
    return np.random.default_rng(seed_for("order", seed, epoch)).permutation(count)


def epoch_batches(order: np.ndarray, size: int, *, first: int = 0) -> Iterator[np.ndarray]:
    """The complete batches of an order, from batch number `first` on; an incomplete last one is dropped."""
    for number in range(first, len(order) // size):
        yield order[number * size : (number + 1) * size]


def pad_pieces(documents: Sequence[EncodedDocument], padding: int) -> Pieces:
    """The word pieces of some documents, padded to the longest."""
    counts = tuple(len(document.ids) for document in documents)
    ids = np.full((len(documents), max(counts)), padding, dtype=np.int64)
    for row, document in zip(ids, documents, strict=True):
        row[: len(document.ids)] = document.ids
    mask = np.arange(max(counts))[None, :] < np.array(counts)[:, None]
    return Pieces(ids=torch.from_numpy(ids), mask=torch.from_numpy(mask), counts=counts)


def build_spans(documents: Sequence[EncodedDocument], spans: Sequence[np.ndarray]) -> Spans:
    """Token spans of each document as rows of the flat states."""
    offsets = starting_rows([len(document.ids) for document in documents])
    flat = np.concatenate(
        [document.to_pieces(own) + offset for document, own, offset in zip(documents, spans, offsets, strict=True)]
    )
    tokens = np.concatenate(list(spans))
    return Spans(
        starts=torch.from_numpy(np.ascontiguousarray(flat[:, 0])),
        ends=torch.from_numpy(np.ascontiguousarray(flat[:, 1])),
        widths=torch.from_numpy(tokens[:, 1] - tokens[:, 0]),
        counts=tuple(map(len, spans)),
    )


def starting_rows(counts: Sequence[int]) -> np.ndarray:
    """The flat row at which each document starts."""
    return np.array([0, *accumulate(counts)][:-1], dtype=np.int64)


def build_span_pairs(pairs: np.ndarray, distances: np.ndarray) -> SpanPairs:
    """Pairs [P, 2] of span rows and their edit distances as tensors."""
    first, second = torch.from_numpy(pairs.T.copy())
    return SpanPairs(first=first, second=second, edit_distances=torch.from_numpy(distances))


def build_clusters(clusters: Sequence[np.ndarray]) -> Clusters:
    """Entities, each given as an array of span rows."""
    offsets = np.zeros(len(clusters) + 1, dtype=np.int64)
    np.cumsum([len(cluster) for cluster in clusters], out=offsets[1:])
    flat = np.concatenate([np.zeros(0, dtype=np.int64), *clusters]).astype(np.int64)
    return Clusters(mentions=torch.from_numpy(flat), offsets=torch.from_numpy(offsets))


def build_mention_pairs(
    encoded: EncodedDocument, spans: np.ndarray, index: MentionPairIndex, *, first_piece: int, first_span: int
) -> MentionPairs:
    """The mention pairs of one document, whose pieces and spans start at these flat rows."""
    bounds = np.array(encoded.document.sentences, dtype=np.int64).reshape(-1, 2)
    sentence_numbers = np.repeat(np.arange(len(bounds)), bounds[:, 1] - bounds[:, 0])
    geometry = pair_geometry(spans, encoded.to_pieces(spans), sentence_numbers[spans[:, 0]], index.mentions)
    rows = torch.from_numpy(index.mentions.T + first_span)
    between = torch.from_numpy(geometry.between.T + first_piece)
    return MentionPairs(
        heads=rows[0],
        tails=rows[1],
        context_starts=between[0],
        context_ends=between[1],
        token_distances=torch.from_numpy(geometry.token_distance),
        sentence_distances=torch.from_numpy(geometry.sentence_distance),
        offsets=torch.from_numpy(index.offsets),
    )


def join_mention_pairs(pairs: Sequence[MentionPairs]) -> MentionPairs:
    """The mention pairs of several documents as one."""
    if len(pairs) == 1:
        return pairs[0]
    counts = [len(own.heads) for own in pairs]
    offsets = [own.offsets[:-1] + int(row) for own, row in zip(pairs, starting_rows(counts), strict=True)]
    names = [field.name for field in fields(MentionPairs) if field.name != "offsets"]
    joined = {name: torch.cat([getattr(own, name) for own in pairs]) for name in names}
    return MentionPairs(**joined, offsets=torch.cat([*offsets, torch.tensor([sum(counts)])]))


def collate(samples: Sequence[Sample], *, padding: int, multi_instance: bool) -> TrainingBatch:
    """The training samples of B documents as one batch."""
    documents = [sample.encoded for sample in samples]
    first_spans = starting_rows([len(sample.spans) for sample in samples])
    first_pieces = starting_rows([len(document.ids) for document in documents])
    first_entities = starting_rows([len(sample.clusters) for sample in samples])
    distances = [
        # Only gold mentions, which come first among the spans, are paired.
        edit_distances(
            [
                sample.encoded.document.surface((start, end))
                for start, end in sample.spans[: sample.coref_pairs.max(initial=-1) + 1].tolist()
            ],
            sample.coref_pairs,
        )
        for sample in samples
    ]
    entity_pairs = np.concatenate(
        [sample.entity_pairs + row for sample, row in zip(samples, first_entities, strict=True)]
    )
    joined = None
    if multi_instance:
        joined = join_mention_pairs(
            [
                build_mention_pairs(
                    sample.encoded,
                    sample.spans,
                    mention_pairs(sample.clusters, sample.entity_pairs),
                    first_piece=int(first_pieces[number]),
                    first_span=int(first_spans[number]),
                )
                for number, sample in enumerate(samples)
            ]
        )
    heads, tails = torch.from_numpy(entity_pairs.T.copy())
    return TrainingBatch(
        pieces=pad_pieces(documents, padding),
        spans=build_spans(documents, [sample.spans for sample in samples]),
        span_pairs=build_span_pairs(
            np.concatenate([sample.coref_pairs + row for sample, row in zip(samples, first_spans, strict=True)]),
            np.concatenate(distances),
        ),
        clusters=build_clusters(
            [cluster + row for sample, row in zip(samples, first_spans, strict=True) for cluster in sample.clusters]
        ),
        entity_pairs=EntityPairs(heads=heads, tails=tails, mention_pairs=joined),
        targets=Targets(
            mention=torch.from_numpy(np.concatenate([sample.is_mention for sample in samples])),
            coref=torch.from_numpy(np.concatenate([sample.is_coref for sample in samples])),
            entity=torch.from_numpy(np.concatenate([sample.entity_types for sample in samples])),
            relation=torch.from_numpy(np.concatenate([sample.relations for sample in samples])),
        ),
    )
