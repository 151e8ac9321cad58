"""Input files: the one way to open a file that a command reads; what a user or a damaged disk may have put there.

A file is regular (no folder, pipe or device), of a bounded size, UTF-8 where it is text, and of the form its kind has
where it is JSON. Whatever else it is, is one `UserError` that names it first. Streams of documents, which may also come
from stdin: `core.data.stream`.
"""

import errno
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from types import GenericAlias
from typing import Annotated, TypeVar

import msgspec

from core.errors import UserError, did_you_mean, fault
from core.parsing import BYTE_ORDER_MARK, DECODE_ERRORS, decode_text, describe_decode_error, parse_json

Content = TypeVar("Content")

OWN_LIMIT = 1 << 28
"""Most bytes of a file that Engram wrote for itself (record, history, counts): hundreds of times the largest seen."""
WHOLE_LIMIT = 1 << 32
"""Most bytes of a file of documents that is read whole."""
Count = Annotated[int, msgspec.Meta(ge=0, le=2**40)]
Amount = Annotated[float, msgspec.Meta(ge=0.0, le=1e15)]
"""Seconds or MiB."""
Percent = Annotated[float, msgspec.Meta(ge=0.0, le=1e4)]
"""A score in percent: its bound only keeps what cannot be one out of tables and figures."""
STALE_WAITS = (0.05, 0.2, 1.0)
"""How long to wait between tries, in seconds, to read a file that other hosts replace."""
_KINDS = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
_NOT_REGULAR = "give the path of a file (save the output of a pipe to one first)"


class StaleFileError(UserError):
    """A file on a shared disk was replaced while it was opened or read."""


@contextmanager
def open_file(path: Path | str, *, limit: int | None = None, way_out: str = _NOT_REGULAR) -> Iterator[BufferedReader]:
    """A regular file of at most `limit` bytes, opened to be read as bytes; a UserError says why it cannot be."""
    with named_file_errors(path):
        check_regular_file(path, way_out=way_out)
        # Whatever lies there since the check, opening it does not wait.
        file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    with file:
        size = os.fstat(file.fileno()).st_size
        if limit is not None and size > limit:
            what = f"holds {size:,} bytes, and at most {limit:,} are read of a file of this kind: give a smaller one"
            raise fault(path, what)
        yield file


def check_regular_file(path: Path | str, *, way_out: str = _NOT_REGULAR) -> None:
    """Raise a UserError for a folder, a pipe or a device, without opening it, and where there is nothing."""
    with named_file_errors(path):
        mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode):
        raise fault(path, f"is {_KINDS.get(stat.S_IFMT(mode), 'a device')}, not a file: {way_out}")


def read_bytes(path: Path | str, *, limit: int = OWN_LIMIT) -> bytes:
    """The bytes of a regular file; raises `UserError` where there is none, or a larger one."""
    for seconds in STALE_WAITS:
        with suppress(StaleFileError), open_file(path, limit=limit) as file, named_file_errors(path):
            return file.read()
        time.sleep(seconds)
    with open_file(path, limit=limit) as file, named_file_errors(path):
        return file.read()


def read_text(path: Path | str, *, limit: int = OWN_LIMIT) -> str:
    """The text of a regular file, without a byte order mark; raises `UserError`, also for what is not UTF-8."""
    return decode_text(read_bytes(path, limit=limit).removeprefix(BYTE_ORDER_MARK), path)


def read_source(path: Path | str) -> bytes:
    """The bytes of a file without a byte order mark; raises `UserError` where there is no readable, non-empty file."""
    raw = read_bytes(path, limit=WHOLE_LIMIT).removeprefix(BYTE_ORDER_MARK)
    if not raw.strip():
        raise empty_fault(path, len(raw))
    return raw


def read_json(
    path: Path, kind: type[Content] | GenericAlias, way_out: str, *, check_keys: bool = True
) -> Content | None:
    """The content of a JSON file of ours, None where there is no file.

    A `UserError` says what is damaged, and the way out. Without `check_keys` a key may stand twice in an object: for
    files that are read by the thousand.
    """
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        pass  # said by what follows
    raw = read_bytes(path)
    content: Content = parse_json(raw, kind, path, damaged=way_out, check_keys=check_keys)
    return content


def read_json_lines(path: Path, kind: type[Content], way_out: str) -> list[Content]:
    """The objects of a file of ours with one on each line; a `UserError` says which line is damaged and the way out."""
    decoder = msgspec.json.Decoder(kind)
    objects = []
    for number, line in enumerate(read_bytes(path).split(b"\n"), start=1):
        try:
            objects += [decoder.decode(line)] if line.strip() else []
        except DECODE_ERRORS as error:
            what = f"{describe_decode_error(error)} (line {number}); {way_out}"
            raise UserError(f"{path} is damaged: {what}") from None
    return objects


@contextmanager
def named_file_errors(path: Path | str) -> Iterator[None]:
    """Turn the system's errors about a file into a `UserError` that names it and the way out."""
    path = Path(path)
    try:
        yield
    except FileNotFoundError:
        names = [entry.name for entry in path.parent.glob("*")]
        hint = did_you_mean(path.name, names, most=3)
        what = f"no such file.{hint}" if hint else f"no such file in {os.path.abspath(path.parent)}: correct the path"
        raise fault(path, what) from None
    except (OSError, ValueError) as error:
        if getattr(error, "errno", None) == errno.ESTALE:
            raise StaleFileError(
                f"{path} was just replaced by another host, and this one lags behind: try again"
            ) from None
        reason = getattr(error, "strerror", None) or error
        raise fault(path, f"cannot be read ({reason}): correct the path or its permissions") from None


def empty_fault(path: Path | str, size: int) -> Exception:
    """The error for a file of nothing but white space."""
    return fault(path, f"is empty ({size} bytes, nothing but white space): restore it or fetch it again")
