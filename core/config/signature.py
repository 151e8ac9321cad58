"""Signatures: what makes two runs the same run. Hash of the resolved config, without seed and what changes no number.

Paths enter as the hash of what they name, hub names as name@revision. Settings that another setting switches off are
left out (how to read, where reading is off), so that two configs of one computation are computed once.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from core.config.memory import MemoryConfig
from core.config.model_source import encoder_width, model_identity
from core.config.presets import section_model
from core.config.schema import RunConfig
from core.config.section import ADDED_LATER, CONTENT, NEUTRAL, SOURCE, Marker
from core.errors import UserError
from core.files import file_hash

DIGITS = 12
MEMORIES = ("entity", "relation")
READING = ("pooling", "places", "memories", "warmup", "ramp", "read_grad", "inverse_scale", "reads")
"""Settings of memory that only reading uses."""


def signature(config: RunConfig) -> str:
    """The 12 hex digits that name a run up to its seed; raises where a path does not exist."""
    text = json.dumps(identity(config), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]


def run_id(config: RunConfig) -> str:
    """`<signature>-s<seed>`."""
    return f"{signature(config)}-s{config.seed}"


def normalise_slot_width(config: RunConfig) -> RunConfig:
    """The config with a slot width that is the encoder's own written as none, the one way that studies share."""
    if config.memory is None or config.memory.slot_width is None:
        return config
    if config.memory.slot_width != encoder_width(config.encoder):
        return config
    return config.model_copy(update={"memory": config.memory.model_copy(update={"slot_width": None})})


def identity(config: RunConfig) -> dict[str, Any]:
    """What the signature hashes, readable: the active settings, paths replaced by content."""
    if config.data.name is not None:
        raise UserError(f"data.name {config.data.name!r} is not resolved to files yet; fetch the data set first")
    # Sections of which nothing counts are hashed as empty.
    tree: dict[str, Any] = {name: {} for name, value in config if isinstance(value, BaseModel)}
    for path, owner, name in _walk(config, "", idle_settings(config)):
        value, marks = getattr(owner, name), read_markers(type(owner), name)
        if ADDED_LATER in marks and value == type(owner).model_fields[name].default:
            continue
        if CONTENT in marks and value is not None:
            value = file_hash(Path(value))
        elif SOURCE in marks and value is not None:
            value = model_identity(value)
        section = tree
        for step in path.split(".")[:-1]:
            section = section.setdefault(step, {})
        section[name] = value
    if config.memory is not None:
        tree["memory"] = _one_spelling(tree["memory"], config.memory)
    return tree


def _one_spelling(tree: dict[str, Any], memory: MemoryConfig) -> dict[str, Any]:
    """The identity of a memory, with what may be written in two ways written in one."""
    written = _written(memory)
    widths = {f"{name}_slot_width": memory.slot_width_for(name) if name in written else None for name in MEMORIES}
    pooling = {"pooling": [memory.pooling_after(mode) for mode in memory.modes]} if memory.modes else {}
    return {name: value for name, value in tree.items() if name != "slot_width"} | widths | pooling


def active_settings(config: RunConfig) -> dict[str, Any]:
    """Path -> value of every setting that can change a number and that no other setting switches off.

    The seed is none of them. A run without memory has `memory` itself, which is None, and none of its settings.
    """
    return {path: getattr(owner, name) for path, owner, name in _walk(config, "", idle_settings(config))}


def _walk(section: BaseModel, before: str, idle: frozenset[str]) -> Iterator[tuple[str, BaseModel, str]]:
    """Path, section and name of every active setting below a section."""
    for name in deciding_fields(type(section)):
        value, path = getattr(section, name), before + name
        if path in idle:
            continue
        if isinstance(value, BaseModel):
            yield from _walk(value, f"{path}.", idle)
        else:
            yield path, section, name


def idle_settings(config: RunConfig) -> frozenset[str]:
    """The paths of settings and sections that another setting of this config switches off, and of the seed."""
    # The encoder from scratch has no weights to start from, any other none of the sizes of that one.
    idle = {"seed", "encoder.pretrained" if config.encoder.source == "scratch" else "encoder.scratch"}
    if config.data.validation is not None:
        idle.add("data.validation_share")
    if config.memory is not None:
        idle |= {f"memory.{name}" for name in _idle_in(config.memory)}
    return frozenset(idle)


def _idle_in(memory: MemoryConfig) -> Iterator[str]:
    written = _written(memory)
    yield from (f"{name}_slot_width" for name in MEMORIES if name not in written)
    if all(getattr(memory, f"{name}_slot_width") for name in written):
        yield "slot_width"
    if memory.slots_per_type == 1:
        yield "slot_logit"
    if memory.read_mode == "none":
        yield from READING
        return
    if "inverse" not in memory.modes:
        yield "inverse_scale"
    # The gradient of reading meets no slots where a frozen matrix, or only the number of slots, is read.
    if memory.reads in ("random", "constant") or (memory.reads == "uniform" and memory.read_mode == "inverse"):
        yield "read_grad"


def _written(memory: MemoryConfig) -> tuple[str, ...]:
    return MEMORIES if memory.classifies == "both" else (memory.classifies,)


@cache
def deciding_fields(section: type[BaseModel]) -> tuple[str, ...]:
    """The settings and sections of a section that can change a number."""
    return tuple(name for name in section.model_fields if NEUTRAL not in read_markers(section, name))


@cache
def read_markers(model: type[BaseModel], name: str) -> frozenset[Marker]:
    """The signature markers of a setting."""
    return frozenset(mark for mark in model.model_fields[name].metadata if isinstance(mark, Marker))


def drop_neutral_sections(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a nested dict without the sections of which none can change a number (runtime, tracking)."""
    return {name: value for name, value in settings.items() if not _is_neutral(name)}


def _is_neutral(name: str) -> bool:
    section = section_model(RunConfig, name)
    return name not in deciding_fields(RunConfig) if section is None else not deciding_fields(section)
