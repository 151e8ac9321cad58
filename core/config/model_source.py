"""The encoder's width H without loading it: where it is known, slot width `none` and slot width H are one cell."""

import json
from functools import lru_cache
from pathlib import Path

from core.config.schema import EncoderConfig, RunConfig
from core.config.signature import cached_revision
from core.files import hub_cache, model_folder

WIDTHS = ("hidden_size", "dim", "d_model")
"""What encoders' config.json calls it."""
WEIGHTS = ("*.safetensors", "pytorch_model*.bin")


def encoder_width(encoder: EncoderConfig) -> int | None:
    """Width H of the encoder's states; None where only the model hub would know."""
    if encoder.source == "scratch":
        return encoder.scratch.width
    folder = _folder_of(encoder)
    return _width_in(folder / "config.json") if folder is not None else None


def estimate_parameter_count(config: RunConfig) -> int | None:
    """About how many parameters a run has, from its encoder's sizes or files; None where only the hub would know.

    Heads and memories come to 10 to 25 H² in the four systems, and to some hundred H for types and tables.
    """
    encoder, width = config.encoder, encoder_width(config.encoder)
    if encoder.source == "scratch":
        scratch = encoder.scratch
        layer = 4 * scratch.width**2 + 2 * scratch.width * scratch.intermediate
        found = scratch.width * (scratch.vocabulary + encoder.positions) + scratch.layers * layer
    else:
        folder = _folder_of(encoder)
        kinds = ([*folder.glob(pattern)] for pattern in WEIGHTS) if folder is not None else iter(())
        found = sum(path.stat().st_size for path in next((files for files in kinds if files), [])) // 4
    return found + 20 * width**2 + 400 * width if found and width is not None else None


def _folder_of(encoder: EncoderConfig) -> Path | None:
    folder = model_folder(encoder.source)
    return folder if folder is not None else _cached(encoder.source)


def normalise_slot_width(config: RunConfig) -> RunConfig:
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
