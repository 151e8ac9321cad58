"""A file from an address: resumed where it broke off, checked, and only then given its name.

The bytes collect in `<name>.part`; a broken download leaves them there and the next one asks for the rest (HTTP Range).
pooch does the checking and the renaming.
"""

import gzip
import sys
import time
import zipfile
import zlib
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pooch
import requests
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from core.errors import UserError

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
