"""Candidates: the spans, mention pairs and entity pairs that are scored, and the negative samples of training.

Training scores gold and drawn ones, inference all of them. Every draw comes from a generator keyed by (seed, epoch,
document id), never from global state, so that neither the number of workers nor a resume changes a sample. A span is
one mention sample however often it is annotated, and a mention is never paired with itself.
"""

from collections.abc import Sequence
from functools import lru_cache

import msgspec
import numpy as np
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cdist

from core.config.schema import SamplesConfig
from core.data.documents import Annotation, Document, Entity, LabelSet, Span
from core.features.wordpieces import EncodedDocument
from core.seeding import seed_for

Ints = np.ndarray


class Sample(msgspec.Struct, frozen=True):
    """What one document contributes to a training batch; indices count from 0 within the document.

    `spans` [S, 2] token spans, gold first; `is_mention` [S]; `coref_pairs` [P, 2] ordered; `is_coref` [P];
    `clusters`: span indices of each entity; `entity_types` [N]; `entity_pairs` [Q, 2] ordered; `relations` [Q, R].
    """

    encoded: EncodedDocument
    spans: Ints
    is_mention: Ints
    coref_pairs: Ints
    is_coref: Ints
    clusters: list[Ints]
    entity_types: Ints
    entity_pairs: Ints
    relations: Ints


def all_spans(document: Document, max_span_tokens: int) -> Ints:
    """Every span [S, 2] of up to `max_span_tokens` tokens within a sentence, by sentence, then width, then start."""
    spans = [sentence_spans(end - start, max_span_tokens) + start for start, end in document.sentences]
    return np.concatenate(spans) if spans else np.zeros((0, 2), dtype=np.int64)


@lru_cache(maxsize=1_024)
def sentence_spans(length: int, max_span_tokens: int) -> Ints:
    """The spans [S, 2] of a sentence that starts at 0, by width, then start; cached, therefore read-only."""
    widths, starts = repeat_indices(length - np.arange(min(max_span_tokens, length)))
    spans = np.stack([starts, starts + widths + 1], axis=1)
    spans.setflags(write=False)
    return spans


def add_spans(spans: Ints, more: Sequence[Span]) -> Ints:
    """The spans [S, 2], followed by those of `more` that are not among them."""
    if not more:
        return spans
    present = set(map(tuple, spans.tolist()))
    missing = [span for span in more if span not in present]
    return np.concatenate([spans, np.array(missing, dtype=np.int64).reshape(-1, 2)])


def find_rows(spans: Ints, searched: Sequence[Span]) -> Ints:
    """The row of each span searched for, each once."""
    rows = {(start, end): row for row, (start, end) in enumerate(spans.tolist())}
    return np.array([rows[span] for span in dict.fromkeys(searched)], dtype=np.int64)


def repeat_indices(counts: Ints) -> tuple[Ints, Ints]:
    """Each index repeated by its count, and the number of each repetition, from 0."""
    owner = np.repeat(np.arange(len(counts)), counts)
    return owner, np.arange(len(owner)) - (np.cumsum(counts) - counts)[owner]


def draw_sample(encoded: EncodedDocument, config: SamplesConfig, labels: LabelSet, *, seed: int, epoch: int) -> Sample:
    """The gold of a document and its drawn negatives (JEREX's sampler, without its copies and self-pairs).

    Up to half of the negative spans lie inside a gold span. Gold that cannot be trained on is left out.
    """
    document = encoded.document
    generator = np.random.default_rng(seed_for("sample", seed, epoch, document.id))
    gold = trainable_gold(document, labels)
    mentions = np.array(list(dict.fromkeys(gold.mentions)), dtype=np.int64).reshape(-1, 2)
    order = {(int(start), int(end)): index for index, (start, end) in enumerate(mentions)}
    clusters = [np.array(list(dict.fromkeys(order[span] for span in entity.mentions))) for entity in gold.entities]
    negatives = negative_spans(all_spans(document, config.max_span_tokens), mentions, config.neg_mentions, generator)
    coref_pairs, is_coref = coref_samples(clusters, len(mentions), config.neg_corefs, generator)
    entity_pairs, relations = relation_samples(gold, labels, config.neg_relations, generator)
    entity_index = {name: index for index, name in enumerate(labels.entity_types)}
    return Sample(
        encoded=encoded,
        spans=np.concatenate([mentions, negatives]),
        is_mention=np.concatenate([np.ones(len(mentions)), np.zeros(len(negatives))]).astype(np.float32),
        coref_pairs=coref_pairs,
        is_coref=is_coref,
        clusters=clusters,
        entity_types=np.array([entity_index[entity.type] for entity in gold.entities], dtype=np.int64),
        entity_pairs=entity_pairs,
        relations=relations,
    )


def trainable_gold(document: Document, labels: LabelSet) -> Annotation:
    """The gold that a document can be trained on: spans within its tokens, types that the label set knows."""
    if document.gold is None:
        return Annotation()
    tokens = len(document.tokens)
    new_index: dict[int, int] = {}
    entities: list[Entity] = []
    for index, entity in enumerate(document.gold.entities):
        spans = tuple(span for span in entity.mentions if span[1] <= tokens)
        if spans and entity.type in labels.entity_types:
            new_index[index] = len(entities)
            entities.append(msgspec.structs.replace(entity, mentions=spans))
    relations = [
        msgspec.structs.replace(relation, head=new_index[relation.head], tail=new_index[relation.tail])
        for relation in document.gold.relations
        if relation.head in new_index and relation.tail in new_index and relation.type in labels.relation_types
    ]
    return Annotation.from_entities(entities, relations)


def negative_spans(spans: Ints, mentions: Ints, limit: int, generator: np.random.Generator) -> Ints:
    """Up to `limit` candidate spans that are no mention, up to half of them inside a mention."""
    size = int(spans[:, 1].max(initial=0)) + int(mentions[:, 1].max(initial=0)) + 1
    is_gold = np.isin(spans @ [size, 1], mentions @ [size, 1])
    rest = spans[~is_gold]
    # furthest[s] = how far a mention that starts at or before token s reaches: a span inside one ends before that.
    furthest = np.zeros(size, dtype=np.int64)
    np.maximum.at(furthest, mentions[:, 0], mentions[:, 1])
    furthest = np.maximum.accumulate(furthest)
    is_inside = rest[:, 1] <= furthest[rest[:, 0]]
    inside, outside = rest[is_inside], rest[~is_inside]
    chosen_inside = draw_rows(inside, limit // 2, generator)
    return np.concatenate([chosen_inside, draw_rows(outside, limit - len(chosen_inside), generator)])


def draw_rows(rows: Ints, limit: int, generator: np.random.Generator) -> Ints:
    """Up to `limit` different rows, in random order."""
    return rows[generator.permutation(len(rows))[:limit]]


def coref_samples(clusters: list[Ints], mentions: int, limit: int, generator: np.random.Generator) -> tuple[Ints, Ints]:
    """All ordered pairs of mentions within an entity, and up to `limit` ordered pairs across entities."""
    together = np.zeros((mentions, mentions), dtype=bool)
    for cluster in clusters:
        together[np.ix_(cluster, cluster)] = True
    np.fill_diagonal(together, False)
    positives = np.argwhere(together)
    apart = ~together
    np.fill_diagonal(apart, False)
    negatives = draw_rows(np.argwhere(apart), limit, generator)
    labels = np.concatenate([np.ones(len(positives)), np.zeros(len(negatives))]).astype(np.float32)
    return np.concatenate([positives, negatives]).astype(np.int64), labels


def relation_samples(
    gold: Annotation, labels: LabelSet, limit: int, generator: np.random.Generator
) -> tuple[Ints, Ints]:
    """Every ordered entity pair with a relation, multi-hot over the types, and up to `limit` unrelated pairs."""
    index = {name: number for number, name in enumerate(labels.relation_types)}
    types: dict[tuple[int, int], set[int]] = {}
    for relation in gold.relations:
        types.setdefault((relation.head, relation.tail), set()).add(index[relation.type])
    free = ~np.eye(len(gold.entities), dtype=bool)
    for head, tail in types:
        free[head, tail] = False
    negatives = draw_rows(np.argwhere(free), limit, generator)
    positives = np.array(list(types), dtype=np.int64).reshape(-1, 2)
    pairs = np.concatenate([positives, negatives]).astype(np.int64)
    targets = np.zeros((len(pairs), len(labels.relation_types)), dtype=np.float32)
    for row, columns in enumerate(types.values()):
        targets[row, list(columns)] = 1.0
    return pairs, targets


def ordered_pairs(count: int) -> Ints:
    """All ordered pairs of different items [count * (count - 1), 2]."""
    items = np.arange(count)
    return np.argwhere(items[:, None] != items)


def unordered_pairs(count: int) -> Ints:
    """All pairs i < j of items [count * (count - 1) / 2, 2], row by row."""
    items = np.arange(count)
    return np.argwhere(items[:, None] < items)


def edit_distances(surfaces: Sequence[str], pairs: Ints) -> Ints:
    """The raw Levenshtein distance between the surfaces of each pair [P]."""
    if not len(pairs):
        return np.zeros(0, dtype=np.int64)
    index = {surface: number for number, surface in enumerate(dict.fromkeys(surfaces))}
    table = cdist(list(index), list(index), scorer=Levenshtein.distance, dtype=np.int32)
    rows = np.array([index[surface] for surface in surfaces], dtype=np.int64)
    return table[rows[pairs[:, 0]], rows[pairs[:, 1]]].astype(np.int64)


class MentionPairIndex(msgspec.Struct, frozen=True):
    """The mention pairs of entity pairs: `mentions` [K, 2] span indices, head's before tail's, by entity pair;
    `offsets` [Q + 1]: pair q owns rows offsets[q]:offsets[q + 1]."""

    mentions: Ints
    offsets: Ints


def mention_pairs(clusters: list[Ints], entity_pairs: Ints) -> MentionPairIndex:
    """Every mention of the head with every mention of the tail, for each entity pair."""
    sizes = np.array([len(cluster) for cluster in clusters], dtype=np.int64)
    starts = np.cumsum(sizes) - sizes
    flat = np.concatenate([np.zeros(0, dtype=np.int64), *clusters])
    heads, tails = entity_pairs[:, 0], entity_pairs[:, 1]
    counts = sizes[heads] * sizes[tails]
    offsets = np.zeros(len(entity_pairs) + 1, dtype=np.int64)
    np.cumsum(counts, out=offsets[1:])
    owner, number = repeat_indices(counts)
    head_number, tail_number = np.divmod(number, sizes[tails][owner])
    head_rows, tail_rows = starts[heads][owner] + head_number, starts[tails][owner] + tail_number
    return MentionPairIndex(mentions=np.stack([flat[head_rows], flat[tail_rows]], axis=1), offsets=offsets)


class PairGeometry(msgspec.Struct, frozen=True):
    """Context and distances of span pairs: `between` [K, 2] pieces strictly between them (empty where they touch or
    overlap), `token_distance` [K], `sentence_distance` [K], all unsigned."""

    between: Ints
    token_distance: Ints
    sentence_distance: Ints


def pair_geometry(spans: Ints, piece_spans: Ints, sentences: Ints, pairs: Ints) -> PairGeometry:
    """What lies between the spans of each pair: adjacent spans are 1 token apart, overlapping ones 0 (JEREX)."""
    first, second = spans[pairs[:, 0]], spans[pairs[:, 1]]
    later_start = np.maximum(first[:, 0], second[:, 0])
    earlier_end = np.where(first[:, 0] <= second[:, 0], first[:, 1], second[:, 1])
    first_pieces, second_pieces = piece_spans[pairs[:, 0]], piece_spans[pairs[:, 1]]
    left = np.minimum(first_pieces[:, 1], second_pieces[:, 1])
    right = np.maximum(first_pieces[:, 0], second_pieces[:, 0])
    return PairGeometry(
        between=np.stack([left, np.maximum(left, right)], axis=1),
        token_distance=np.maximum(0, later_start - (earlier_end - 1)),
        sentence_distance=np.abs(sentences[pairs[:, 0]] - sentences[pairs[:, 1]]),
    )
