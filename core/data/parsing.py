"""File reading and parsing: bytes, text and JSON of a file, and the one form in which its faults are reported.

Every fault of a file becomes one `UserError` whose first line holds file, document, field, value, limit and way out.
"""

import gc
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from core.errors import UserError, did_you_mean, shorten

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
JSON_ERRORS = (msgspec.DecodeError, RecursionError)
_VALIDATION_MESSAGE = re.compile(r"^(?P<what>.*?)(?: - at `(?:key in )?\$(?P<path>.*)`)?$", re.DOTALL)
_PATH_STEP = re.compile(r"\[(\d+)\]|\.([^.\[\]]+)")


def fault(
    path: Path | str, what: str, *, index: int | None = None, title: str | None = None, line: int | None = None
) -> UserError:
    """The error for a faulty file: `path: document 3 "Title", line 7: what` (index from 0, line from 1)."""
    position = [] if line is None else [f"line {line}"]
    if index is not None:
        position.insert(0, f"document {index}" + (f' "{title}"' if title else ""))
    return UserError(": ".join([str(path), *([", ".join(position)] if position else []), what]))


def read_source(path: Path | str) -> bytes:
    """The bytes of a file without a byte order mark; raises `UserError` where there is no readable, non-empty file."""
    path = Path(path)
    with named_file_errors(path):
        raw = path.read_bytes()
    raw = raw.removeprefix(BYTE_ORDER_MARK)
    if not raw.strip():
        raise empty_fault(path, len(raw))
    return raw


@contextmanager
def named_file_errors(path: Path | str) -> Iterator[None]:
    """Turn the system's errors about a file into a `UserError` that names it and the way out."""
    path = Path(path)
    try:
        yield
    except FileNotFoundError:
        names = [entry.name for entry in path.parent.glob("*")]
        hint = did_you_mean(path.name, names, most=3)
        what = f"no such file.{hint}" if hint else f"no such file in {path.parent.resolve()}: correct the path"
        raise fault(path, what) from None
    except IsADirectoryError:
        raise fault(path, "is a folder, not a file: give the path of a file in it") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise fault(path, f"cannot be read ({reason}): correct the path or its permissions") from None


def empty_fault(path: Path | str, size: int) -> UserError:
    """The error for a file of nothing but white space."""
    return fault(path, f"is empty ({size} bytes, nothing but white space): restore it or fetch it again")


def decode_text(raw: bytes, path: Path | str, *, index: int | None = None, line: int | None = None) -> str:
    """The text of some bytes; raises `UserError` naming the first byte that is not UTF-8.

    `index` and `line` say which document of the file the bytes are, where they are one.
    """
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        byte = f"byte {error.start} is 0x{raw[error.start]:02x}"
        what = (
            f"{byte}, which is not UTF-8: convert the file with `iconv -t UTF-8`, or copy it again if it is truncated"
        )
        raise fault(path, what, index=index, line=line) from None


def parse_json(raw: bytes, type: Any, path: Path | str, *, index: int | None = None, line: int | None = None) -> Any:
    """Objects of a type from JSON; raises `UserError` for what is not JSON, is truncated, or has another form.

    `index` (from 0) and `line` (from 1) say which document of the file the bytes are, where they are one.
    """
    if not raw.isascii():
        # msgspec does not decode strings that it skips: bad bytes there would pass.
        decode_text(raw, path, index=index, line=line)
    try:
        with garbage_collector_paused():
            return msgspec.json.decode(raw, type=type)
    except msgspec.ValidationError as error:
        raise _schema_fault(error, raw, path, index, line) from None
    except JSON_ERRORS as error:
        raise fault(path, explain_json_error(error, len(raw)), index=index, line=line) from None


def explain_json_error(error: Exception, size: int) -> str:
    """Why `size` bytes could not be decoded as JSON, and what to do about it."""
    if isinstance(error, RecursionError):
        return "JSON nested too deeply for any format known here: give another file"
    reason = str(error).removeprefix("JSON is malformed: ")
    at_the_end = reason in (f"invalid character (byte {size})", f"invalid number (byte {size})")
    if at_the_end or "truncated" in reason:
        return f"the JSON breaks off after {size} bytes: the file is truncated; download or copy it again"
    return f"is not JSON: {reason}: give a JSON file, or state the format with --format"


def _schema_fault(
    error: msgspec.ValidationError, raw: bytes, path: Path | str, index: int | None, line: int | None
) -> UserError:
    """Translate msgspec's "Expected `int`, got `str` - at `$[3].sents`" to document, field and value."""
    match = _VALIDATION_MESSAGE.match(str(error))
    assert match is not None  # the pattern matches any text
    steps: list[int | str] = [int(n) if n else key for n, key in _PATH_STEP.findall(match["path"] or "")]
    try:
        value: Any = msgspec.json.decode(raw)
    except JSON_ERRORS:
        value = None
    if index is None and steps and isinstance(steps[0], int):
        index, steps = steps[0], steps[1:]
        value = value[index] if isinstance(value, list) and index < len(value) else None
    title = value.get("title") if isinstance(value, dict) else None
    try:
        for step in steps:
            value = value[step]
    except (KeyError, IndexError, TypeError):
        value = None
    field = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).lstrip(".")
    reason = match["what"].replace("`", "")
    subject = f"field {field} is {shorten(value)}" if field else f"found {shorten(value)}"
    what = f"{subject}: {reason[:1].lower()}{reason[1:]}; correct it, or give a file of this format"
    return fault(path, what, index=index, title=title if isinstance(title, str) else None, line=line)


@contextmanager
def garbage_collector_paused() -> Iterator[None]:
    """Hold the garbage collector still: a big parse makes no garbage, and scanning it costs a third of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
