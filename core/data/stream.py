"""Stream of documents: an input of any size, one document at a time, each read or skipped with its reason.

JSON lines, PubTator and text are read line by line and need the memory of one document. A JSON array (or an object that
is laid out over several lines) is read whole: it needs the memory of its file, and an array that is no JSON is refused.
A document that is faulty within its own borders costs no other one.
"""

import hashlib
import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from io import BufferedIOBase, BytesIO
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import msgspec

from core.config.schema import Format
from core.data.corpus import UniqueIds
from core.data.documents import Document
from core.data.formats import detect_format, parse_document
from core.data.issues import Issues
from core.errors import UserError, fault
from core.input_files import WHOLE_LIMIT, empty_fault, named_file_errors, open_file
from core.parsing import BYTE_ORDER_MARK, DECODE_ERRORS, explain_json_error

STANDARD = "-"
HEAD_BYTES = 1 << 20
"""A format is detected from so much of an input, and at least one line of it."""
DOCUMENT_LIMIT = 1 << 26
"""Most bytes of one document, or of the blank lines before it: what has no end is not waited for."""
RAW_CHARACTERS = 10_000
"""What is kept of the text of a document that was skipped."""

_ARRAY_OR_OBJECT_OVER_LINES = re.compile(rb"\s*(?:\[|\{[^\S\n]*\n)")
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


_Item = tuple[bytes, bytes]
"""The bytes before a document, and those of the document."""


class DocumentStream:
    """The documents of an input; raises `UserError` at once where it is empty, an array that is no JSON, or unknown.

    `size` is that of the input in bytes, None where it is not known.
    """

    def __init__(
        self, file: BinaryIO | BufferedIOBase, path: Path | str, *, format: Format = "auto", size: int | None = None
    ) -> None:
        self.path, self.size = path, size
        with named_file_errors(path):
            head = file.read(HEAD_BYTES) + file.readline(DOCUMENT_LIMIT)
        lead = BYTE_ORDER_MARK if head.startswith(BYTE_ORDER_MARK) else b""
        head = head.removeprefix(lead)
        if not head.strip():
            raise empty_fault(path, len(head))
        self.format: Format = detect_format(head, path) if format == "auto" else format
        items: Iterable[_Item]
        if self.format in ("docred", "predictions") and _ARRAY_OR_OBJECT_OVER_LINES.match(head):
            with named_file_errors(path):
                raw = head + file.read(WHOLE_LIMIT)
                if file.read(1):
                    raise fault(path, f"is an array of more than {WHOLE_LIMIT:,} bytes: give an object on each line")
            items = _split_array(raw, path) if raw.lstrip().startswith(b"[") else [(b"", raw)]
        else:
            lines = iter(partial(file.readline, DOCUMENT_LIMIT), b"")
            items = _split_lines(chain(BytesIO(head), lines), self.format, path)
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
        for index, (raw, line, mark) in enumerate(self._items, start=self._index):
            document, reason = None, ""
            try:
                document = parse_document(raw, self.path, format=self.format, index=index, line=line)
                document = msgspec.structs.replace(document, id=self._ids.take(document.id, index))
            except UserError as error:
                reason = str(error)
            yield Entry(self.path, index, line, raw, document, reason, mark)


def read_documents(path: Path, *, format: Format = "auto") -> Iterator[Document]:
    """The documents of a file one by one; raises `UserError` for the first that is faulty, and where there is none."""
    document = None
    with open_documents(str(path), format=format) as stream:
        for entry in stream.entries():
            if entry.document is None:
                raise UserError(entry.reason)
            document = entry.document
            yield document
    if document is None:
        raise fault(path, "holds 0 documents: give a file with at least 1")


@contextmanager
def open_documents(input: str, *, format: Format = "auto") -> Iterator[DocumentStream]:
    """The documents of a file, or of stdin where it is called `-`."""
    if input == STANDARD:
        yield DocumentStream(sys.stdin.buffer, "stdin", format=format)
        return
    with open_file(input, way_out=f"give a file, or {STANDARD} and the documents on stdin") as file:
        yield DocumentStream(file, input, format=format, size=os.fstat(file.fileno()).st_size)


def _mark_items(items: Iterable[_Item], lead: bytes) -> Iterator[tuple[bytes, int, Mark]]:
    """Documents with the line that each begins in (from 1) and the position after it; `lead` comes before them all."""
    digest, taken, line = hashlib.sha256(lead), len(lead), 1
    for gap, raw in items:
        digest.update(gap + raw)
        taken += len(gap) + len(raw)
        begins = line + gap.count(b"\n")
        line = begins + raw.count(b"\n")
        yield raw, begins, Mark(taken, digest.hexdigest())


def _split_lines(lines: Iterable[bytes], format: Format, path: Path | str) -> Iterator[_Item]:
    """The documents of JSON lines, PubTator or text, each with the blank lines after it."""
    gap, document, after_blank, size = list[bytes](), list[bytes](), False, 0
    for line in lines:
        blank = not line.decode(errors="replace").strip()
        if document and not blank and _begins_document(line, document[0], after_blank, format):
            yield b"".join(gap), b"".join(document)
            gap, document, size = [], [], 0
        (gap if blank and not document else document).append(line)
        size += len(line)
        if size >= DOCUMENT_LIMIT:
            what = f"a document and the blank lines around it take more than {DOCUMENT_LIMIT:,} bytes: split it"
            raise fault(path, f"{what}, or state the format with --format")
        after_blank = blank
    if document:
        yield b"".join(gap), b"".join(document)


def _begins_document(line: bytes, first: bytes, after_blank: bool, format: Format) -> bool:
    """Whether a line that is not blank begins another document than the one that `first` began."""
    if format == "text":
        return after_blank
    if format == "pubtator":
        line_id, first_id = (re.split(rb"[\t|\r\n]", text, maxsplit=1)[0] for text in (line, first))
        return _PUBTATOR_TITLE.match(line) is not None or (after_blank and line_id != first_id)
    return True


def _split_array(raw: bytes, path: Path | str) -> list[_Item]:
    """The values of a JSON array; raises `UserError` where it is not one."""
    try:
        values = msgspec.json.decode(raw, type=list[msgspec.Raw])
    except DECODE_ERRORS as error:
        raise fault(path, explain_json_error(error, len(raw))) from None
    items, position = list[_Item](), 0
    for value in map(bytes, values):
        start = raw.index(value, position)
        items.append((raw[position:start], value))
        position = start + len(value)
    return items


class _Titled(msgspec.Struct):
    title: str | None = None


def _read_title(raw: bytes) -> str | None:
    try:
        return msgspec.json.decode(raw, type=_Titled).title
    except DECODE_ERRORS:
        return None
