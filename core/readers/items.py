"""A stream cut into the bytes of its documents, one at a time, before any of them is understood.

JSON lines break at line ends; a JSON array where a value at its top level ends, whatever that value holds; PubTator
before a title, and text at blank lines. A document that is faulty within its own borders costs no other one. Where the
borders themselves are lost (a bracket that closes another, an input that ends within a document), the rest of the input
is one last item that says so.
"""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from core.readers.byte_stream import ByteStream

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
