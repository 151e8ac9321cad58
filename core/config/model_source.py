"""Model sources: the folder, package or hub name that an encoder or tokenizer comes from, and how large the encoder is.

Nothing here loads a model: a plan asks for widths and sizes thousands of times, and without torch.
"""

import json
import os
from collections.abc import Mapping
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import msgspec

from core.config.schema import EncoderConfig, RunConfig
from core.errors import UserError
from core.files import content_hash

PACKAGE = "package:"
WIDTHS = ("hidden_size", "dim", "d_model")
"""What encoders' config.json calls their width."""
WEIGHTS = ("*.safetensors", "pytorch_model*.bin")
Size = Annotated[int, msgspec.Meta(ge=1, le=2**24)]


class Architecture(msgspec.Struct, frozen=True):
    """The sizes that every encoder's config gives, within which a model can be built at all."""

    model_type: str
    hidden_size: Annotated[int, msgspec.Meta(ge=1, le=2**15)]
    num_hidden_layers: Annotated[int, msgspec.Meta(ge=1, le=256)]
    num_attention_heads: Annotated[int, msgspec.Meta(ge=1, le=1_024)]
    intermediate_size: Size
    vocab_size: Size
    max_position_embeddings: Size
    type_vocab_size: Annotated[int, msgspec.Meta(ge=0, le=1_024)] = 0


def check_architecture(config: Mapping[str, Any]) -> None:
    """Raise a UserError where a size of an encoder's config is missing, no number, or none that can be."""
    try:
        sizes = msgspec.convert(config, Architecture)
    except msgspec.ValidationError as error:
        raise UserError(str(error).replace("`", "").replace(" - at $.", ": ")) from None
    if sizes.hidden_size % sizes.num_attention_heads:
        raise UserError(
            f"hidden_size is {sizes.hidden_size}, which is no multiple of num_attention_heads "
            f"({sizes.num_attention_heads})"
        )


def model_folder(source: str) -> Path | None:
    """The folder that an encoder or tokenizer source names: a local path, or a package that carries a model.

    None for a hub name. Raises a UserError for a package that is not installed or carries no model.
    """
    if source.startswith(PACKAGE):
        return _package_folder(source.removeprefix(PACKAGE))
    path = Path(source).expanduser()
    if path.exists():
        return path
    if source.startswith(("/", ".", "~")) or source.count("/") > 1:
        raise UserError(f"encoder or tokenizer {source!r}: no such folder; give a folder, package:NAME or a hub name")
    return None


def _package_folder(name: str) -> Path:
    spec = find_spec(name) if name.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise UserError(
            f"package {name!r} is not installed: pip install it (the MiniLM of the minilm profile: "
            "pip install 'engram[minilm]'), or give a local folder as encoder.source"
        )
    root = Path(next(iter(spec.submodule_search_locations)))
    for folder in (root / "model", root):
        if (folder / "config.json").is_file():
            return folder
    raise UserError(f"package {name!r} carries no model: no config.json in {root} or {root / 'model'}")


def model_identity(source: str) -> str:
    """What a model source stands for in a run's signature: the hash of its folder, or a hub name as name@revision."""
    if source == "scratch":
        return source
    folder = model_folder(source)
    if folder is not None:
        return content_hash(folder)
    name, _, revision = source.partition("@")
    return f"{name}@{revision or cached_revision(name) or 'main'}"


def cached_revision(name: str) -> str | None:
    """The commit that the local hub cache holds for a model's main branch; None where it holds none."""
    reference = _hub_cache(name) / "refs" / "main"
    return reference.read_text().strip() if reference.is_file() else None


def _hub_cache(name: str) -> Path:
    home = Path(os.environ.get("HF_HOME", Path.home() / ".cache" / "huggingface"))
    cache = Path(os.environ.get("HF_HUB_CACHE", home / "hub"))
    return cache / f"models--{name.replace('/', '--')}"


def encoder_width(encoder: EncoderConfig) -> int | None:
    """Width H of the encoder's states; None where only the model hub would know."""
    if encoder.source == "scratch":
        return encoder.scratch.width
    folder = _encoder_folder(encoder.source)
    return _width_in(folder / "config.json") if folder is not None else None


def _encoder_folder(source: str) -> Path | None:
    """The folder of an encoder on this machine, in the local hub cache for a hub name; None where it is not here."""
    folder = model_folder(source)
    if folder is not None:
        return folder
    name, _, revision = source.partition("@")
    revision = revision or cached_revision(name) or ""
    folder = _hub_cache(name) / "snapshots" / revision
    return folder if revision and folder.is_dir() else None


@lru_cache
def _width_in(path: Path) -> int | None:
    try:
        config = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    widths = [config[name] for name in WIDTHS if isinstance(config, dict) and isinstance(config.get(name), int)]
    return widths[0] if widths else None


def estimate_parameter_count(config: RunConfig) -> int | None:
    """About how many parameters a run has, from its encoder's sizes or files; None where only the hub would know.

    Heads and memories come to 10 to 25 H² in the six systems, and to some hundred H for types and tables.
    """
    encoder, width = config.encoder, encoder_width(config.encoder)
    if encoder.source == "scratch":
        scratch = encoder.scratch
        layer = 4 * scratch.width**2 + 2 * scratch.width * scratch.intermediate
        count = scratch.width * (scratch.vocabulary + encoder.positions) + scratch.layers * layer
    else:
        folder = _encoder_folder(encoder.source)
        kinds = ([*folder.glob(pattern)] for pattern in WEIGHTS) if folder is not None else iter(())
        count = sum(path.stat().st_size for path in next((files for files in kinds if files), [])) // 4
    return count + 20 * width**2 + 400 * width if count and width is not None else None
