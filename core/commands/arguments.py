"""Arguments of a command line, read from a function's signature or by a parser, and their mistakes in one line."""

import argparse
import inspect
import io
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from functools import partial, wraps
from typing import NoReturn

from core.errors import UserError, did_you_mean

Command = Callable[..., int | None]


class CommandParser(argparse.ArgumentParser):
    """The parser of a command that also takes settings of a run; mistakes are UserErrors."""

    def __init__(self, prog: str, description: str, *, epilog: str = "") -> None:
        formatter = argparse.RawDescriptionHelpFormatter
        super().__init__(prog, description=description, epilog=epilog, formatter_class=formatter, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Raise a UserError instead of printing the usage."""
        raise UserError(f"{message}; see `{self.prog} --help`")


def call(function: Command, prog: str, arguments: Sequence[str]) -> int | None:
    """Call a command's function with the arguments of a command line, which tyro reads by its signature."""
    import tyro

    check_flags(function, prog, arguments)
    error = io.StringIO()
    try:
        with redirect_stderr(error):
            bound = tyro.cli(_deferred(function), args=arguments, prog=prog, config=(tyro.conf.FlagCreatePairsOff,))
    except SystemExit as stop:
        if not stop.code:
            raise
        raise UserError(f"{tyro_message(error.getvalue())}. See `{prog} --help`") from None
    return bound()


def check_flags(function: Command, prog: str, arguments: Sequence[str]) -> None:
    """Raise a UserError for a flag that the function does not have, with the nearest one that it has."""
    known = [f"--{name}".replace("_", "-") for name in (*inspect.signature(function).parameters, "help")]
    for argument in arguments:
        flag = argument.partition("=")[0].replace("_", "-")
        if flag.startswith("--") and flag not in known:
            hint = "." + did_you_mean(flag, known)
            raise UserError(f"unknown option {flag}{hint} See `{prog} --help`")


def tyro_message(box: str) -> str:
    """The message in tyro's error box, without its title and the help below its first rule or blank line."""
    lines = [line.strip("│ ") for line in box.splitlines()[1:]]
    empty = [not line.strip("─-╯") for line in lines]
    start = empty.index(False)
    return " ".join(lines[start : empty.index(True, start)]).rstrip(".")


def _deferred(function: Command) -> Callable[..., Callable[[], int | None]]:
    """The function with the same signature that keeps its arguments instead of running."""

    @wraps(function)
    def keep(*positional: object, **named: object) -> Callable[[], int | None]:
        return partial(function, *positional, **named)

    # A new dict: `wraps` shares the function's own.
    keep.__annotations__ = {name: kind for name, kind in function.__annotations__.items() if name != "return"}
    return keep
