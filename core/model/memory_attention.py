"""The attention of a model's reads on a document, taken while it is decoded.

Hooks compute it from the input of each read, only while `capture_attention` lasts: decoding without them costs nothing.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

import numpy as np
from torch import Tensor, nn

from core.config.schema import MemoryConfig, Mode
from core.data.documents import Annotation, LabelSet, Span
from core.data.issues import Issues
from core.features.candidates import all_spans
from core.features.wordpieces import EncodedDocument
from core.model.decoder import Decoder
from core.model.joint_model import JointModel
from core.model.memory import PlaceRead, SlotRead
from core.records.memory_attention import DocumentAttention, MemoryName, Place, ReadAttention

STRONGEST = 20
"""Spans that are kept beside the mentions found."""
DIGITS = 4


class Key(NamedTuple):
    """Which read it is."""

    place: Place
    mode: Mode
    memory: MemoryName


@contextmanager
def capture_attention(model: JointModel) -> Iterator[dict[Key, np.ndarray]]:
    """While this lasts, every read leaves its attention [rows, slots] here; a later batch replaces an earlier one."""
    seen: dict[Key, np.ndarray] = {}

    def hook_of(key: Key) -> Any:
        def keep(read: SlotRead, given: tuple[Any, ...], output: Tensor) -> None:
            seen[key] = read.attention(*given).cpu().numpy()

        return keep

    hooks = [read.register_forward_hook(hook_of(key)) for key, read in attention_reads(model)]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def attention_reads(model: JointModel) -> Iterator[tuple[Key, SlotRead]]:
    """Every read that has an attention, by place, mode and memory, in the order in which a document meets them."""
    for place, at_place in model.reads.items():
        assert isinstance(at_place, PlaceRead)
        for mode, readers in at_place.reads.items():
            assert isinstance(readers, nn.ModuleDict)
            for memory, read in readers.items():
                if isinstance(read, SlotRead):
                    yield Key(cast(Place, place), cast(Mode, mode), cast(MemoryName, memory)), read


def document_attention(
    decoder: Decoder, document: EncodedDocument, memory: MemoryConfig, *, reading: float
) -> DocumentAttention:
    """What every read attends to in one document, with the mentions that are found in it."""
    with capture_attention(decoder.model) as seen:
        annotation = decoder.decode([document], reading=reading, issues=Issues())[0].annotation
    candidates = all_spans(document.document, decoder.settings.max_span_tokens)
    kept = recorded_spans(candidates, annotation, seen)
    found = {span: entity.type for entity in annotation.entities for span in entity.mentions}
    spans: list[Span] = [(int(start), int(end)) for start, end in candidates[kept]]
    return DocumentAttention(
        id=document.document.id,
        title=document.document.title,
        tokens=document.document.tokens,
        sentences=document.document.sentences,
        spans=tuple(spans),
        types=tuple(found.get(span) for span in spans),
        candidates=len(candidates),
        source=memory.reads,
        strength=reading,
        reads=tuple(
            build_read_attention(key, attention, document, kept, slot_names(key, memory, decoder.labels))
            for key, attention in seen.items()
        ),
    )


def recorded_spans(candidates: np.ndarray, annotation: Annotation, seen: dict[Key, np.ndarray]) -> np.ndarray:
    """Rows of the candidates [S, 2] that are recorded, in text order: mentions found, and the strongest others.

    Strong is what gets most of the first mode that is read at mentions: inverse attention, each memory counting alike,
    or the largest share of a slot.
    """
    accepted = set(annotation.mentions)
    is_found = np.array([(int(start), int(end)) in accepted for start, end in candidates], dtype=bool)
    at_mentions = {key: attention for key, attention in seen.items() if key.place == "mentions"}
    others = np.zeros(0, dtype=np.int64)
    if at_mentions:
        first = next(iter(at_mentions)).mode
        of_mode = [attention for key, attention in at_mentions.items() if key.mode == first]
        each = [attention.mean(1) if first == "inverse" else attention.max(1) for attention in of_mode]
        strength = np.where(is_found, -1.0, np.sum(each, axis=0))
        others = np.argsort(-strength, kind="stable")[: min(STRONGEST, int((~is_found).sum()))]
    rows = np.union1d(np.flatnonzero(is_found), others).astype(np.int64)
    return rows[np.lexsort(candidates[rows].T[::-1])]


def build_read_attention(
    key: Key, attention: np.ndarray, document: EncodedDocument, kept: np.ndarray, slots: tuple[str, ...]
) -> ReadAttention:
    """The record of a read's attention [rows, slots]: pieces joined to tokens, or the spans that are kept."""
    elsewhere: tuple[float, ...] = ()
    attention = attention.astype(np.float64)
    if key.place == "tokens":
        items = np.add.reduceat(attention, document.bounds[:-1], axis=0)
        if key.mode == "normal":
            items /= np.diff(document.bounds)[:, None]
    else:
        items = attention[kept]
        if key.mode == "inverse":
            elsewhere = rounded(np.maximum(attention.sum(0) - items.sum(0), 0.0))
    weights = tuple(rounded(slot) for slot in items.T)
    return ReadAttention(key.memory, key.place, key.mode, slots, weights, elsewhere)


def rounded(values: np.ndarray) -> tuple[float, ...]:
    """The values in a few digits."""
    return tuple(float(f"{value:.{DIGITS}g}") for value in values.tolist())


def slot_names(key: Key, memory: MemoryConfig, labels: LabelSet) -> tuple[str, ...]:
    """What the slots of a memory are called; the rows of a matrix in its place stand for no type."""
    types = labels.entity_types if key.memory == "entity" else labels.relation_types
    if memory.reads in ("learned", "random"):
        return tuple(f"slot {number}" for number in range(1, len(types) * memory.slots_per_type + 1))
    if memory.slots_per_type == 1:
        return types
    return tuple(f"{name} {number}" for name in types for number in range(1, memory.slots_per_type + 1))
