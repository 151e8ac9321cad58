"""Named configs, each only its difference: systems (`presets/`) and profiles (`presets/profiles/`), and how they merge.

The order is defaults < profile < preset < study row < flags. A preset says which system, a profile says on what; both
are YAML files of a few lines, so that a diff of two rows of a table can be read in them.

YAML in which a key that is given twice is a mistake.
"""

import difflib
import re
from collections.abc import Mapping
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from core.config.schema import RunConfig
from core.errors import UserError

FOLDERS = {kind: Path(__file__).with_name(f"shipped_{kind}") for kind in ("presets", "profiles")}
Tree = dict[str, Any]


def names(kind: str = "presets") -> dict[str, str]:
    """The shipped presets or profiles and what the first comment of each says."""
    return {name: _opening_comment(text) for name, text in _texts(kind).items()}


@cache
def _texts(kind: str) -> dict[str, str]:
    # Read once: a plan asks for them thousands of times.
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted(FOLDERS[kind].glob("*.yaml"))}


@cache
def _differences(kind: str) -> dict[str, Tree]:
    return {name: yaml.safe_load(text) or {} for name, text in _texts(kind).items()}


def _opening_comment(text: str) -> str:
    lines = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.lstrip("# ").rstrip())
    return " ".join(lines)


def difference(name: str, kind: str = "presets") -> Tree:
    """What a preset or profile changes, as a nested dict; an unknown name is an error that lists the known ones."""
    known = _differences(kind)
    noun = kind.removesuffix("s")
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise UserError(f"unknown {noun} {name!r}: the {kind} are {', '.join(known)}.{hint}")
    return deepcopy(known[name])


def merge(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> Tree:
    """Two nested dicts as one; where both speak, `upper` wins, and an empty section of `upper` still opens it."""
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


def build(preset: str, *, profile: str | None = None, row: Mapping[str, Any] | None = None) -> RunConfig:
    """The config of a preset under a profile, with a study row's settings on top."""
    tree = merge(difference(profile, "profiles") if profile else {}, difference(preset))
    tree = merge(tree, {"preset": preset, "profile": profile or "none"})
    return validate(merge(tree, row or {}))


def validate(tree: Mapping[str, Any], *, where: str = "") -> RunConfig:
    """A nested dict as a RunConfig, or one readable line about the first setting that is wrong."""
    try:
        return RunConfig.model_validate(tree)
    except ValidationError as error:
        raise UserError(explain(error, where=where)) from None


def to_yaml(config: RunConfig) -> str:
    """The whole config as YAML; `from_yaml` gives back an equal one."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def from_yaml(path: Path) -> RunConfig:
    """The config in a YAML file, validated; a setting it does not give has its default."""
    return validate(read_settings(path), where=f"{path}: ")


def read_settings(path: Path) -> Tree:
    """The settings in a YAML file as a nested dict, not yet validated."""
    try:
        tree = load_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such config file; give a YAML file of settings") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); give a YAML file of settings") from None
    except ValueError as error:
        raise UserError(f"{path} is not readable YAML: {error}") from None
    if not isinstance(tree, dict):
        raise UserError(f"{path} holds {type(tree).__name__}, not settings: expected a mapping such as `seed: 0`")
    return tree


def explain(error: ValidationError, *, where: str = "") -> str:
    """Pydantic's findings, a line each: the setting, its value, its limit, the nearest setting for a misspelt one."""
    return "\n".join(dict.fromkeys(where + _line(finding) for finding in error.errors(include_url=False)))


def _line(finding: Any) -> str:
    steps = [str(step) for step in finding["loc"]]
    path = ".".join(steps)
    if finding["type"] == "extra_forbidden":
        section = ".".join(steps[:-1])
        known = settings_of(steps[:-1])
        near = difflib.get_close_matches(steps[-1], known, n=1)
        hint = f" Did you mean {'.'.join([*steps[:-1], near[0]])}?" if near else ""
        return f"unknown setting {path}:{hint} {section or 'A run'} has {', '.join(known)}"
    message = finding["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if finding["type"] == "value_error":
        return message
    if finding["type"] == "model_type":
        return f"{path} is {finding['input']!r}: it is a section, give its settings ({', '.join(settings_of(steps))})"
    return f"{path} is {finding['input']!r}: {message}{_sentence(path)}"


def _sentence(path: str) -> str:
    """What a setting says of itself, to go behind its limit."""
    steps = path.split(".")
    model: type[BaseModel] = RunConfig
    for step in steps[:-1]:
        section = section_model(model, step)
        if section is None:
            return ""
        model = section
    field = model.model_fields.get(steps[-1])
    return f" ({field.description})" if field is not None and field.description else ""


def settings_of(steps: list[str]) -> list[str]:
    """The names of the settings in the section at this path; empty where there is none."""
    model: type[BaseModel] = RunConfig
    for step in steps:
        section = section_model(model, step)
        if section is None:
            return []
        model = section
    return list(model.model_fields)


def section_model(model: type[BaseModel], name: str) -> type[BaseModel] | None:
    """The model class of a section of settings, also of an optional one; None for a plain setting."""
    field = model.model_fields.get(name)
    if field is None:
        return None
    for option in (field.annotation, *getattr(field.annotation, "__args__", ())):
        if isinstance(option, type) and issubclass(option, BaseModel):
            return option
    return None


class Loader(yaml.SafeLoader):
    """PyYAML's safe loader, which by itself lets the last of two equal keys win in silence."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """A mapping as it was written, before `<<` merges others below it."""
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        lines: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in lines:
                raise yaml.MarkedYAMLError(
                    problem=f"{key.value!r} is given twice (first in line {lines[key.value]}): leave one out",
                    problem_mark=key.start_mark,
                )
            lines[key.value] = key.start_mark.line + 1
        return node


class NumberLoader(Loader):
    """Takes 1e-5 for the number it looks like, as JSON and YAML 1.2 do; PyYAML asks for 1.0e-5."""


NumberLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def load_yaml(text: str, loader: type[Loader] = Loader) -> Any:
    """The content of a YAML text; a ValueError says in one line what is wrong, and where it can in which line."""
    try:
        return yaml.load(text, Loader=loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}: " if mark is not None else ""
        raise ValueError(f"{where}{error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise ValueError(str(error).splitlines()[0]) from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
