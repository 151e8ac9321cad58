"""What makes two runs the same run: the hash of the resolved config, less the seed and what cannot change a number.

Paths enter as the hash of what they name, hub names as name@revision. Settings that another setting switches off are
left out (how to read, where reading is off), so that a cell reached in two ways is computed once.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from core.config.presets import section_model
from core.config.schema import (
    ADDED_LATER,
    CONTENT,
    NEUTRAL,
    SOURCE,
    Marker,
    MemoryConfig,
    RunConfig,
)
from core.errors import UserError
from core.files import content_hash, hub_cache, model_folder

DIGITS = 12
READING = ("pooling", "places", "memories", "warmup", "ramp", "read_grad", "inverse_scale", "reads")


def signature(config: RunConfig) -> str:
    """The 12 hex digits that name a run up to its seed; raises where a path does not exist."""
    text = json.dumps(identity(config), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]


def run_id(config: RunConfig) -> str:
    """`<signature>-s<seed>`."""
    return f"{signature(config)}-s{config.seed}"


def identity(config: RunConfig) -> dict[str, Any]:
    """What the signature hashes, readable: the settings that can change a number, paths replaced by content."""
    if config.data.name is not None:
        raise UserError(f"data.name {config.data.name!r} is not resolved to files yet; fetch the data set first")
    tree = _identity(config)
    del tree["seed"]
    # The encoder from scratch has no weights to start from, any other none of the sizes of that one.
    del tree["encoder"]["pretrained" if config.encoder.source == "scratch" else "scratch"]
    if config.data.validation is not None:
        tree["data"].pop("validation_share")
    if config.memory is not None:
        _drop_idle(tree["memory"], config.memory)
    return tree


def drop_neutral_sections(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a nested dict less the sections of which none can change a number (runtime, tracking)."""
    return {name: value for name, value in settings.items() if not _is_neutral(name)}


def _is_neutral(name: str) -> bool:
    section = section_model(RunConfig, name)
    if section is None:
        return NEUTRAL in read_markers(RunConfig, name)
    return all(NEUTRAL in read_markers(section, field) for field in section.model_fields)


def read_markers(model: type[BaseModel], name: str) -> set[Marker]:
    """The signature markers of a setting."""
    return {mark for mark in model.model_fields[name].metadata if isinstance(mark, Marker)}


def _identity(section: BaseModel) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        marks = read_markers(type(section), name)
        if NEUTRAL in marks or (ADDED_LATER in marks and value == field.default):
            continue
        if isinstance(value, BaseModel):
            tree[name] = _identity(value)
        elif CONTENT in marks and value is not None:
            tree[name] = content_hash(Path(value))
        elif SOURCE in marks and value is not None:
            tree[name] = model_identity(value)
        else:
            tree[name] = value
    return tree


def model_identity(source: str) -> str:
    """What a model's path, package or hub name stands for: a content hash, or name@revision."""
    if source == "scratch":
        return source
    folder = model_folder(source)
    if folder is not None:
        return content_hash(folder)
    name, _, revision = source.partition("@")
    return f"{name}@{revision or cached_revision(name) or 'main'}"


def cached_revision(name: str) -> str | None:
    """The commit that the local hub cache holds for a model's main branch; None where it holds none."""
    reference = hub_cache(name) / "refs" / "main"
    return reference.read_text().strip() if reference.is_file() else None


def _drop_idle(tree: dict[str, Any], memory: MemoryConfig) -> None:
    """Leave out memory settings that have no effect, and write the others in one way."""
    for name in ("entity", "relation"):
        tree[f"{name}_slot_width"] = memory.width_of(name) if memory.classifies in (name, "both") else None
    del tree["slot_width"]
    if memory.slots_per_type == 1:
        del tree["slot_logit"]
    if memory.read_mode == "none":
        for name in READING:
            tree.pop(name, None)
        return
    tree["pooling"] = [memory.pooling_after(mode) for mode in memory.modes]
    if "inverse" not in memory.modes:
        del tree["inverse_scale"]
    # The gradient of reading meets no slots where a frozen matrix, or only the number of slots, is read.
    if memory.reads in ("random", "constant") or (memory.reads == "uniform" and memory.read_mode == "inverse"):
        del tree["read_grad"]
