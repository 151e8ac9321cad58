"""Overrides: `--section.setting VALUE` flags of the command line as a nested dict of settings."""

from collections.abc import Iterable, Sequence
from typing import Any, get_args

from pydantic.fields import FieldInfo

from core.config.presets import Tree, find_section, merge, section_model, setting_paths, unknown_setting
from core.errors import UserError, did_you_mean

LABELS = ("preset", "profile")


def parse_overrides(flags: Sequence[str], *, options: Iterable[str] = ()) -> Tree:
    """The settings that flags give, as strings that pydantic converts; a misspelt one names its neighbours.

    `--memory.slot-width 256` and `--memory.slot-width=256` are the same; `none` clears an optional setting. `options`
    are the command's own, which may be what was meant.
    """
    tree: Tree = {}
    rest = list(flags)
    while rest:
        flag, equals, text = rest.pop(0).partition("=")
        if not flag.startswith("--"):
            raise UserError(f"unexpected argument {flag!r}: settings are given as --section.setting VALUE")
        path, field = _find_setting(flag, options)
        if not equals:
            if not rest or (rest[0].startswith("--") and len(rest[0]) > 2):
                raise UserError(
                    f"{flag} has no value: give {flag} VALUE (`engram train --help-all` lists the settings)"
                )
            text = rest.pop(0)
        value: Any = None if text.lower() in ("none", "null") and type(None) in get_args(field.annotation) else text
        for step in reversed(path):
            value = {step: value}
        tree = merge(tree, value)
    return tree


def _find_setting(flag: str, options: Iterable[str]) -> tuple[list[str], FieldInfo]:
    *path, name = flag.removeprefix("--").replace("-", "_").split(".")
    if (path or [name])[0] in LABELS:
        raise UserError(f"{flag} cannot be set twice: the preset is the first word, --profile P comes once")
    section = find_section(path)
    field = section.model_fields.get(name) if section is not None else None
    if section is None or field is None or section_model(section, name) is not None:
        known = [*options, *(f"--{setting}".replace("_", "-") for setting in setting_paths())]
        while find_section(path) is None:
            path.pop()
        raise UserError(unknown_setting(flag, path, did_you_mean(flag, known, most=3, cutoff=0.5)))
    return [*path, name], field
