"""What a file or folder holds, as a hash: how data, encoders and tokenizers enter a run's identity."""

import hashlib
import os
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from core.errors import UserError

PACKAGE = "package:"
# What may lie in a model folder without being part of the model.
IGNORED_PARTS = {".git", "__pycache__", "README.md", ".gitattributes", "onnx", "openvino"}


def content_hash(path: Path) -> str:
    """The sha256 (hex) of a file's bytes, or of the names and hashes of a folder's files.

    A file's hash is remembered by its size and time of change.
    """
    if path.is_dir():
        digest = hashlib.sha256()
        for child in sorted(path.rglob("*")):
            inside = child.relative_to(path)
            if child.is_file() and not IGNORED_PARTS.intersection(inside.parts):
                digest.update(f"{inside.as_posix()}\0{content_hash(child)}\n".encode())
        return digest.hexdigest()
    try:
        state = path.stat()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}; give the path of a file or folder that exists") from None
    return _file_hash(os.path.realpath(path), state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=4_096)
def _file_hash(path: str, size: int, modified: int) -> str:
    del size, modified  # only there so that a changed file is read anew
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hub_cache(name: str) -> Path:
    """Where the local cache of the model hub keeps a model; the folder need not be there."""
    home = Path(os.environ.get("HF_HOME", Path.home() / ".cache" / "huggingface"))
    cache = Path(os.environ.get("HF_HUB_CACHE", home / "hub"))
    return cache / f"models--{name.replace('/', '--')}"


def model_folder(source: str) -> Path | None:
    """The folder that an encoder or tokenizer source names: a local path, or a package that carries a model.

    None for a hub name. Raises a UserError for a package that is not installed or carries no model.
    """
    if source.startswith(PACKAGE):
        name = source.removeprefix(PACKAGE)
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
    path = Path(source).expanduser()
    if path.exists():
        return path
    if source.startswith(("/", ".", "~")) or source.count("/") > 1:
        raise UserError(f"encoder or tokenizer {source!r}: no such folder; give a folder, package:NAME or a hub name")
    return None
