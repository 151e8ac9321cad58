"""`--section.setting VALUE` flags as a nested dict, for the settings of a run."""

import difflib
from collections.abc import Sequence
from typing import Any, get_args

from pydantic import BaseModel

from core.config.presets import Tree, merge, section_model, settings_of
from core.config.schema import RunConfig
from core.errors import UserError

LABELS = ("preset", "profile")


def parse_overrides(flags: Sequence[str]) -> Tree:
    """The settings that flags give, as strings that pydantic converts; a misspelt one names its neighbours.

    `--memory.slot-width 256` and `--memory.slot-width=256` are the same; `none` clears an optional setting.
    """
    tree: Tree = {}
    rest = list(flags)
    while rest:
        flag, given, value = rest.pop(0).partition("=")
        if not flag.startswith("--"):
            raise UserError(f"unexpected argument {flag!r}: settings are given as --section.setting VALUE")
        if not given:
            if not rest or (rest[0].startswith("--") and len(rest[0]) > 2):
                raise UserError(f"{flag} has no value: give {flag} VALUE (`engram train --help` lists the settings)")
            value = rest.pop(0)
        tree = merge(tree, _nested(flag, value))
    return tree


def _nested(flag: str, text: str) -> Tree:
    steps = flag.removeprefix("--").replace("-", "_").split(".")
    if steps[0] in LABELS:
        raise UserError(f"{flag} cannot be set twice: the preset is the first word, --profile P comes once")
    model: type[BaseModel] = RunConfig
    for number, step in enumerate(steps[:-1]):
        section = section_model(model, step)
        if section is None:
            raise _unknown(flag, steps[:number])
        model = section
    field = model.model_fields.get(steps[-1])
    if field is None or section_model(model, steps[-1]) is not None:
        raise _unknown(flag, steps[:-1])
    value: Any = text
    if text.lower() in ("none", "null") and type(None) in get_args(field.annotation):
        value = None
    for step in reversed(steps):
        value = {step: value}
    tree: Tree = value
    return tree


def _unknown(flag: str, section: list[str]) -> UserError:
    every = [f"--{'.'.join(path)}".replace("_", "-") for path in _paths(RunConfig, [])]
    near = difflib.get_close_matches(flag, every, n=3, cutoff=0.5)
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    names = ", ".join(settings_of(section))
    return UserError(f"unknown setting {flag}:{hint} {'.'.join(section) or 'A run'} has {names}")


def _paths(model: type[BaseModel], before: list[str]) -> list[list[str]]:
    paths = []
    for name in model.model_fields:
        section = section_model(model, name)
        paths += _paths(section, [*before, name]) if section else [[*before, name]]
    return paths
