"""Data sets: where the registered ones lie, how their files are fetched, whether these are still what they were.

A data set lies in `<data root>/<name>/`, or in the folder of the one whose files it shares. The registry is
`datasets.yaml`; where it knows no checksum of a file, the first fetch computes it, shows it and pins it in
`<file>.sha256` beside the file, and every later use is checked against that pin: this shows that a
file has not changed since, not that the first download was the right one.
"""

import gzip
import os
import sys
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import platformdirs
import pooch
import requests

from core.config.schema import DataConfig
from core.data import synthetic
from core.errors import UserError, fault
from core.files import atomic_write, content_hash, make_folder

DATA_FILES = ("train", "validation", "test", "types")
SYNTHETIC = "synthetic"
"""The generated corpus of `core.data.synthetic`: no address, no download."""


class DataFile(msgspec.Struct, frozen=True):
    """One file of a data set; a file without an address has to be put in place by the user.

    `sha256` is that of the file; where `address` names a .zip or .gz that holds it, `archive_sha256` is that of the
    archive.
    """

    name: str
    address: str | None = None
    sha256: str | None = None
    archive_sha256: str | None = None


class Dataset(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A registered data set; `train`, `validation`, `test` and `types` name files of it, None where it has none."""

    name: str
    what: str
    files: tuple[DataFile, ...]
    licence: str
    train: str
    test: str | None = None
    validation: str | None = None
    types: str | None = None
    notes: str = ""
    folder: str = ""
    """The data set in whose folder its files lie, where it is another use of that one's; empty: its own."""

    @property
    def path(self) -> Path:
        """Where its files lie."""
        return data_root() / (self.folder or self.name)


class FetchedFile(msgspec.Struct, frozen=True):
    """What became of a file: `state` is present, fetched, or no address."""

    path: Path
    state: str
    sha256: str | None = None


REGISTRY: dict[str, Dataset] = {
    entry.name: entry
    for entry in msgspec.yaml.decode(Path(__file__).with_suffix(".yaml").read_bytes(), type=list[Dataset])
}


def data_root() -> Path:
    """Where data sets lie: `ENGRAM_DATA`, else this platform's folder for user data."""
    chosen = os.environ.get("ENGRAM_DATA")
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_data_dir("engram", appauthor=False))


def find_dataset(name: str) -> Dataset:
    """The registered data set of a name; raises `UserError` for any other name."""
    try:
        return REGISTRY[name]
    except KeyError:
        raise UserError(f"data set {name} is none of {', '.join(REGISTRY)}: give one of these, or a path") from None


def resolve_paths(data: DataConfig) -> DataConfig:
    """The settings with the name of a registered data set replaced by its files, and every path made absolute.

    Raises `UserError` where a file of the data set is not there (with the command that fetches it) or has changed.
    """
    paths: dict[str, str | Path | None] = {file: getattr(data, file) for file in DATA_FILES}
    if data.name == SYNTHETIC:
        folder = make_synthetic()
        paths |= {file: folder / f"{file}.json" for file in DATA_FILES}
        paths["validation"] = folder / f"{synthetic.VALIDATION}.json"
    elif data.name is not None:
        paths |= dataset_paths(data.name)
    absolute = {file: str(Path(path).expanduser().absolute()) if path else None for file, path in paths.items()}
    return data.model_copy(update={"name": None, **absolute})


def dataset_paths(name: str) -> dict[str, Path | None]:
    """The checked paths of a data set's `train`, `validation`, `test` and `types`, None where it has no such file."""
    entry = find_dataset(name)
    paths: dict[str, Path | None] = dict.fromkeys(DATA_FILES)
    checksums = {file.name: file.sha256 for file in entry.files}
    for kind in DATA_FILES:
        if (file := getattr(entry, kind)) is not None:
            path = paths[kind] = entry.path / file
            if not path.is_file():
                raise fault(path, f"data set {name} is not there: run `engram data fetch {name}`, or put it there")
            _verify(path, checksums.get(file))
    return paths


def make_synthetic() -> Path:
    """The folder of the synthetic corpus; a file is generated where it is not there, or is not what is generated."""
    folder = _make_data_folder(data_root() / SYNTHETIC)
    for name, content in synthetic.files().items():
        path = folder / f"{name}.json"
        if not path.is_file() or path.read_bytes() != content:
            atomic_write(path, content)
    return folder


def fetch(name: str) -> Iterator[FetchedFile]:
    """Download the files of a data set one by one, each checked and pinned; those in place are only checked."""
    entry = find_dataset(name)
    for file in entry.files:
        path, state = entry.path / file.name, "present"
        if not path.exists():
            if file.address is None:
                yield FetchedFile(path, "no address")
                continue
            _fetch_file(file, file.address, _make_data_folder(entry.path) / file.name)
            state = "fetched"
        yield FetchedFile(path, state, _verify(path, file.sha256, pin_new=True))


def _make_data_folder(folder: Path) -> Path:
    make_folder(folder, "set ENGRAM_DATA to a folder of yours")
    return folder


def _fetch_file(file: DataFile, address: str, path: Path) -> None:
    archive = address.rsplit("/", 1)[-1]
    if archive == file.name or not archive.endswith((".zip", ".gz")):
        _download(address, path, file.sha256)
        return
    packed = path.parent / archive
    if not packed.exists():
        _download(address, packed, file.archive_sha256)
    atomic_write(path, _unpack(packed, file.name))


def _download(address: str, path: Path, sha256: str | None) -> None:
    """Download to `path`, whole or not at all, and with `sha256` only if the bytes have that checksum."""
    pooch.get_logger().setLevel("WARNING")  # at INFO, pooch explains its own functions
    downloader = pooch.HTTPDownloader(progressbar=sys.stderr.isatty())
    known_hash = f"sha256:{sha256}" if sha256 else None
    way_out = f"fetch again, or get the file elsewhere and put it at {path}"
    try:
        pooch.retrieve(address, known_hash=known_hash, fname=path.name, path=path.parent, downloader=downloader)
    except requests.RequestException as error:
        reason = error.response.reason if error.response is not None else type(error).__name__
        raise UserError(f"{address} cannot be downloaded ({reason}): {way_out}") from None
    except OSError as error:
        what = f"cannot be written ({error.strerror or error}); set ENGRAM_DATA to a folder of yours"
        raise UserError(f"{path}: {what}") from None
    except ValueError:  # pooch's word for another checksum
        what = f"the download's sha256 is not the {sha256} expected of {path.name}, so it was deleted"
        raise UserError(f"{address}: {what}: {way_out}") from None


def _unpack(packed: Path, name: str) -> bytes:
    """The bytes of a .gz file, or of the member `name` of a .zip in whatever folder; `UserError` where it fails."""
    try:
        if packed.suffix == ".gz":
            return gzip.decompress(packed.read_bytes())
        with zipfile.ZipFile(packed) as archive:
            for member in archive.namelist():
                # Archives made on a Mac hold a second tree of the same names.
                if member.rsplit("/", 1)[-1] == name and not member.startswith("__MACOSX"):
                    return archive.read(member)
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise UserError(f"{packed}: cannot be unpacked ({error}): delete it and fetch again") from None
    raise UserError(f"{packed}: holds no {name}: put that file into {packed.parent} yourself")


def _verify(path: Path, registered: str | None, *, pin_new: bool = False) -> str:
    """The sha256 of a file, checked against the registry or the pin; `pin_new` pins it where there is neither."""
    actual = content_hash(path)
    pin = path.with_name(path.name + ".sha256")
    expected, source = registered, "the registry"
    if expected is None and pin.is_file():
        expected, source = pin.read_text().partition(" ")[0].strip(), str(pin)
    if expected is None and pin_new:
        atomic_write(pin, f"{actual}  {path.name}\n".encode())
    elif expected not in (None, actual):
        raise fault(
            path,
            f"its sha256 is {actual}, but {source} says {expected}: delete the file and fetch again, or give your own "
            "file by its path instead of the data set's name",
        )
    return actual
