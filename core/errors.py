"""Errors that a user can fix: `UserError`, the one exception that a command turns into a plain line; its wording."""

import errno
import unicodedata
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from reprlib import Repr

LINE_LIMIT, LINES_LIMIT = 380, 20
"""Characters of a line of a message, and its lines; a command puts its name before the first."""
VALUE_LIMIT = 60

FULL_DISK = (errno.ENOSPC, errno.EDQUOT)
NOT_YOURS = (errno.EACCES, errno.EPERM, errno.EROFS)
MAX_COMPARED = 100
"""Characters of a name that are compared with the known ones."""


class UserError(Exception):
    """A mistake that the user can fix: exit code 2, no traceback.

    The first line of the message names the value, the limit and the way out; further lines, if any, are details. A line
    of more than `LINE_LIMIT` characters is cut in its middle, so that its file and its way out stay; control characters
    of a file are written as escapes.
    """

    def __init__(self, message: str) -> None:
        lines = message.split("\n")
        if len(lines) > LINES_LIMIT:
            lines[LINES_LIMIT - 1 :] = [f"... and {len(lines) - LINES_LIMIT + 1} more"]
        super().__init__("\n".join(cut_middle(_escape_controls(line), LINE_LIMIT) for line in lines))


def fault(
    path: Path | str, what: str, *, index: int | None = None, title: str | None = None, line: int | None = None
) -> UserError:
    """The error for a faulty file: `path: document 3 "Title", line 7: what` (index from 0, line from 1)."""
    position = [] if line is None else [f"line {line}"]
    if index is not None:
        name = f' "{cut_middle(" ".join(title.split()), VALUE_LIMIT)}"' if title else ""
        position.insert(0, f"document {index}{name}")
    return UserError(": ".join([str(path), *([", ".join(position)] if position else []), what]))


def shorten(value: object, limit: int = VALUE_LIMIT) -> str:
    """The `repr` of a value for a message, of more than `limit` characters only its beginning and its end."""
    brief = Repr()
    brief.maxlevel, brief.maxdict, brief.maxlist, brief.maxtuple = 4, 8, 8, 8
    brief.maxstring = brief.maxlong = brief.maxother = 2 * limit
    try:
        return cut_middle(brief.repr(value), limit)
    except ValueError:  # Python writes no number of more than 4,300 digits
        return "a number of thousands of digits"


def _escape_controls(line: str) -> str:
    if line.isprintable():
        return line
    controls = {character for character in line if unicodedata.category(character) in ("Cc", "Zl", "Zp")}
    return line.translate({ord(character): character.encode("unicode_escape").decode() for character in controls})


def first_line(error: Exception) -> str:
    """The first line of a library's error message, or the error's type where it has no message."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def describe_system_error(error: OSError) -> str:
    """An error of the system in a line: the file where it is known, what is wrong with it, the way out."""
    name = f"{cut_middle(str(error.filename), 200)}: " if error.filename else ""
    if error.errno == errno.ENAMETOOLONG:
        way_out = "give a shorter one"
    elif error.errno in FULL_DISK:
        way_out = "free some space, or give another disk"
    elif error.errno in NOT_YOURS:
        way_out = "give a path that is yours"
    else:
        way_out = "correct the path, or see what is wrong with the disk or network"
    return f"{name}{error.strerror or first_line(error)}: {way_out}"


def cut_middle(text: str, limit: int) -> str:
    """A text of at most `limit` characters; of a longer one its beginning and its end."""
    if len(text) <= limit:
        return text
    tail = (limit - 1) // 2
    return f"{text[: limit - 1 - tail]}…{text[len(text) - tail :]}"


def did_you_mean(name: str, known: Iterable[str], *, before: str = "", most: int = 1, cutoff: float = 0.6) -> str:
    """` Did you mean X?` with the names most like a misspelt one, each with `before` in front; else empty."""
    near = get_close_matches(name[:MAX_COMPARED], list(known), n=most, cutoff=cutoff)
    return f" Did you mean {' or '.join(before + one for one in near)}?" if near else ""
