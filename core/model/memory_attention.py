"""Memory attention: what the reads of a model attend to in a document, captured while it is decoded.

Hooks compute it from the input of each read, only while `capture_attention` lasts: decoding without them costs nothing.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, NamedTuple, cast

import numpy as np
from torch import Tensor, nn

from core.config.memory import MemoryConfig, Mode
from core.data.documents import Annotation, LabelSet, Span
from core.data.issues import Issues
from core.features.candidates import all_spans
from core.features.wordpieces import EncodedDocument
from core.model.decoder import Decoder
from core.model.joint_model import JointModel
from core.model.memory import READ_MODES, PlaceRead, SlotRead
from core.records.memory_attention import DocumentAttention, ReadAttention
from core.records.memory_use import MemoryName, Place

STRONGEST = 20
"""Spans that are recorded in addition to the predicted mentions."""
DIGITS = 4


class ReadKey(NamedTuple):
    """Which read it is."""

    place: Place
    mode: Mode
    memory: MemoryName


@contextmanager
def capture_attention(model: JointModel) -> Iterator[dict[ReadKey, np.ndarray]]:
    """While this lasts, every read leaves its attention [rows, slots] here; a later batch replaces an earlier one."""
    captured: dict[ReadKey, np.ndarray] = {}

    def capture(key: ReadKey, read: SlotRead, inputs: tuple[Any, ...], output: Tensor) -> None:
        captured[key] = read.attention(*inputs).cpu().numpy()

    with ExitStack() as hooks:
        for key, read in attention_reads(model):
            hooks.enter_context(read.register_forward_hook(partial(capture, key)))
        yield captured


def attention_reads(model: JointModel) -> Iterator[tuple[ReadKey, SlotRead]]:
    """Every read that has an attention, by place, mode and memory, in the order in which a document meets them."""
    for place, at_place in model.reads.items():
        assert isinstance(at_place, PlaceRead)
        for mode, readers in at_place.reads.items():
            assert isinstance(readers, nn.ModuleDict)
            for memory, read in readers.items():
                if isinstance(read, SlotRead):
                    yield ReadKey(cast(Place, place), cast(Mode, mode), cast(MemoryName, memory)), read


def document_attention(
    decoder: Decoder, document: EncodedDocument, memory: MemoryConfig, *, reading: float
) -> DocumentAttention:
    """What every read attends to in one document, and the mentions predicted in it."""
    with capture_attention(decoder.model) as captured:
        annotation = decoder.decode([document], reading=reading, issues=Issues())[0].annotation
    candidates = all_spans(document.document, decoder.settings.max_span_tokens)
    rows = recorded_spans(candidates, annotation, captured)
    types = {span: entity.type for entity in annotation.entities for span in entity.mentions}
    spans: list[Span] = [(int(start), int(end)) for start, end in candidates[rows]]
    return DocumentAttention(
        id=document.document.id,
        title=document.document.title,
        tokens=document.document.tokens,
        sentences=document.document.sentences,
        spans=tuple(spans),
        types=tuple(types.get(span) for span in spans),
        candidates=len(candidates),
        source=memory.reads,
        strength=reading,
        reads=tuple(
            build_read_attention(key, attention, document, rows, slot_names(key, memory, decoder.labels))
            for key, attention in captured.items()
        ),
    )


def recorded_spans(candidates: np.ndarray, annotation: Annotation, captured: dict[ReadKey, np.ndarray]) -> np.ndarray:
    """Rows of the candidates [S, 2] that are recorded, in text order: the predicted mentions and the strongest others.

    Strong is what gets most of the first mode that is read at mentions: attention over rows, each memory counting
    alike, or the largest share of a slot.
    """
    accepted = set(annotation.mentions)
    is_mention = np.array([(int(start), int(end)) in accepted for start, end in candidates], dtype=bool)
    at_mentions = {key: attention for key, attention in captured.items() if key.place == "mentions"}
    others = np.zeros(0, dtype=np.int64)
    if at_mentions:
        mode = next(iter(at_mentions)).mode
        strength = sum(
            attention.mean(1) if READ_MODES[mode].over_rows else attention.max(1)
            for key, attention in at_mentions.items()
            if key.mode == mode
        )
        strength = np.where(is_mention, -1.0, strength)
        others = np.argsort(-strength, kind="stable")[: min(STRONGEST, int((~is_mention).sum()))]
    rows = np.union1d(np.flatnonzero(is_mention), others).astype(np.int64)
    return rows[np.lexsort(candidates[rows].T[::-1])]


def build_read_attention(
    key: ReadKey, attention: np.ndarray, document: EncodedDocument, spans: np.ndarray, slots: tuple[str, ...]
) -> ReadAttention:
    """The record of a read's attention [rows, slots]: pieces joined to tokens, or the rows of the recorded spans."""
    over_rows = READ_MODES[key.mode].over_rows
    elsewhere: tuple[float, ...] = ()
    attention = attention.astype(np.float64)
    if key.place == "tokens":
        items = np.add.reduceat(attention, document.bounds[:-1], axis=0)
        if not over_rows:
            items /= np.diff(document.bounds)[:, None]
    else:
        items = attention[spans]
        if over_rows:
            elsewhere = rounded(np.maximum(attention.sum(0) - items.sum(0), 0.0))
    weights = tuple(rounded(slot) for slot in items.T)
    return ReadAttention(key.memory, key.place, key.mode, slots, weights, elsewhere)


def rounded(values: np.ndarray) -> tuple[float, ...]:
    """The values in a few digits."""
    return tuple(float(f"{value:.{DIGITS}g}") for value in values.tolist())


def slot_names(key: ReadKey, memory: MemoryConfig, labels: LabelSet) -> tuple[str, ...]:
    """The names of a memory's slots; the rows of a matrix in its place stand for no type."""
    types = labels.entity_types if key.memory == "entity" else labels.relation_types
    if memory.reads in ("learned", "random"):
        return tuple(f"slot {number}" for number in range(1, len(types) * memory.slots_per_type + 1))
    if memory.slots_per_type == 1:
        return types
    return tuple(f"{name} {number}" for name in types for number in range(1, memory.slots_per_type + 1))
