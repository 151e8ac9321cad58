"""The documents of an input one at a time, whatever its size: each is read, or skipped with its reason.

`byte_stream` -> `items` (the bytes of each document) -> here, where the module of its format makes it a `Document`.

A stream cut into the bytes of its documents, one at a time, before any of them is understood.

JSON lines break at line ends; a JSON array where a value at its top level ends, whatever that value holds; PubTator
before a title, and text at blank lines. A document that is faulty within its own borders costs no other one. Where the
borders themselves are lost (a bracket that closes another, an input that ends within a document), the rest of the input
is one last item that says so.

A file or a pipe read from front to back: a buffer, and how far it was taken, with a hash of what was.
"""

import hashlib
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from io import BufferedIOBase
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

import msgspec

from core.data.corpus import UniqueIds
from core.data.documents import Document
from core.data.formats import Format, detect_format
from core.data.formats.docred import docred_document
from core.data.formats.predictions import annotated_document
from core.data.formats.pubtator import pubtator_document
from core.data.formats.text import paragraph_document
from core.data.issues import Issues
from core.data.parsing import BYTE_ORDER_MARK, empty_fault, fault, named_file_errors
from core.errors import UserError

CHUNK = 1 << 20
STANDARD = "-"


class Mark(msgspec.Struct, frozen=True):
    """A place in an input: the bytes before it, and their sha256 (hex)."""

    taken: int = 0
    digest: str = ""


class ByteStream:
    """Bytes of an input, `chunk` at a time; `lines` counts the line breaks (LF) taken so far."""

    def __init__(self, file: BinaryIO | BufferedIOBase, path: Path | str, *, chunk: int = CHUNK) -> None:
        self.path = path
        self.buffer = bytearray()
        self.taken = self.lines = 0
        self._file, self._chunk = file, chunk
        self._digest = hashlib.sha256()
        if self.fill(len(BYTE_ORDER_MARK)) and self.buffer.startswith(BYTE_ORDER_MARK):
            self.take(len(BYTE_ORDER_MARK))

    def more(self) -> bool:
        """Put the next chunk behind the buffer; False at the end of the input."""
        with named_file_errors(self.path):
            chunk = self._file.read(self._chunk)
        self.buffer += chunk
        return bool(chunk)

    def fill(self, length: int) -> bool:
        """Fill the buffer to at least `length` bytes; False where the input ends before."""
        while len(self.buffer) < length:
            if not self.more():
                return False
        return True

    def take(self, length: int) -> bytes:
        """Remove bytes from the front of the buffer."""
        taken = bytes(self.buffer[:length])
        del self.buffer[:length]
        self._digest.update(taken)
        self.taken += len(taken)
        self.lines += taken.count(b"\n")
        return taken

    def mark(self) -> Mark:
        """Where the stream stands."""
        return Mark(self.taken, self._digest.hexdigest())

    def advance_to(self, mark: Mark) -> bool:
        """Take everything before the mark; whether it is what was there when the mark was made."""
        while self.taken < mark.taken and (self.buffer or self.more()):
            self.take(min(len(self.buffer), mark.taken - self.taken))
        return self.mark() == mark


@contextmanager
def open_stream(input: str) -> Iterator[tuple[ByteStream, int | None]]:
    """The bytes of a file, or of stdin where it is called `-`, and how many there are, where that is known."""
    if input == STANDARD:
        yield ByteStream(sys.stdin.buffer, "stdin"), None
        return
    path = Path(input)
    with named_file_errors(path):
        file = path.open("rb")
    with file:
        yield ByteStream(file, input), path.stat().st_size if path.is_file() else None


MOST_BYTES = 64 << 20
"""A document larger than this is no document: its end is taken for lost."""
SHOWN_BYTES = 1 << 14
"""What is kept of an item without an end."""

_UNREAD = "nothing behind it is read"
_ENTRY = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{}"]', re.DOTALL)
"""A whole string, a bracket, or the quote of a string that has no end yet."""
_PLAIN_END = re.compile(rb"[\s,\[\]{}]")
_CLOSING = {b"[": b"]", b"{": b"}"}
_GAP = b" \t\r\n,"
_LINE_FEED = re.compile(rb"\n")
_ANY_BREAK = re.compile(rb"\n|\r(?!\n)")
_TITLE = re.compile(rb"[^\s|]+\|t\|")
_UNREAD = "nothing behind it is read"


class Item(NamedTuple):
    """The bytes of one document and its first line in the input (from 1); `broken` says that its end was not found."""

    raw: bytes
    line: int
    broken: str | None = None


class _LostError(Exception):
    """The borders of the documents cannot be made out from here on."""


def json_items(stream: ByteStream, *, inside: bool = False) -> Iterator[Item]:
    """The values of a JSON array, or JSON values one behind the other; `inside` where the array has begun already."""
    array = inside or (_skip_gap(stream) and stream.buffer.startswith(b"["))
    if array and not inside:
        stream.take(1)
    while _skip_gap(stream):
        if array and stream.buffer.startswith(b"]"):
            stream.take(1)
            if _skip_gap(stream):
                yield _rest(stream, "there is more behind the end of the array, which is not read: remove it")
            return
        try:
            end = _value_end(stream)
        except _LostError as lost:
            yield _rest(stream, str(lost))
            return
        line = stream.lines + 1
        yield Item(stream.take(end), line)
    if array:
        yield _rest(stream, f"the array has no end after {stream.taken} bytes: the file is cut off; copy it again")


def line_items(stream: ByteStream) -> Iterator[Item]:
    """The lines that hold anything."""
    while end := _line_end(stream, 0, _LINE_FEED):
        if end > MOST_BYTES:
            yield _rest(stream, _too_large())
            return
        line = stream.lines + 1
        raw = stream.take(end)
        if raw.strip():
            yield Item(raw, line)


def text_items(stream: ByteStream) -> Iterator[Item]:
    """The paragraphs of a text: what blank lines part."""
    return _blocks(stream, _ANY_BREAK, _begins_paragraph)


def pubtator_items(stream: ByteStream) -> Iterator[Item]:
    """The documents of a PubTator file: a title begins one, and so does a line behind a blank one with another id."""
    return _blocks(stream, _LINE_FEED, _begins_pubtator)


def _blocks(
    stream: ByteStream, line_break: re.Pattern[bytes], begins: Callable[[bytes, bytes, bool], bool]
) -> Iterator[Item]:
    """Blocks of lines; `begins(line, first line of the block, blank between)` tells whether a line begins another."""
    first, end, gap = b"", 0, False
    while (line_end := _line_end(stream, end, line_break)) > end:
        if line_end > MOST_BYTES:
            yield _rest(stream, _too_large())
            return
        line = bytes(stream.buffer[end:line_end])
        if not line.decode(errors="replace").strip():
            if first:
                end, gap = line_end, True
            else:
                stream.take(line_end)
            continue
        if first and begins(line, first, gap):
            number = stream.lines + 1
            yield Item(stream.take(end), number)
            first, line_end = b"", line_end - end
        first, end, gap = first or line, line_end, False
    if first:
        number = stream.lines + 1
        yield Item(stream.take(end), number)


def _begins_paragraph(line: bytes, first: bytes, gap: bool) -> bool:
    del line, first
    return gap


def _begins_pubtator(line: bytes, first: bytes, gap: bool) -> bool:
    if _TITLE.match(line):
        return True
    return gap and _identity(line) != _identity(first)


def _identity(line: bytes) -> bytes:
    return re.split(rb"[\t|\r\n]", line, maxsplit=1)[0]


def _skip_gap(stream: ByteStream) -> bool:
    """Take white space and commas; whether anything follows."""
    while True:
        stream.take(len(stream.buffer) - len(stream.buffer.lstrip(_GAP)))
        if stream.buffer:
            return True
        if not stream.more():
            return False


def _value_end(stream: ByteStream) -> int:
    """The length of the JSON value that the buffer begins with."""
    if stream.buffer[:1] in (b"]", b"}"):
        raise _LostError(f"a {stream.buffer[:1].decode()} that closes nothing: correct the brackets; {_UNREAD}")
    if stream.buffer[:1] not in (b"{", b"[", b'"'):
        return _plain_end(stream)
    open_brackets: list[bytes] = []
    scanned = 0
    while True:
        for entry in _ENTRY.finditer(stream.buffer, scanned):
            mark = entry[0]
            if mark == b'"':
                scanned = entry.start()
                break
            if mark in _CLOSING:
                open_brackets.append(mark)
            elif mark in (b"]", b"}") and mark != _CLOSING[open_brackets.pop()]:
                raise _LostError(f"a {mark.decode()} closes another bracket than its own: correct it; {_UNREAD}")
            if not open_brackets:
                return entry.end()
        else:
            scanned = len(stream.buffer)
        if len(stream.buffer) > MOST_BYTES:
            raise _LostError(_too_large())
        if not stream.more():
            raise _LostError("the JSON breaks off within a document: the file is cut off; copy it again")


def _plain_end(stream: ByteStream) -> int:
    """The length of a number, a word, or whatever stands where a value should."""
    scanned = 0
    while True:
        found = _PLAIN_END.search(stream.buffer, scanned)
        if found is not None:
            # A bracket right here would be an item of nothing, for ever.
            return max(1, found.start())
        scanned = len(stream.buffer)
        if scanned > MOST_BYTES:
            raise _LostError(_too_large())
        if not stream.more():
            return scanned


def _line_end(stream: ByteStream, start: int, line_break: re.Pattern[bytes]) -> int:
    """Where the line that begins at `start` of the buffer ends; `start` itself where the input ends there."""
    scanned = start
    while True:
        found = line_break.search(stream.buffer, scanned)
        # A carriage return that the buffer ends with may be the first half of a line break.
        if found is not None and (found[0] == b"\n" or found.end() < len(stream.buffer)):
            return found.end()
        scanned = max(start, len(stream.buffer) - 1)
        if len(stream.buffer) - start > MOST_BYTES or not stream.more():
            return len(stream.buffer)


def _rest(stream: ByteStream, broken: str) -> Item:
    """The beginning of all that is left, which is taken unseen."""
    line = stream.lines + 1
    stream.fill(SHOWN_BYTES)
    raw = bytes(stream.buffer[:SHOWN_BYTES])
    stream.take(len(stream.buffer))
    while stream.more():
        stream.take(len(stream.buffer))
    return Item(raw, line, broken)


def _too_large() -> str:
    return f"no end of this document within {MOST_BYTES >> 20} MiB: {_UNREAD}"


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
        self._identities = UniqueIds(Issues())
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
            return detect_format(bytes(stream.buffer), stream.path)
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
