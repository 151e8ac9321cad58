"""Bytes, text and JSON from a file, and the one form in which a reader says what is wrong with it.

Every fault of a file becomes one `UserError` whose first line holds file, document, field, value, limit and way out.

Document ids that are unique within a corpus.
"""

import gc
import re
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import msgspec

from core.errors import UserError

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_PLACE = re.compile(r"^(?P<what>.*?)(?: - at `(?:key in )?\$(?P<path>.*)`)?$", re.DOTALL)
_STEP = re.compile(r"\[(\d+)\]|\.([^.\[\]]+)")


def fault(
    path: Path | str, what: str, *, index: int | None = None, title: str | None = None, line: int | None = None
) -> UserError:
    """The error for a faulty file: `path: document 3 "Title", line 7: what` (index from 0, line from 1)."""
    place = [] if line is None else [f"line {line}"]
    if index is not None:
        place.insert(0, f"document {index}" + (f' "{title}"' if title else ""))
    return UserError(": ".join([str(path), *([", ".join(place)] if place else []), what]))


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
    """Turn what the system says against a file into a `UserError` that names it and the way out."""
    path = Path(path)
    try:
        yield
    except FileNotFoundError:
        raise fault(path, f"no such file{_neighbours(path)}") from None
    except IsADirectoryError:
        raise fault(path, "is a folder, and one file is wanted: give the path of a file in it") from None
    except NotADirectoryError:
        raise fault(path, "a file stands where the path wants a folder: correct the path") from None
    except PermissionError:
        raise fault(path, "no permission to read this file: change its mode (chmod u+r) or its owner") from None
    except OSError as error:
        raise fault(path, f"cannot be read ({error.strerror}): correct the path") from None
    except ValueError as error:
        raise fault(path, f"is not a usable path ({error}): correct it") from None


def empty_fault(path: Path | str, size: int) -> UserError:
    """The error for a file of nothing but white space."""
    return fault(path, f"is empty ({size} bytes, nothing but white space): restore it or fetch it again")


def decode_text(raw: bytes, path: Path | str, *, index: int | None = None, line: int | None = None) -> str:
    """The text of some bytes; raises `UserError` naming the first byte that is not UTF-8.

    `index` and `line` say where the bytes stand in their file, where they are not the whole of it.
    """
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data":
            what = (
                f"ends after {len(raw)} bytes within a character: it is cut off or not UTF-8; copy or convert it anew"
            )
            raise fault(path, what, index=index, line=line) from None
        found = f"byte {error.start} is 0x{raw[error.start]:02x}"
        what = f"{found}, which is not UTF-8: convert the file with `iconv -t UTF-8`"
        raise fault(path, what, index=index, line=line) from None


def parse_json(raw: bytes, wanted: Any, path: Path | str, *, index: int | None = None, line: int | None = None) -> Any:
    """Objects of the type `wanted` from JSON; raises `UserError` for what is not JSON, is cut off, or has another form.

    `index` (from 0) and `line` (from 1) say which document of the file the bytes are, where they are one.
    """
    if not raw.isascii():
        # msgspec leaves strings alone that it skips: bad bytes there would pass.
        decode_text(raw, path, index=index, line=line)
    try:
        with garbage_collector_paused():
            return msgspec.json.decode(raw, type=wanted)
    except msgspec.ValidationError as error:
        raise _schema_fault(error, raw, path, index, line) from None
    except msgspec.DecodeError as error:
        where = str(error).removeprefix("JSON is malformed: ")
        if "truncated" in where:
            what = f"the JSON breaks off after {len(raw)} bytes: the file is cut off; fetch or copy it again"
        else:
            what = f"is not JSON: {where}: give a JSON file, or say the format with --format"
        raise fault(path, what, index=index, line=line) from None
    except RecursionError:
        what = "JSON nested too deeply for any format known here: give another file"
        raise fault(path, what, index=index, line=line) from None


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


def shorten(value: object, limit: int = 60) -> str:
    """The `repr` of a value, cut to `limit` characters, for a message."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _neighbours(path: Path) -> str:
    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return f", nor a readable folder {path.parent}: correct the path"
    close = get_close_matches(path.name, names, n=3)
    return f": did you mean {' or '.join(close)}?" if close else f" in {path.parent.resolve()}: correct the path"


def _schema_fault(
    error: msgspec.ValidationError, raw: bytes, path: Path | str, index: int | None, line: int | None
) -> UserError:
    """Translate msgspec's "Expected `int`, got `str` - at `$[3].sents`" to document, field and value."""
    match = _PLACE.match(str(error))
    assert match is not None  # the pattern matches any text
    steps: list[int | str] = [int(n) if n else key for n, key in _STEP.findall(match["path"] or "")]
    try:
        value: Any = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        value = None
    if index is None and steps and isinstance(steps[0], int):
        index = steps[0]
        value = value[index] if isinstance(value, list) and index < len(value) else None
        steps = steps[1:]
    title = value.get("title") if isinstance(value, dict) else None
    for step in steps:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            value = None
            break
    field = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).lstrip(".")
    what = match["what"].replace("`", "")
    what = f"{what[:1].lower()}{what[1:]}"
    subject = f"field {field} is {shorten(value)}" if field else f"found {shorten(value)}"
    what = f"{subject}, but the format wants otherwise: {what}; correct it, or give a file of this format"
    return fault(path, what, index=index, title=title if isinstance(title, str) else None, line=line)
