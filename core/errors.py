"""Errors that a user can fix: `UserError`, the one exception that a command turns into a plain line."""

import errno
from collections.abc import Iterable
from difflib import get_close_matches

FULL_DISK = (errno.ENOSPC, errno.EDQUOT)
NOT_YOURS = (errno.EACCES, errno.EPERM, errno.EROFS)
MAX_COMPARED = 100
"""Characters of a name that are compared with the known ones."""


class UserError(Exception):
    """A mistake that the user can fix: exit code 2, no traceback.

    The first line of the message names the value, the limit and the way out; further lines, if any, are details.
    """


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


def shorten(value: object, limit: int = 60) -> str:
    """The `repr` of a value, cut in the middle to `limit` characters, for a message."""
    try:
        return cut_middle(repr(value), limit)
    except ValueError:
        # Python writes no whole number of more than 4,300 digits.
        return "a number of thousands of digits"


def did_you_mean(name: str, known: Iterable[str], *, before: str = "", most: int = 1, cutoff: float = 0.6) -> str:
    """` Did you mean X?` with the names most like a misspelt one, each with `before` in front; else empty."""
    near = get_close_matches(name[:MAX_COMPARED], list(known), n=most, cutoff=cutoff)
    return f" Did you mean {' or '.join(before + one for one in near)}?" if near else ""
