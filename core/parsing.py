"""Parsing: text and JSON from bytes that were read already; what is not UTF-8, not JSON, or of another form.

Every fault is one `UserError` whose first line holds file, document, field, value, limit and way out.
"""

import gc
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from core.errors import UserError, fault, shorten

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
DECODE_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for what is not JSON, not UTF-8, nested too deeply or of another form."""
_VALIDATION_MESSAGE = re.compile(r"^(?P<what>.*?)(?: - at `(?:key in )?\$(?P<path>.*)`)?$", re.DOTALL)
_PATH_STEP = re.compile(r"\[(\d+)\]|\.([^.\[\]]+)")
_NO_STRUCTURE = bytes(set(range(256)) - set(b'":,[{'))
"""Bytes that are not around keys and strings."""


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


def parse_json(
    raw: bytes,
    type: Any,
    path: Path | str,
    *,
    index: int | None = None,
    line: int | None = None,
    damaged: str | None = None,
    check_keys: bool = True,
) -> Any:
    """Objects of a type from JSON; raises `UserError` for what is not JSON, is truncated, or has another form.

    `index` (from 0) and `line` (from 1) say which document of the file the bytes are, where they are one. `damaged` is
    the way out where the file is one of ours. With `check_keys` a key that an object has twice is refused.
    """
    try:
        if not raw.isascii():
            # msgspec does not decode strings that it skips: bad bytes there would pass.
            raw.decode("utf-8")
        with garbage_collector_paused():
            content = msgspec.json.decode(raw, type=type)
    except DECODE_ERRORS as error:
        if damaged is not None:
            raise UserError(f"{path} is damaged: {describe_decode_error(error)}; {damaged}") from None
        if isinstance(error, UnicodeDecodeError):
            decode_text(raw, path, index=index, line=line)
        if isinstance(error, msgspec.ValidationError):
            raise _schema_fault(error, raw, path, index, line) from None
        raise fault(path, explain_json_error(error, len(raw)), index=index, line=line) from None
    except UserError as error:  # of a class that checks its own values
        raise fault(path, str(error), index=index, line=line) from None
    if check_keys:
        check_repeated_keys(raw, path, index=index, line=line)
    return content


def explain_json_error(error: Exception, size: int) -> str:
    """Why `size` bytes could not be decoded as JSON, and what to do about it."""
    if isinstance(error, RecursionError):
        return "JSON nested too deeply for any format known here: give another file"
    reason = str(error).removeprefix("JSON is malformed: ")
    at_the_end = reason in (f"invalid character (byte {size})", f"invalid number (byte {size})")
    if at_the_end or "truncated" in reason:
        return f"the JSON breaks off after {size} bytes: the file is truncated; download or copy it again"
    return f"is not JSON: {reason}: give a JSON file, or state the format with --format"


def describe_decode_error(error: Exception) -> str:
    """What is wrong with a file of ours, in msgspec's words where these say it."""
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)


def check_repeated_keys(raw: bytes, path: Path | str, *, index: int | None = None, line: int | None = None) -> None:
    """Raise a UserError where an object of some JSON has a key twice; by itself the last one wins in silence."""
    values: list[bytes] = [raw]
    if index is None and line is None and raw.lstrip()[:1] == b"[":
        values = list(map(bytes, msgspec.json.decode(raw, type=list[msgspec.Raw])))
    for number, value in enumerate(values):
        try:
            json.loads(value, object_pairs_hook=_refuse_repeated_key, parse_int=len, parse_float=len)
        except _RepeatedKey as error:
            what = f"the key {shorten(error.key)} is there twice in one object: leave one of them out"
            raise fault(path, what, index=number if len(values) > 1 else index, line=line) from None
        except RecursionError as error:
            raise fault(path, explain_json_error(error, len(raw)), index=index, line=line) from None


class _RepeatedKey(Exception):
    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def _refuse_repeated_key(pairs: list[tuple[str, Any]]) -> None:
    if len(dict(pairs)) < len(pairs):
        raise _RepeatedKey(Counter(key for key, _ in pairs).most_common(1)[0][0])


def may_repeat_keys(raw: bytes, objects: Iterable[Sequence[msgspec.Struct]], unread: Sequence[str] = ()) -> bool:
    """Whether JSON may hold a key twice in one object: the quick question before `check_repeated_keys`.

    `objects` are all that was decoded from it, those of one class together; `unread` are usual keys that their classes
    lack. There are as many keys as the objects have fields that are not None; more where one is null, unknown, or
    repeated, or where a text looks like one.
    """
    known, without = 0, Counter[str]()
    for group in objects:
        if group:
            required, optional = _field_names(type(group[0]))
            known += len(group) * required
            for name in optional:
                missing = [getattr(one, name) for one in group].count(None)
                known += len(group) - missing
                if missing:
                    without[name] += missing
    # Nothing but the quotes and the colon of a key are next to one another once all other text is gone.
    found = raw.translate(None, _NO_STRUCTURE).count(b'"":')
    if found == known:
        return False
    nulls = {name: raw.count(b'"%s":null' % name.encode()) for name in without}
    others = sum(raw.count(b'"%s":' % name.encode()) for name in unread)
    return found != known + others + sum(nulls.values()) or any(nulls[name] > without[name] for name in nulls)


@cache
def _field_names(kind: type[msgspec.Struct]) -> tuple[int, tuple[str, ...]]:
    """How many fields of a class are required, and the others."""
    required = len(kind.__struct_fields__) - len(kind.__struct_defaults__)
    return required, kind.__struct_fields__[required:]


def _schema_fault(
    error: msgspec.ValidationError, raw: bytes, path: Path | str, index: int | None, line: int | None
) -> UserError:
    """Translate msgspec's "Expected `int`, got `str` - at `$[3].sents`" to document, field and value."""
    match = _VALIDATION_MESSAGE.match(str(error))
    assert match is not None  # the pattern matches any text
    steps: list[int | str] = [int(n) if n else key for n, key in _PATH_STEP.findall(match["path"] or "")]
    try:
        value: Any = msgspec.json.decode(raw)
    except DECODE_ERRORS:
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
