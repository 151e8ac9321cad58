"""The numbers behind a picture of memory attention: one document, one mode of reading, in percent."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from core.attention_record import (
    DocumentAttention,
    MemoryName,
    Place,
    ReadAttention,
    attention_path,
    read_attention,
)
from core.config import Mode, Reads
from core.documents import Span
from core.record import SCORED
from reports.load import runs_of

MOST_SLOTS, MOST_ITEMS = 8, 12
"""What a heat map shows: the slots that attend most to anything, and the items that they attend to most."""
SOURCES: dict[Reads, str] = {
    "written": "the written slots",
    "learned": "a matrix trained by reading alone",
    "random": "a frozen random matrix",
    "uniform": "with uniform attention",
    "constant": "a constant",
}
WORDS: dict[Mode, str] = {
    "inverse": "Each slot spreads its attention over a document; even: what each token or span would get of uniform "
    "attention.",
    "normal": "Each token or span spreads its attention over the slots; even: what each slot would get of uniform "
    "attention.",
}


@dataclass(frozen=True)
class Heat:
    """Slots times items, both those that stand out, in percent; `even` is what equal attention would give each."""

    place: Place
    slots: tuple[str, ...]
    items: tuple[str, ...]
    found: tuple[bool, ...]
    """Whether an item is a mention that was found; every token is."""
    values: np.ndarray
    even: float
    left_out: int
    """Slots that are not shown."""


@dataclass(frozen=True)
class MemoryPicture:
    """What one memory reads: a shade per token in percent (`shaded` says of what), white at `floor`, and heat maps."""

    memory: MemoryName
    shaded: str
    shades: tuple[float, ...]
    floor: float
    even: float
    heats: tuple[Heat, ...]


@dataclass(frozen=True)
class Picture:
    """A document's text, the mentions found in it, and what each memory reads there in one mode."""

    title: str
    mode: Mode
    tokens: tuple[str, ...]
    sentences: tuple[Span, ...]
    mentions: tuple[Span, ...]
    memories: tuple[MemoryPicture, ...]


def attended(frame: pd.DataFrame) -> Iterator[tuple[str, str, DocumentAttention]]:
    """Row, run and first document of every row of which a scored run has stored attention; of several the first seed's.

    Raises a UserError for a damaged file.
    """
    for row, runs in runs_of(frame).groupby("row", sort=False):
        for run in runs[runs["status"].isin(SCORED)].to_dict("records"):
            path = attention_path(Path(run["folder"]), run["split"])
            documents = read_attention(path) if path.is_file() else []
            if documents and modes_of(documents[0]):
                yield str(row), run["run"], documents[0]
                break


def modes_of(document: DocumentAttention) -> tuple[Mode, ...]:
    """The modes of which there is something to see, in the order in which the document was read."""
    return tuple(dict.fromkeys(read.mode for read in filled(document)))


def filled(document: DocumentAttention) -> list[ReadAttention]:
    """The reads that have slots and items: none of a memory without types, none at mentions where there is no span."""
    return [read for read in document.reads if read.weights and read.weights[0]]


def picture_of(document: DocumentAttention, mode: Mode) -> Picture:
    """The picture of a document in one mode."""
    of_mode = [read for read in filled(document) if read.mode == mode]
    memories = dict.fromkeys(read.memory for read in of_mode)
    return Picture(
        title=document.title or document.id,
        mode=mode,
        tokens=document.tokens,
        sentences=document.sentences,
        mentions=tuple(span for span, kind in zip(document.spans, document.types, strict=True) if kind is not None),
        memories=tuple(
            memory_picture(document, [read for read in of_mode if read.memory == name]) for name in memories
        ),
    )


def memory_picture(document: DocumentAttention, reads: list[ReadAttention]) -> MemoryPicture:
    """What one memory reads, by its reads at tokens, at mentions or at both."""
    first = reads[0]
    weights = percent(first)
    # Inverse: what a token gets from an average slot. Normal: what its strongest slot gets from it.
    each = weights.mean(0) if first.mode == "inverse" else weights.max(0)
    if first.place == "mentions":
        each = spread(each, document)
    return MemoryPicture(
        memory=first.memory,
        shaded="mean attention of the slots" if first.mode == "inverse" else "share of the strongest slot",
        shades=tuple(each.tolist()),
        # No strongest slot has less than an even share.
        floor=0.0 if first.mode == "inverse" else even_share(document, first),
        even=even_share(document, first),
        heats=tuple(heat_of(document, read) for read in reads),
    )


def percent(read: ReadAttention) -> np.ndarray:
    """The weights [slots, items] in percent."""
    return 100.0 * np.array(read.weights, dtype=np.float64)


def even_share(document: DocumentAttention, read: ReadAttention) -> float:
    """The percent that every item (inverse) or slot (normal) would get of attention that looks at nothing."""
    if read.mode == "normal":
        return 100.0 / len(read.slots)
    return 100.0 / (len(document.tokens) if read.place == "tokens" else document.candidates)


def spread(values: np.ndarray, document: DocumentAttention) -> np.ndarray:
    """Values of spans on tokens: the largest of the mentions found that hold the token, 0 outside of them."""
    shades = np.zeros(len(document.tokens))
    for (start, end), kind, value in zip(document.spans, document.types, values.tolist(), strict=True):
        if kind is not None:
            shades[start:end] = np.maximum(shades[start:end], value)
    return shades


def heat_of(document: DocumentAttention, read: ReadAttention) -> Heat:
    """The heat map of one read: slots by falling peak, items in text order.

    Of a normal read at mentions only those found, where there are any: what a span that is none pays says little.
    """
    weights = percent(read)
    if read.place == "tokens":
        names, found = list(document.tokens), [True] * len(document.tokens)
    else:
        names = [" ".join(document.tokens[start:end]) for start, end in document.spans]
        found = [kind is not None for kind in document.types]
    if read.mode == "normal" and any(found):
        weights = weights[:, found]
        names, found = [name for name, kept in zip(names, found, strict=True) if kept], [True] * sum(found)
    slots = np.argsort(-weights.max(1), kind="stable")[:MOST_SLOTS]
    shown = weights[slots]
    items = np.sort(np.argsort(-shown.max(0), kind="stable")[:MOST_ITEMS])
    return Heat(
        place=read.place,
        slots=tuple(read.slots[slot] for slot in slots),
        items=tuple(names[item] for item in items),
        found=tuple(found[item] for item in items),
        values=shown[:, items],
        even=even_share(document, read),
        left_out=len(read.slots) - len(slots),
    )
