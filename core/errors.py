"""Errors that a user can fix: `UserError`, the one exception that a command turns into a plain line."""

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(Exception):
    """A mistake that the user can fix: exit code 2, no traceback.

    The first line of the message names the value, the limit and the way out; further lines, if any, are details.
    """


def first_line(error: Exception) -> str:
    """The first line of a library's error message, or the error's type where it has no message."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def did_you_mean(name: str, known: Iterable[str], *, before: str = "", most: int = 1, cutoff: float = 0.6) -> str:
    """` Did you mean X?` with the names most like a misspelt one, each with `before` in front; else empty."""
    near = get_close_matches(name, list(known), n=most, cutoff=cutoff)
    return f" Did you mean {' or '.join(before + one for one in near)}?" if near else ""
