"""Presets and profiles: named configs, each only its difference from the defaults; how they merge and are checked.

The order is defaults < profile < preset < study row < flags. A preset says which system, a profile says on what; both
are YAML files of a few lines, so that a diff of two rows of a table can be read in them.
"""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ValidationError

from core.config.schema import RunConfig
from core.config.yaml_file import load_yaml, read_yaml
from core.errors import UserError, did_you_mean, shorten

FOLDERS = {kind: Path(__file__).with_name(f"shipped_{kind}") for kind in ("presets", "profiles")}
Tree = dict[str, Any]
"""Settings as a nested dict."""


@cache
def _shipped(kind: str) -> dict[str, tuple[str, Tree]]:
    """Name -> first comment and settings; read once, as a plan asks for them thousands of times."""
    shipped = {}
    for path in sorted(FOLDERS[kind].glob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        comment = takewhile(lambda line: line.startswith("#"), text.splitlines())
        shipped[path.stem] = " ".join(line.strip("# ") for line in comment), load_yaml(text) or {}
    return shipped


def names(kind: str = "presets") -> dict[str, str]:
    """The shipped presets or profiles and what the first comment of each says."""
    return {name: comment for name, (comment, _) in _shipped(kind).items()}


def difference(name: str, kind: str = "presets") -> Tree:
    """What a preset or profile changes, as a nested dict; an unknown name is an error that lists the known ones."""
    known = _shipped(kind)
    if name not in known:
        hint = did_you_mean(name, known)
        raise UserError(f"unknown {kind.removesuffix('s')} {name!r}: the {kind} are {', '.join(known)}.{hint}")
    return deepcopy(known[name][1])


def merge(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> Tree:
    """Two nested dicts as one: `upper` wins where both have a value; an empty section of `upper` still opens it."""
    merged = dict(lower)
    for key, value in upper.items():
        below = merged.get(key)
        if isinstance(value, Mapping) and (below is None or isinstance(below, Mapping)):
            merged[key] = merge(below or {}, value)
        else:
            merged[key] = value
    return merged


def leaves(tree: Mapping[str, Any], before: str = "") -> Tree:
    """The settings in a nested dict by their paths, `memory.warmup`."""
    flat: Tree = {}
    for key, value in tree.items():
        flat |= leaves(value, f"{before}{key}.") if isinstance(value, Mapping) else {f"{before}{key}": value}
    return flat


def build(
    preset: str, *, profile: str | None = None, row: Mapping[str, Any] | None = None, where: str = ""
) -> RunConfig:
    """The config of a preset under a profile, with a study row's settings on top; `where` begins its mistakes."""
    tree = merge(difference(profile, "profiles") if profile else {}, difference(preset))
    tree = merge(tree, {"preset": preset, "profile": profile or "none"})
    return validate(merge(tree, row or {}), where=where)


def validate(tree: Mapping[str, Any], *, where: str = "", unknown: Literal["forbid", "ignore"] = "forbid") -> RunConfig:
    """A nested dict as a RunConfig, or a UserError with a readable line about every setting that is wrong.

    Settings that a record of a later release has are `unknown`: only for reading may they be ignored.
    """
    try:
        return RunConfig.model_validate(tree, extra=unknown)
    except ValidationError as error:
        mistakes = error.errors(include_url=False)
        raise UserError("\n".join(dict.fromkeys(where + _describe(mistake) for mistake in mistakes))) from None


def to_yaml(config: RunConfig) -> str:
    """The whole config as YAML; `from_yaml` gives back an equal one."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def from_yaml(path: Path) -> RunConfig:
    """The config in a YAML file, validated; a setting it does not give has its default."""
    return validate(read_settings(path), where=f"{path}: ")


def read_settings(path: Path) -> Tree:
    """The settings in a YAML file as a nested dict, not yet validated."""
    tree = read_yaml(path)
    if not isinstance(tree, dict):
        raise UserError(f"{path} holds {type(tree).__name__}, not settings: expected a mapping such as `seed: 0`")
    return tree


def _describe(mistake: Any) -> str:
    """One of pydantic's errors in a line: the setting, its value, its limit, the nearest setting for a misspelt one."""
    steps = [str(step) for step in mistake["loc"]]
    path = ".".join(steps)
    section = find_section(steps[:-1])
    if mistake["type"] == "extra_forbidden" and section is not None:
        before = path.removesuffix(steps[-1])
        return unknown_setting(path, steps[:-1], did_you_mean(steps[-1], section.model_fields, before=before))
    message: str = mistake["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if mistake["type"] == "value_error":
        return message
    if mistake["type"] == "model_type":
        names = ", ".join(setting_names(steps))
        return f"{path} is {shorten(mistake['input'])}: it is a section, give its settings ({names})"
    field = section.model_fields.get(steps[-1]) if section is not None else None
    explanation = f" ({field.description})" if field is not None and field.description else ""
    return f"{path} is {shorten(mistake['input'])}: {message}{explanation}"


def unknown_setting(name: str, section: Sequence[str], hint: str) -> str:
    """What to answer to a setting that does not exist, as the user wrote it: the nearest, and those of its section."""
    return f"unknown setting {name}:{hint} {'.'.join(section) or 'A run'} has {', '.join(setting_names(section))}"


def setting_names(path: Sequence[str]) -> list[str]:
    """The names of the settings in the section at this path; empty where there is none."""
    section = find_section(path)
    return list(section.model_fields) if section is not None else []


def setting_paths(model: type[BaseModel] = RunConfig, before: str = "") -> Iterator[str]:
    """The path of every setting below a section, those of optional sections too."""
    for name in model.model_fields:
        section = section_model(model, name)
        if section is None:
            yield before + name
        else:
            yield from setting_paths(section, f"{before}{name}.")


def find_section(path: Sequence[str]) -> type[BaseModel] | None:
    """The model class of the section at a path from the whole config; None where there is none."""
    model: type[BaseModel] | None = RunConfig
    for step in path:
        model = section_model(model, step) if model is not None else None
    return model


def section_model(model: type[BaseModel], name: str) -> type[BaseModel] | None:
    """The model class of a section of settings, also of an optional one; None for a plain setting."""
    field = model.model_fields.get(name)
    if field is None:
        return None
    for option in (field.annotation, *getattr(field.annotation, "__args__", ())):
        if isinstance(option, type) and issubclass(option, BaseModel):
            return option
    return None
