"""Arguments of a command line: one parser for every command, its help, and its mistakes in one line.

The parameters of a command's function are its arguments, those before `*` by position; its docstring is their help.
Commands that also take settings of a run build their parser themselves.
"""

import argparse
import inspect
import re
import shutil
import textwrap
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NoReturn, Union, get_args, get_origin, get_type_hints

from core.config.overrides import parse_overrides
from core.config.presets import Tree
from core.errors import UserError, did_you_mean

Command = Callable[..., int | None]
METAVARS: dict[object, str] = {int: "N", float: "X", Path: "FILE", "runs": "DIR", "out": "DIR", "input": "FILE"}
"""Type or name of a parameter -> how help writes its value; a text that annotates a parameter comes first."""
COLUMNS = 80


class HelpFormatter(argparse.HelpFormatter):
    """Help of at most 80 columns; paragraphs are filled, those with an indented line are left as they are."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=min(COLUMNS, shutil.get_terminal_size().columns))

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        paragraphs = text.strip().split("\n\n")
        return "\n\n".join(
            part if re.search("^ ", part, re.MULTILINE) else super(HelpFormatter, self)._fill_text(part, width, indent)
            for part in paragraphs
        )


class CommandParser(argparse.ArgumentParser):
    """The parser of a command; mistakes are UserErrors."""

    def __init__(self, prog: str, description: str, *, epilog: str = "") -> None:
        super().__init__(
            prog, description=description, epilog=epilog, formatter_class=HelpFormatter, allow_abbrev=False
        )

    def error(self, message: str) -> NoReturn:
        """Raise a UserError instead of printing the usage."""
        raise UserError(f"{message}. See `{self.prog} --help`")

    def parse_all(self, arguments: Sequence[str]) -> dict[str, Any]:
        """The values of all arguments; of an option that does not exist, the error names the nearest."""
        known = self._option_string_actions
        for argument in arguments:
            flag = argument.partition("=")[0]
            if flag.startswith("--") and flag not in known:
                hint = did_you_mean(flag, known)
                raise UserError(f"unknown option {flag}.{hint} See `{self.prog} --help`")
        options, rest = self.parse_known_args(list(arguments))
        if rest:
            self.error(f"unexpected argument {rest[0]!r}")
        return {name: tuple(value) if isinstance(value, list) else value for name, value in vars(options).items()}

    def parse_with_settings(self, arguments: Sequence[str]) -> tuple[argparse.Namespace, Tree]:
        """The values of the parser's own arguments, and the settings of a run that the other options give."""
        # W&B adds --_wandb={...} to the command of a sweep's run that it resumes: it is no setting of ours.
        ours = [word for word in arguments if not word.startswith("--_wandb=")]
        options, flags = self.parse_known_args(ours)
        return options, parse_overrides(flags, options=self._option_string_actions)


def call(function: Command, prog: str, arguments: Sequence[str]) -> int | None:
    """Call a command's function with the arguments of a command line."""
    return function(**build_parser(function, prog).parse_all(arguments))


def build_parser(function: Command, prog: str) -> CommandParser:
    """The parser of a command's function, from its signature and docstring."""
    inner, bound = (function.func, function.keywords) if isinstance(function, partial) else (function, {})
    parser = CommandParser(prog, describe(inner)[0])
    add_parameters(parser, inner, skip=bound)
    return parser


def describe(described: Callable[..., object]) -> tuple[str, dict[str, str]]:
    """What a docstring says of a function or class, and of each of its parameters."""
    description, _, sentences = (inspect.getdoc(described) or "").partition("\nArgs:\n")
    helps = dict(re.findall(r"^    (\w+): (.*(?:\n {5,}.*)*)", sentences, re.MULTILINE))
    return description, {name: " ".join(text.split()).removesuffix(".") for name, text in helps.items()}


def add_parameters(
    parser: argparse.ArgumentParser | argparse._ArgumentGroup,
    described: Callable[..., object],
    *,
    skip: Collection[str] = (),
    prefix: str = "",
) -> None:
    """Add the parameters of a function or class as arguments.

    With a prefix (`slurm.`) they are flags that begin with it, and only those that are given have a value.
    """
    helps, kinds = describe(described)[1], get_type_hints(described, include_extras=True)
    for name, parameter in inspect.signature(described).parameters.items():
        if name in skip:
            continue
        how, text = describe_type(kinds[name], METAVARS.get(name)), helps.get(name, "")
        if parameter.kind is not parameter.KEYWORD_ONLY:
            several = {"nargs": "+"} if "nargs" in how else {}
            if parameter.default is not parameter.empty:
                several = {"nargs": "?", "default": parameter.default}
            parser.add_argument(name, help=escape(text), **how | {"metavar": name.upper()} | several)
            continue
        required = parameter.default is parameter.empty
        if required:
            text += " (required)"
        elif parameter.default is not None and parameter.default is not False and "default:" not in text.lower():
            text += f" (default: {parameter.default})" if parameter.default != () else ""
        default = {} if required else {"default": argparse.SUPPRESS if prefix else parameter.default}
        flag = f"--{prefix}{name.replace('_', '-')}"
        how |= {"metavar": how["metavar"] or name.upper()} if prefix and "metavar" in how else {}
        parser.add_argument(flag, help=escape(text), required=required, **default, **how)


def describe_type(kind: Any, metavar: str | None = None) -> dict[str, Any]:
    """What argparse has to know of an argument of this type, whose value help writes as `metavar`."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return describe_type(inner[0], next((text for text in inner[1:] if isinstance(text, str)), metavar))
    if origin in (Union, UnionType):
        return describe_type(next(option for option in inner if option is not NoneType), metavar)
    if origin is tuple:
        return describe_type(inner[0], metavar) | {"nargs": "*" if inner[-1] is ... else len(inner)}
    if kind is bool:
        return {"action": "store_true"}
    what = {"choices": inner} if origin is Literal else {"type": kind}
    return what | {"metavar": metavar or METAVARS.get(kind)}


def escape(text: str) -> str:
    """A help text as argparse wants it, which takes % for a format."""
    return text.replace("%", "%%")


def describe_names(names: Mapping[str, str]) -> str:
    """Names and what each is, in two columns."""
    width = max(map(len, names)) + 4
    return "\n".join(
        textwrap.fill(f"  {name:<{width - 2}}{text}", COLUMNS, subsequent_indent=" " * width, break_on_hyphens=False)
        for name, text in names.items()
    )
