"""Names to files: where registered data sets lie, how they get there, whether they are what they were.

A data set lies in `<data root>/<name>/`. Its checksums are the registry's where they are known; where they are not, the
first fetch computes the checksum, shows it and pins it in `<file>.sha256` beside the file, and every later use is held
against that pin: this shows that a file has not changed since, not that the first download was the right one.

A file from an address: resumed where it broke off, checked, and only then given its name.

The bytes collect in `<name>.part`; a broken download leaves them there and the next one asks for the rest (HTTP Range).
pooch does the checking and the renaming.

The registered data sets: what they are, where they come from, under which licence.

Checksums are those of the copies that the tests are run on, or those that the host itself publishes; None where neither
is known (`core.data.datasets` says what happens then).
"""

import gzip
import os
import sys
import time
import zipfile
import zlib
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import msgspec
import platformdirs
import pooch
import requests
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from core.config.schema import DataConfig
from core.data import synthetic
from core.data.parsing import fault
from core.data.splits import Splits, load_splits, validation_split
from core.errors import UserError
from core.files import atomic_write, content_hash, make_folder


class DataFile(msgspec.Struct, frozen=True):
    """One file of a data set.

    `sha256` is that of the file; where `address` names a .zip or .gz that holds it, `archive_sha256` is that of the
    archive. Without an address the user has to put the file in place.
    """

    name: str
    address: str | None = None
    sha256: str | None = None
    archive_sha256: str | None = None


class Dataset(msgspec.Struct, frozen=True):
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


_JEREX = "http://lavis.cs.hs-rm.de/storage/jerex/public/datasets"
_DOCRED = "https://huggingface.co/datasets/thunlp/docred/resolve/main/data"
_REDOCRED = "https://raw.githubusercontent.com/tonytan48/Re-DocRED/main/data"
_CDR = "https://huggingface.co/datasets/bigbio/bc5cdr/resolve/main/CDR_Data.zip"
_CDR_SHA256 = "0a359a7f038d283a7b05b084fa73de014e7410e1f5d7034bf3fd01f016fc2444"

REGISTRY: dict[str, Dataset] = {
    entry.name: entry
    for entry in (
        Dataset(
            name="docred-joint",
            what="DocRED in JEREX's end-to-end split: 3,008 training, 300 validation, 700 test documents",
            files=(
                DataFile("train_joint.json", f"{_JEREX}/docred_joint/train_joint.json"),
                DataFile(
                    "dev_joint.json",
                    f"{_JEREX}/docred_joint/dev_joint.json",
                    "7dc0666a2a7b3b11358b983588508a23294f0d1e5fba76ab4ce7112180acdafd",
                ),
                DataFile(
                    "test_joint.json",
                    f"{_JEREX}/docred_joint/test_joint.json",
                    "f7872af697e8a887efcf2f3381bb815e791e9488186dd17167894808c89385ed",
                ),
                DataFile(
                    "types.json",
                    f"{_JEREX}/docred_joint/types.json",
                    "25fdad38ef574a60e632c483b15812a80754a39964c01c3891939fc6ac8c8ac3",
                ),
            ),
            licence="MIT (DocRED and JEREX)",
            train="train_joint.json",
            validation="dev_joint.json",
            test="test_joint.json",
            types="types.json",
            notes="The host is JEREX's own and not always up. `engram data build-split` makes train_joint.json from "
            "DocRED's own train_annotated.json and dev.json.",
        ),
        Dataset(
            name="docred",
            what="DocRED: 3,053 training and 998 validation documents; its test part has no public labels",
            files=(
                DataFile("train_annotated.json", f"{_DOCRED}/train_annotated.json.gz"),
                DataFile("dev.json", f"{_DOCRED}/dev.json.gz"),
                DataFile("types.json", f"{_JEREX}/docred/types.json"),
            ),
            licence="MIT",
            train="train_annotated.json",
            validation="dev.json",
            types="types.json",
            notes="Holds documents of docred-joint's test part: never train on the one and test on the other.",
        ),
        Dataset(
            name="redocred",
            what="Re-DocRED: DocRED with revised labels, 3,053 training, 500 validation, 500 test documents",
            files=(
                DataFile("train_revised.json", f"{_REDOCRED}/train_revised.json"),
                DataFile(
                    "dev_revised.json",
                    f"{_REDOCRED}/dev_revised.json",
                    "051ee1d057204a5d08ef5502beacdadf191245b5eaf0e29ec2c607cf002c016f",
                ),
                DataFile("test_revised.json", f"{_REDOCRED}/test_revised.json"),
            ),
            licence="MIT",
            train="train_revised.json",
            validation="dev_revised.json",
            test="test_revised.json",
            notes="About 2.8 times as many relations as DocRED: never mix the two labellings. Types are inferred from "
            "training unless a types file is given.",
        ),
        Dataset(
            name="cdr",
            what="BioCreative V CDR: chemicals, diseases and CID relations in 500 + 500 + 500 PubMed abstracts",
            files=(
                DataFile(
                    "CDR_TrainingSet.PubTator.txt",
                    _CDR,
                    "7afcec134e3d4871e74b0398d92850d3c9ac94c0bdc780003f2d60184c012bd8",
                    _CDR_SHA256,
                ),
                DataFile(
                    "CDR_DevelopmentSet.PubTator.txt",
                    _CDR,
                    "9e18d8e700168887a7919e62f67ac2ce2357e3f409a48ee992906abdd80fe3e5",
                    _CDR_SHA256,
                ),
                DataFile("CDR_TestSet.PubTator.txt", _CDR, None, _CDR_SHA256),
            ),
            licence="public domain (a United States Government work)",
            train="CDR_TrainingSet.PubTator.txt",
            validation="CDR_DevelopmentSet.PubTator.txt",
            test="CDR_TestSet.PubTator.txt",
            notes="biocreative.org is offline; the address is the copy of the BigBio project, with its checksum.",
        ),
    )
}


CHUNK = 1 << 13  # bytes; a transfer that breaks off loses the chunk it is in
TIMEOUT = (10, 60)  # seconds: to connect, between two packets
ATTEMPTS = 3


def download(address: str, path: Path, *, sha256: str | None = None, attempts: int = ATTEMPTS) -> None:
    """Bring `address` to `path`; with `sha256` (hex) only if the bytes have that checksum.

    Raises `UserError` where the host cannot be reached, the transfer broke off `attempts` times, or the checksum is
    another one (then nothing is left at `path` and the next download starts anew).
    """
    # pooch says at INFO how to use its own functions, which is no news to the user of a command.
    pooch.get_logger().setLevel("WARNING")
    part = path.with_name(path.name + ".part")
    try:
        pooch.retrieve(
            address,
            known_hash=f"sha256:{sha256}" if sha256 else None,
            fname=path.name,
            path=path.parent,
            downloader=_Resuming(part, attempts),
        )
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written ({error.strerror or error}); set ENGRAM_DATA to a folder of yours"
        ) from None
    except ValueError as error:
        if "does not match the known hash" not in str(error):
            raise
        raise UserError(
            f"{address}: the download's sha256 is not the {sha256} expected of {path.name}, so it was thrown away: "
            f"fetch again; if that repeats, the host serves another file: put the right one at {path}"
        ) from None


def unpack(packed: Path, name: str) -> bytes:
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


class _Resuming:
    """A pooch downloader that appends to one `.part` file over attempts, runs and processes."""

    def __init__(self, part: Path, attempts: int) -> None:
        self._part = part
        # What identifies the version of the remote file that the part came from.
        self._tag = part.with_name(part.name + ".tag")
        self._attempts = attempts

    def __call__(self, url: str, output_file: str, pooch: Any) -> None:
        for attempt in range(1, self._attempts + 1):
            try:
                self._transfer(url)
                break
            except (requests.exceptions.ChunkedEncodingError, requests.exceptions.ConnectionError) as error:
                held = self._part.stat().st_size if self._part.exists() else 0
                if attempt < self._attempts:
                    time.sleep(0.2 * attempt)
                elif held:
                    raise UserError(
                        f"{url}: the transfer broke off after {held} bytes: fetch again to get the rest"
                    ) from None
                else:
                    raise _unreachable(url, error) from None
            except requests.exceptions.RequestException as error:
                raise _unreachable(url, error) from None
        self._part.replace(output_file)
        self._tag.unlink(missing_ok=True)

    def _transfer(self, url: str) -> None:
        held = self._part.stat().st_size if self._part.exists() else 0
        # Without identity a host may compress on the way, and byte positions would mean something else.
        headers = {"Accept-Encoding": "identity"}
        if held:
            headers["Range"] = f"bytes={held}-"
            if self._tag.exists():
                headers["If-Range"] = self._tag.read_text()
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
            if response.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and held:
                if response.headers.get("Content-Range", "").endswith(f"/{held}"):
                    return
                self._part.unlink()
                raise requests.exceptions.ConnectionError("the part is longer than the file")
            if response.status_code >= HTTPStatus.BAD_REQUEST:
                raise UserError(
                    f"{url}: the host answered {response.status_code} {response.reason}: the address may have moved; "
                    f"get the file elsewhere and put it at {self._part.with_suffix('')}"
                )
            goes_on = response.status_code == HTTPStatus.PARTIAL_CONTENT and response.headers.get(
                "Content-Range", ""
            ).startswith(f"bytes {held}-")
            tag = response.headers.get("ETag", response.headers.get("Last-Modified", ""))
            if tag and not tag.startswith("W/"):  # a weak tag must not be used for ranges (RFC 9110, 13.1.5)
                self._tag.write_text(tag)
            else:
                self._tag.unlink(missing_ok=True)
            self._collect(response, held if goes_on else 0)

    def _collect(self, response: requests.Response, held: int) -> None:
        length = response.headers.get("Content-Length")
        total = held + int(length) if length and length.isdecimal() else None
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
        console = Console(stderr=True)
        with (
            self._part.open("ab" if held else "wb") as file,
            Progress(*columns, console=console, disable=not sys.stderr.isatty()) as progress,
        ):
            task = progress.add_task(self._part.stem, total=total, completed=held)
            for chunk in response.iter_content(CHUNK):
                file.write(chunk)
                # A killed process, too, is to lose no more than a chunk.
                file.flush()
                progress.advance(task, len(chunk))


def _unreachable(url: str, error: Exception) -> UserError:
    reason = type(error).__name__
    return UserError(
        f"{url}: the host cannot be reached ({reason}): check the network and fetch again, or get the files elsewhere "
        "and put them where `engram data list` says"
    )


__all__ = [
    "FetchedFile",
    "Splits",
    "content_hash",
    "data_root",
    "dataset",
    "fetch",
    "load_splits",
    "locate",
    "resolve_paths",
    "split_paths",
    "validation_split",
]

PARTS = ("train", "validation", "test", "types")
OWN_FOLDER = "set ENGRAM_DATA to a folder of yours"
SYNTHETIC = "synthetic"
"""The generated corpus of `core.data.synthetic`: no address, no download."""


class FetchedFile(msgspec.Struct, frozen=True):
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


def resolve_paths(data: DataConfig) -> DataConfig:
    """The settings with the name of a registered data set replaced by its files, and every path made absolute."""
    paths: dict[str, str | Path | None] = {part: getattr(data, part) for part in PARTS}
    if data.name == SYNTHETIC:
        paths |= synthetic_paths()
    elif data.name is not None:
        paths |= split_paths(data.name)
    told = {part: str(Path(path).expanduser().absolute()) if path else None for part, path in paths.items()}
    return data.model_copy(update={"name": None, **told})


def synthetic_paths() -> dict[str, Path]:
    """The files of the embedded corpus, generated where they are not there, or are not what is generated."""
    folder = data_root() / SYNTHETIC
    make_folder(folder, OWN_FOLDER)
    paths = {}
    for name, content in synthetic.files().items():
        path = folder / f"{name}.json"
        if not path.is_file() or path.read_bytes() != content:
            atomic_write(path, content)
        paths[name] = path
    return paths


def fetch(name: str) -> Iterator[FetchedFile]:
    """Bring the files of a data set into place one by one, each checked and pinned; files in place are only checked."""
    folder = data_root() / name
    for file in dataset(name).files:
        path = folder / file.name
        state = "present"
        if not path.exists():
            if file.address is None:
                yield FetchedFile(path, "no address")
                continue
            make_folder(folder, OWN_FOLDER)
            _bring(file, file.address, path)
            state = "fetched"
        yield FetchedFile(path, state, _verify(path, file.sha256, pin_new=True))


def _bring(file: DataFile, address: str, path: Path) -> None:
    archive = address.rsplit("/", 1)[-1]
    if archive == file.name or not archive.endswith((".zip", ".gz")):
        download(address, path, sha256=file.sha256)
        return
    packed = path.parent / archive
    if not packed.exists():
        download(address, packed, sha256=file.archive_sha256)
    atomic_write(path, unpack(packed, file.name))


def _verify(path: Path, registered: str | None, *, pin_new: bool = False) -> str:
    """The sha256 of a file, held against the registry or the pin; `pin_new` pins it where there is neither."""
    found = content_hash(path)
    pin = path.with_name(path.name + ".sha256")
    expected, source = registered, "the registry"
    if expected is None and pin.is_file():
        expected, source = pin.read_text().partition(" ")[0].strip(), str(pin)
    if expected is None and pin_new:
        atomic_write(pin, f"{found}  {path.name}\n".encode())
    elif expected not in (None, found):
        raise fault(
            path,
            f"its sha256 is {found}, but {source} says {expected}: delete the file and fetch again, or give your own "
            "file by its path instead of the data set's name",
        )
    return found
