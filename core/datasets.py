"""Names to files: where registered data sets lie, how they get there, whether they are what they were.

A data set lies in `<data root>/<name>/`. Its checksums are the registry's where they are known; where they are not, the
first fetch computes the checksum, shows it and pins it in `<file>.sha256` beside the file, and every later use is held
against that pin: this shows that a file has not changed since, not that the first download was the right one.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import platformdirs

from core import synthetic
from core.config import DataConfig
from core.contents import content_hash
from core.download import download, unpack
from core.errors import UserError
from core.readers.source import fault
from core.registry import REGISTRY, DataFile, Dataset
from core.replacing import make_folder, replace_file
from core.splits import Splits, load_splits, validation_split

__all__ = [
    "Fetched",
    "Splits",
    "content_hash",
    "data_root",
    "dataset",
    "fetch",
    "load_splits",
    "locate",
    "split_paths",
    "validation_split",
    "with_paths",
]

PARTS = ("train", "validation", "test", "types")
OWN_FOLDER = "set ENGRAM_DATA to a folder of yours"
EMBEDDED = "synthetic"
"""The generated corpus of `core.synthetic`: no address, no download."""


class Fetched(msgspec.Struct, frozen=True):
    """What became of a file: `state` is present, fetched, or no address."""

    path: Path
    state: str
    sha256: str | None = None


def data_root() -> Path:
    """Where data sets lie: `ENGRAM_DATA`, else this platform's folder for user data."""
    chosen = os.environ.get("ENGRAM_DATA")
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_data_dir("engram", appauthor=False))


def dataset(name: str) -> Dataset:
    """The registered data set of a name; raises `UserError` for any other name."""
    try:
        return REGISTRY[name]
    except KeyError:
        raise UserError(f"data set {name} is none of {', '.join(REGISTRY)}: give one of these, or a path") from None


def locate(name: str, file: str | None) -> Path | None:
    """The path of a data set's file, checked against its checksum; None for None.

    Raises `UserError` where the file is not there (with the command that fetches it) or is not what it was.
    """
    if file is None:
        return None
    entry = dataset(name)
    path = data_root() / name / file
    if not path.is_file():
        raise fault(path, f"data set {name} is not there: run `engram data fetch {name}`, or put the file there")
    _verify(path, next((item.sha256 for item in entry.files if item.name == file), None))
    return path


def split_paths(name: str) -> dict[str, Path | None]:
    """The checked paths of a data set's `train`, `validation`, `test` and `types`, as `load_splits` takes them."""
    entry = dataset(name)
    return {part: locate(name, getattr(entry, part)) for part in PARTS}


def with_paths(data: DataConfig) -> DataConfig:
    """The settings with the name of a registered data set replaced by its files, and every path made absolute."""
    paths: dict[str, str | Path | None] = {part: getattr(data, part) for part in PARTS}
    if data.name == EMBEDDED:
        paths |= embedded_paths()
    elif data.name is not None:
        paths |= split_paths(data.name)
    told = {part: str(Path(path).expanduser().absolute()) if path else None for part, path in paths.items()}
    return data.model_copy(update={"name": None, **told})


def embedded_paths() -> dict[str, Path]:
    """The files of the embedded corpus, generated where they are not there, or are not what is generated."""
    folder = data_root() / EMBEDDED
    make_folder(folder, OWN_FOLDER)
    paths = {}
    for name, content in synthetic.files().items():
        path = folder / f"{name}.json"
        if not path.is_file() or path.read_bytes() != content:
            replace_file(path, content)
        paths[name] = path
    return paths


def fetch(name: str) -> Iterator[Fetched]:
    """Bring the files of a data set into place one by one, each checked and pinned; files in place are only checked."""
    folder = data_root() / name
    for file in dataset(name).files:
        path = folder / file.name
        state = "present"
        if not path.exists():
            if file.address is None:
                yield Fetched(path, "no address")
                continue
            make_folder(folder, OWN_FOLDER)
            _bring(file, file.address, path)
            state = "fetched"
        yield Fetched(path, state, _verify(path, file.sha256, pin_new=True))


def _bring(file: DataFile, address: str, path: Path) -> None:
    archive = address.rsplit("/", 1)[-1]
    if archive == file.name or not archive.endswith((".zip", ".gz")):
        download(address, path, sha256=file.sha256)
        return
    packed = path.parent / archive
    if not packed.exists():
        download(address, packed, sha256=file.archive_sha256)
    replace_file(path, unpack(packed, file.name))


def _verify(path: Path, registered: str | None, *, pin_new: bool = False) -> str:
    """The sha256 of a file, held against the registry or the pin; `pin_new` pins it where there is neither."""
    found = content_hash(path)
    pin = path.with_name(path.name + ".sha256")
    expected, source = registered, "the registry"
    if expected is None and pin.is_file():
        expected, source = pin.read_text().partition(" ")[0].strip(), str(pin)
    if expected is None and pin_new:
        replace_file(pin, f"{found}  {path.name}\n".encode())
    elif expected not in (None, found):
        raise fault(
            path,
            f"its sha256 is {found}, but {source} says {expected}: delete the file and fetch again, or give your own "
            "file by its path instead of the data set's name",
        )
    return found
