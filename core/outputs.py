"""Where predictions go: a file, which is there whole or not at all, or a pipe, which is written as they come."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from io import BufferedIOBase
from pathlib import Path
from typing import BinaryIO, Protocol, runtime_checkable

from core.errors import UserError
from core.readers.byte_stream import STANDARD
from core.unfinished import Done, unfinished


@runtime_checkable
class Output(Protocol):
    """A place for prediction lines, window by window; `done` is what it holds already."""

    done: Done

    def check(self, of: Mapping[str, str]) -> None:
        """Refuse to go on with what was made of something else than this."""

    def ids(self) -> Iterable[str]:
        """The ids of all documents so far."""

    def add(self, lines: bytes, skipped: bytes, done: Done) -> None:
        """Take the prediction lines of a window, and the lines of the documents of it that were skipped."""

    def first_lines(self, count: int) -> list[bytes]:
        """The first prediction lines, as many as were to be kept at most."""

    def finish(self) -> None:
        """Put everything in its place."""


class Piped:
    """Standard output, or a file that is no regular one: written at once, nothing to go on from."""

    def __init__(self, file: BinaryIO | BufferedIOBase, *, keep: int) -> None:
        self.done = Done()
        self._file, self._keep = file, keep
        self._first: list[bytes] = []

    def check(self, of: Mapping[str, str]) -> None:
        """Nothing was made before."""

    def ids(self) -> Iterable[str]:
        """None: nothing was made before."""
        return ()

    def add(self, lines: bytes, skipped: bytes, done: Done) -> None:
        """Write the lines; what was skipped is only told."""
        try:
            self._file.write(lines)
            self._file.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise UserError(f"the output cannot be written ({error.strerror}): make room, or give a file") from None
        if len(self._first) < self._keep:
            self._first += lines.splitlines(keepends=True)[: self._keep - len(self._first)]
        self.done = done

    def first_lines(self, count: int) -> list[bytes]:
        """The first prediction lines, as many as were to be kept at most."""
        return self._first[:count]

    def finish(self) -> None:
        """Everything is in its place."""


def is_piped(output: str) -> bool:
    """Whether an output is written as predictions come."""
    return output == STANDARD or (Path(output).exists() and not Path(output).is_file())


@contextmanager
def open_output(output: str, *, anew: bool, keep: int) -> Iterator[Output]:
    """The output of that name; a pipe keeps its first `keep` lines in memory."""
    if output == STANDARD:
        yield Piped(sys.stdout.buffer, keep=keep)
    elif is_piped(output):
        with open(output, "wb") as file:
            yield Piped(file, keep=keep)
    else:
        with unfinished(Path(output), anew=anew) as opened:
            yield opened
