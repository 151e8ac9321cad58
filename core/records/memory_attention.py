"""Memory attention of a run: what its reads attended to, per document, in `attention.<split>.jsonl` of its folder.

`engram evaluate RUN --attention` writes it, one JSON line per document, whole or not at all; reports draw it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec

from core.config.memory import Mode, Reads
from core.data.documents import Span
from core.errors import shorten
from core.files import atomic_write
from core.input_files import read_json_lines
from core.records.memory_use import MemoryName, Place

Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
"""A part of all attention that a softmax gave."""


class ReadAttention(msgspec.Struct, frozen=True):
    """The attention of one read: of one memory, at one place, in one mode.

    `weights` [slots, items], in 4 digits: items are the tokens at place tokens, the document's `spans` at place
    mentions. Inverse: a slot's softmax over the items, word pieces summed to tokens, so that a slot's tokens sum to 1,
    and so do its spans with `elsewhere`. Normal: an item's softmax over the slots, word pieces averaged, so that every
    item's column sums to 1.
    """

    memory: MemoryName
    place: Place
    mode: Mode
    slots: tuple[str, ...]
    """Names of the slots: their types, numbered where a type has several; `slot 1` and so on where a matrix is read."""
    weights: tuple[tuple[Share, ...], ...]
    elsewhere: tuple[Share, ...] = ()
    """Per slot, what an inverse read at mentions pays to the candidates that are not among `spans`."""


class DocumentAttention(msgspec.Struct, frozen=True):
    """One document and all that was read in it.

    `spans`: the mentions found and the other candidates with most attention, in text order; `types`: the
    predicted entity type of each, None where the span was not accepted as a mention; `candidates`: how many spans there
    were in all; `source`: what was read (`memory.reads`); `strength`: how strongly (the ramp).
    """

    id: str
    title: str | None
    tokens: tuple[str, ...]
    sentences: tuple[Span, ...]
    spans: tuple[Span, ...]
    types: tuple[str | None, ...]
    candidates: int
    source: Reads
    strength: float
    reads: tuple[ReadAttention, ...]

    def __post_init__(self) -> None:
        items = {"tokens": len(self.tokens), "mentions": len(self.spans)}
        if not len(self.types) == len(self.spans) <= self.candidates:
            counts = f"{len(self.spans)} spans, {len(self.types)} types and {self.candidates} candidates"
            raise ValueError(f"document {shorten(self.id)} has {counts}")
        if not all(0 <= start < end <= len(self.tokens) for start, end in self.spans):
            raise ValueError(f"document {shorten(self.id)} of {len(self.tokens)} tokens has spans beyond them")
        for read in self.reads:
            if len(read.weights) != len(read.slots) or {*map(len, read.weights)} - {items[read.place]}:
                size = f"{len(read.slots)} slots and {items[read.place]} {read.place}"
                raise ValueError(f"a read of document {shorten(self.id)} has no weight for each of {size}")


def attention_path(folder: Path, split: str) -> Path:
    """The attention file of a split."""
    return folder / f"attention.{split}.jsonl"


def write_attention(path: Path, documents: Sequence[DocumentAttention]) -> None:
    """Write the attention on some documents over an earlier file."""
    atomic_write(path, b"".join(msgspec.json.encode(document) + b"\n" for document in documents))


def read_attention(path: Path) -> list[DocumentAttention]:
    """The documents of an attention file; a damaged one is one clear line."""
    return read_json_lines(path, DocumentAttention, "delete it, or run `engram evaluate RUN --attention` again")
