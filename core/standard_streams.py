"""Standard streams: stdout, stderr and stdin of a command, as usable as the shell has left them."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from core.errors import UserError, describe_system_error


class Stdout:
    """Standard output whose troubles are UserErrors: a full disk, or a character that its encoding does not have."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text, as print does."""
        with self._described_errors():
            return self._stream.write(text)

    def flush(self) -> None:
        """Pass on what was written."""
        with self._described_errors():
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @contextmanager
    def _described_errors(self) -> Iterator[None]:
        try:
            yield
        except UnicodeEncodeError as error:
            letter, encoding = error.object[error.start], error.encoding
            way_out = "utf-8" if not encoding.startswith("utf") else "utf-8:backslashreplace"
            raise UserError(
                f"standard output is {encoding}, which cannot write {letter!a}: set PYTHONIOENCODING={way_out}"
            ) from None
        except OSError as error:
            self._discard()
            if isinstance(error, BrokenPipeError):
                raise
            raise UserError(f"standard output: {describe_system_error(error)}") from None

    def _discard(self) -> None:
        """Drop what cannot be written, or Python tries it once more at its end and fails with a code of its own."""
        with suppress(OSError, ValueError):
            sink = os.open(os.devnull, os.O_WRONLY)
            os.dup2(sink, self._stream.fileno())
            os.close(sink)


class Stderr:
    """Standard error that loses what cannot be written: no command fails because nobody can read its progress."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text if that is possible."""
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Pass on what was written if that is possible."""
        with suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def checked_streams() -> Iterator[None]:
    """Standard streams whose troubles are UserErrors while this lasts; a closed stdin is an empty one.

    Raises a UserError where stdout is closed, before anything is done, and where it cannot take what was printed.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # Else the next file that is opened gets this number, and what others print goes into it.
            os.open(os.devnull, os.O_RDWR)
    before = sys.stdin, sys.stdout, sys.stderr
    if sys.stdout is None:
        raise UserError("standard output is closed, and nothing was done: send it to a file, or to /dev/null")
    with open(os.devnull, "r+", encoding="utf-8") as nothing:
        sys.stdin = sys.stdin or nothing
        sys.stdout = Stdout(sys.stdout)
        sys.stderr = Stderr(sys.stderr or nothing)
        try:
            yield
        finally:
            try:
                sys.stdout.flush()
            finally:
                sys.stdin, sys.stdout, sys.stderr = before


def print_error(message: str) -> None:
    """Print an error on stderr, if that is possible."""
    if sys.stderr is not None:
        with suppress(OSError):
            print(message, file=sys.stderr, flush=True)
