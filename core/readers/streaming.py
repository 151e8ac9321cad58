"""The documents of an input one at a time, whatever its size: each is read, or skipped with its reason.

`byte_stream` -> `items` (the bytes of each document) -> here, where the module of its format makes it a `Document`.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

import msgspec

from core.documents import Dirt, Document
from core.errors import UserError
from core.readers import Format, sniff
from core.readers.byte_stream import ByteStream, Mark
from core.readers.docred import docred_document
from core.readers.identity import Identities
from core.readers.items import Item, json_items, line_items, pubtator_items, text_items
from core.readers.predictions import annotated_document
from core.readers.pubtator import pubtator_document
from core.readers.source import empty_fault, fault
from core.readers.text import paragraph_document

RAW_CHARACTERS = 10_000
"""What is kept of the text of a document that was skipped."""
HEAD_BYTES = 1 << 20
MOST_HEAD_BYTES = 64 << 20

# An object that an editor has spread over lines begins with a line of its own.
_SPREAD = re.compile(rb"\s*\{[^\S\n]*(?:\r?\n)")


class Skipped(msgspec.Struct, frozen=True):
    """A document that was skipped: its place in the input (`index` from 0, `line` from 1), and why.

    `id` is given where the document could be read; `raw` holds up to `RAW_CHARACTERS` of its text, of `size` bytes.
    """

    index: int
    line: int
    id: str | None
    title: str | None
    reason: str
    size: int
    raw: str


class Entry(msgspec.Struct, frozen=True):
    """One document of an input, read or not, and where the input stands behind it."""

    path: Path | str
    item: Item
    index: int
    document: Document | None
    reason: str
    mark: Mark

    def skipped(self, what: str | None = None) -> Skipped:
        """What is told of the document where it is skipped, for its own reason or another one."""
        document = self.document
        if what is None:
            reason = self.reason
        else:
            title = document.title if document else None
            reason = str(fault(self.path, what, index=self.index, title=title, line=self.item.line))
        return Skipped(
            index=self.index,
            line=self.item.line,
            id=document.id if document else None,
            title=document.title if document else _title_of(self.item.raw),
            reason=reason,
            size=len(self.item.raw),
            raw=self.item.raw[: 4 * RAW_CHARACTERS].decode(errors="replace")[:RAW_CHARACTERS],
        )


class _Read(Protocol):
    def __call__(self, raw: bytes, path: Path | str, *, index: int, line: int) -> Document:
        """The document of an item; raises `UserError`."""


_READ: dict[str, _Read] = {
    "docred": docred_document,
    "predictions": annotated_document,
    "pubtator": pubtator_document,
    "text": paragraph_document,
}


class DocumentStream:
    """The documents of a stream of bytes; raises `UserError` at once where it is empty or of no known format."""

    def __init__(self, stream: ByteStream, *, format: Format = "auto") -> None:
        self._stream = stream
        _fill_head(stream)
        self.format: Format = _sniffed(stream) if format == "auto" else format
        self._array = stream.buffer.lstrip().startswith(b"[")
        self._lines = not self._array and _SPREAD.match(stream.buffer) is None
        self._identities = Identities(Dirt())
        self._index = 0

    def go_on(self, after: Mark, index: int, ids: Iterable[str]) -> bool:
        """Pass over what was read earlier, up to `index`, with the ids it took; whether the input still begins so."""
        self._index = index
        self._identities.remember(ids)
        return self._stream.advance_to(after)

    def entries(self) -> Iterator[Entry]:
        """Every document in turn."""
        for index, item in enumerate(self._items(), start=self._index):
            yield self._entry(item, index)

    def _items(self) -> Iterator[Item]:
        if self.format == "text":
            return text_items(self._stream)
        if self.format == "pubtator":
            return pubtator_items(self._stream)
        return (
            line_items(self._stream)
            if self._lines
            else json_items(self._stream, inside=self._array and bool(self._index))
        )

    def _entry(self, item: Item, index: int) -> Entry:
        document, reason = None, ""
        try:
            if item.broken is not None:
                raise fault(self._stream.path, item.broken, index=index, line=item.line)
            document = _READ[self.format](item.raw, self._stream.path, index=index, line=item.line)
            unique = self._identities.take(document.id, index)
            if unique != document.id:
                document = msgspec.structs.replace(document, id=unique)
        except UserError as error:
            reason = str(error)
        return Entry(self._stream.path, item, index, document, reason, self._stream.mark())


def _fill_head(stream: ByteStream) -> None:
    length = HEAD_BYTES
    while stream.fill(length) and not stream.buffer.strip():
        length += HEAD_BYTES
    if not stream.buffer.strip():
        raise empty_fault(stream.path, stream.taken + len(stream.buffer))


def _sniffed(stream: ByteStream) -> Format:
    """The format by the first keys, for which a first document of some size may have to be read."""
    length = HEAD_BYTES
    while True:
        whole = not stream.fill(length)
        try:
            return sniff(bytes(stream.buffer), stream.path)
        except UserError:
            if whole or length >= MOST_HEAD_BYTES:
                raise
            length *= 4


class _Titled(msgspec.Struct):
    title: str | None = None


def _title_of(raw: bytes) -> str | None:
    try:
        return msgspec.json.decode(raw, type=_Titled).title
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
