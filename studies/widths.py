"""The encoder's width H without loading it: where it is known, slot width `none` and slot width H are one cell."""

import json
from functools import lru_cache
from pathlib import Path

from core.config import EncoderConfig, RunConfig
from core.contents import hub_cache, model_folder
from core.signature import cached_revision

WIDTHS = ("hidden_size", "dim", "d_model")
"""What encoders' config.json calls it."""


def encoder_width(encoder: EncoderConfig) -> int | None:
    """Width H of the encoder's states; None where only the model hub would know."""
    if encoder.source == "scratch":
        return encoder.scratch.width
    folder = model_folder(encoder.source) or _cached(encoder.source)
    return _width_in(folder / "config.json") if folder is not None else None


def with_own_width(config: RunConfig) -> RunConfig:
    """The config with a slot width that is the encoder's own written as none, the one way that studies share."""
    if config.memory is None or config.memory.slot_width is None:
        return config
    if config.memory.slot_width != encoder_width(config.encoder):
        return config
    return config.model_copy(update={"memory": config.memory.model_copy(update={"slot_width": None})})


def _cached(source: str) -> Path | None:
    """The folder in which the local hub cache holds a model."""
    name, _, revision = source.partition("@")
    revision = revision or cached_revision(name) or ""
    folder = hub_cache(name) / "snapshots" / revision
    return folder if revision and folder.is_dir() else None


@lru_cache
def _width_in(path: Path) -> int | None:
    try:
        told = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    widths = [told[name] for name in WIDTHS if isinstance(told, dict) and isinstance(told.get(name), int)]
    return widths[0] if widths else None
