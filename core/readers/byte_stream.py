"""A file or a pipe read from front to back: a buffer, and how far it was taken, with a hash of what was."""

import hashlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedIOBase
from pathlib import Path
from typing import BinaryIO

import msgspec

from core.readers.source import BYTE_ORDER_MARK, named_faults

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
        with named_faults(self.path):
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
    with named_faults(path):
        file = path.open("rb")
    with file:
        yield ByteStream(file, input), path.stat().st_size if path.is_file() else None
