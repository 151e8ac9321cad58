"""Stream of documents: an input of any size, one document at a time, each read or skipped with its reason.

JSON lines, PubTator and text are read line by line and need the memory of one document. A JSON array (or an object that
is laid out over several lines) is read whole: it needs the memory of its file, and its documents are decoded one at a
time from there. A document that is faulty within its own borders costs no other one; where the borders are lost (JSON
that is no JSON within an array, a truncated file), the rest of the input is skipped as one document.
"""

import hashlib
import json
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BufferedIOBase
from itertools import chain
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec

from core.config.schema import Format
from core.data.corpus import UniqueIds
from core.data.documents import Document
from core.data.formats import detect_format, parse_document
from core.data.issues import Issues
from core.data.parsing import BYTE_ORDER_MARK, JSON_ERRORS, empty_fault, explain_json_error, fault, named_file_errors
from core.errors import UserError

STANDARD = "-"
HEAD_BYTES = 1 << 20
"""A format is detected from so much of an input, and at least one line of it."""
RAW_CHARACTERS = 10_000
"""What is kept of the text of a document that was skipped."""

_ARRAY_OR_OBJECT_OVER_LINES = re.compile(rb"\s*(?:\[|\{[^\S\n]*\n)")
_JSON_GAP = re.compile(r"[\s,]*")
_PUBTATOR_TITLE = re.compile(rb"[^\s|]+\|t\|")


class Mark(msgspec.Struct, frozen=True):
    """A position in an input: the bytes before it, and their sha256 (hex)."""

    taken: int = 0
    digest: str = ""


class Skipped(msgspec.Struct, frozen=True):
    """A document that was skipped: its position in the input (`index` from 0, `line` from 1), and why.

    `id` is there where the document could be read; `raw` holds up to `RAW_CHARACTERS` of its text, of `size` bytes.
    """

    index: int
    line: int
    id: str | None
    title: str | None
    reason: str
    size: int
    raw: str


class Entry(msgspec.Struct, frozen=True):
    """One document of an input, or the `reason` why it could not be read; `mark` is the input's position after it."""

    path: Path | str
    index: int
    line: int
    raw: bytes
    document: Document | None
    reason: str
    mark: Mark

    def skipped(self, what: str | None = None) -> Skipped:
        """What is recorded of the document where it is skipped, for its own reason or another one."""
        title = self.document.title if self.document else _read_title(self.raw)
        reason = self.reason
        if what is not None:
            reason = str(fault(self.path, what, index=self.index, title=title, line=self.line))
        return Skipped(
            index=self.index,
            line=self.line,
            id=self.document.id if self.document else None,
            title=title,
            reason=reason,
            size=len(self.raw),
            raw=self.raw[: 4 * RAW_CHARACTERS].decode(errors="replace")[:RAW_CHARACTERS],
        )


class _Item(NamedTuple):
    """The bytes before a document, those of the document, and why its end was not found, if so."""

    gap: bytes
    raw: bytes
    broken: str | None = None


class DocumentStream:
    """The documents of an input; raises `UserError` at once where it is empty or of no known format.

    `size` is that of the input in bytes, None where it is not known.
    """

    def __init__(
        self, file: BinaryIO | BufferedIOBase, path: Path | str, *, format: Format = "auto", size: int | None = None
    ) -> None:
        self.path, self.size = path, size
        lines = _read_lines(file, path)
        head = _read_head(lines)
        start = b"".join(head)
        lead = BYTE_ORDER_MARK if start.startswith(BYTE_ORDER_MARK) else b""
        start = start.removeprefix(lead)
        if not start.strip():
            raise empty_fault(path, len(start))
        self.format: Format = detect_format(start, path) if format == "auto" else format
        if self.format in ("docred", "predictions") and _ARRAY_OR_OBJECT_OVER_LINES.match(start):
            with named_file_errors(path):
                items = _split_json(start + file.read())
        else:
            items = _split_lines(chain([head[0].removeprefix(lead)], head[1:], lines), self.format)
        self._items = _mark_items(items, lead)
        self._ids = UniqueIds(Issues())
        self._index = 0

    def resume(self, after: Mark, index: int, ids: Iterable[str]) -> bool:
        """Pass over the first `index` documents, which have these ids; whether the input still begins as it did."""
        self._index = index
        self._ids.remember(ids)
        marks = (mark for _, _, mark in self._items)
        return next((mark == after for mark in marks if mark.taken >= after.taken), False)

    def entries(self) -> Iterator[Entry]:
        """Every document in turn."""
        for index, (item, line, mark) in enumerate(self._items, start=self._index):
            document, reason = None, ""
            try:
                if item.broken is not None:
                    raise fault(self.path, item.broken, index=index, line=line)
                document = parse_document(item.raw, self.path, format=self.format, index=index, line=line)
                document = msgspec.structs.replace(document, id=self._ids.take(document.id, index))
            except UserError as error:
                reason = str(error)
            yield Entry(self.path, index, line, item.raw, document, reason, mark)


@contextmanager
def open_documents(input: str, *, format: Format = "auto") -> Iterator[DocumentStream]:
    """The documents of a file, or of stdin where it is called `-`."""
    if input == STANDARD:
        yield DocumentStream(sys.stdin.buffer, "stdin", format=format)
        return
    path = Path(input)
    with named_file_errors(path):
        file = path.open("rb")
    with file:
        yield DocumentStream(file, input, format=format, size=path.stat().st_size if path.is_file() else None)


def _read_lines(file: BinaryIO | BufferedIOBase, path: Path | str) -> Iterator[bytes]:
    with named_file_errors(path):
        yield from file


def _read_head(lines: Iterator[bytes]) -> list[bytes]:
    """The first lines of an input, of which one at least is not blank where it has such a line."""
    head, size = list[bytes](), 0
    for line in lines:
        head.append(line)
        size += len(line)
        if size >= HEAD_BYTES and line.strip():
            break
    return head


def _mark_items(items: Iterable[_Item], lead: bytes) -> Iterator[tuple[_Item, int, Mark]]:
    """Items with the line that each begins in (from 1) and the position after it; `lead` comes before them all."""
    digest, taken, line = hashlib.sha256(lead), len(lead), 1
    for item in items:
        for part in (item.gap, item.raw):
            digest.update(part)
            taken += len(part)
        begins = line + item.gap.count(b"\n")
        line = begins + item.raw.count(b"\n")
        yield item, begins, Mark(taken, digest.hexdigest())


def _split_lines(lines: Iterable[bytes], format: Format) -> Iterator[_Item]:
    """The documents of JSON lines, PubTator or text, each with the blank lines after it."""
    gap, document, after_blank = b"", list[bytes](), False
    for line in lines:
        blank = not line.decode(errors="replace").strip()
        if document and not blank and _begins_document(line, document[0], after_blank, format):
            yield _Item(gap, b"".join(document))
            gap, document = b"", []
        if blank and not document:
            gap += line
        else:
            document.append(line)
        after_blank = blank
    if document:
        yield _Item(gap, b"".join(document))


def _begins_document(line: bytes, first: bytes, after_blank: bool, format: Format) -> bool:
    """Whether a line that is not blank begins another document than the one that `first` began."""
    if format == "text":
        return after_blank
    if format == "pubtator":
        line_id, first_id = (re.split(rb"[\t|\r\n]", text, maxsplit=1)[0] for text in (line, first))
        return _PUBTATOR_TITLE.match(line) is not None or (after_blank and line_id != first_id)
    return True


def _split_json(raw: bytes) -> Iterator[_Item]:
    """The values of a JSON array, or JSON values one after the other."""
    is_array = raw.lstrip().startswith(b"[")
    position, reason = 0, None
    if is_array:
        try:
            for value in map(bytes, msgspec.json.decode(raw, type=list[msgspec.Raw])):
                start = raw.index(value, position)
                yield _Item(raw[position:start], value)
                position = start + len(value)
            return
        except JSON_ERRORS as error:
            reason = explain_json_error(error, len(raw))
    # What is whole before the fault is read all the same. In latin-1 a byte is a character, so positions agree.
    text, decoder = raw.decode("latin-1"), json.JSONDecoder(strict=False)
    start = raw.index(b"[") + 1 if is_array else 0
    while True:
        start = _JSON_GAP.match(text, start).end()  # type: ignore[union-attr]
        try:
            _, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError) as error:
            if is_array or start < len(text):
                reason = reason or explain_json_error(error, len(raw))
                yield _Item(raw[position:start], raw[start:], f"{reason}; nothing after it is read")
            return
        yield _Item(raw[position:start], raw[start:end])
        position = start = end


class _Titled(msgspec.Struct):
    title: str | None = None


def _read_title(raw: bytes) -> str | None:
    try:
        return msgspec.json.decode(raw, type=_Titled).title
    except (*JSON_ERRORS, UnicodeDecodeError):
        return None
