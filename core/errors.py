"""The one exception that a command turns into a plain line."""


class UserError(Exception):
    """A mistake that the user can mend: exit code 2, no traceback.

    The first line of the message names the value, the limit and the way out; further lines, if any, are details.
    """


def first_line(error: Exception) -> str:
    """The first line of a library's error message, or the error's type where it has no message."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
