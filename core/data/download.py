"""Download of a file: resumed where it broke off, checked, and only then given its name.

The bytes collect in `<name>.part`, and the next attempt or command asks the host for the rest (HTTP Range). pooch
checks and renames.
"""

import time
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pooch
import requests

from core.errors import UserError
from core.progress import progress_bar

CHUNK = 1 << 13  # bytes; a transfer that breaks off loses the chunk it is in
TIMEOUT = (10, 60)  # seconds: to connect, between two packets


def download(address: str, path: Path, *, sha256: str | None = None, attempts: int = 3) -> None:
    """Download `address` to `path`; with `sha256` (hex) only if the bytes have that checksum.

    Raises `UserError` where the host cannot be reached, the transfer broke off `attempts` times, or the checksum is
    another one (then nothing is left at `path` and the next download begins again).
    """
    # At INFO, pooch explains its own functions, which is no news to the user of a command.
    pooch.get_logger().setLevel("WARNING")
    known_hash = f"sha256:{sha256}" if sha256 else None
    downloader = _ResumingDownloader(path, attempts)
    try:
        pooch.retrieve(address, known_hash=known_hash, fname=path.name, path=path.parent, downloader=downloader)
    except requests.RequestException as error:
        elsewhere = f"get the file elsewhere and put it at {path}"
        if error.response is not None:
            answer = f"{error.response.status_code} {error.response.reason}"
            what = f"the host answered {answer}: the address may have moved; {elsewhere}"
        elif size := downloader.part_size():
            what = f"the transfer broke off after {size} bytes: fetch again to get the rest"
        else:
            reason = type(error).__name__
            what = f"the host cannot be reached ({reason}): check the network and fetch again, or {elsewhere}"
        raise UserError(f"{address}: {what}") from None
    except OSError as error:
        what = f"cannot be written ({error.strerror or error}); set ENGRAM_DATA to a folder of yours"
        raise UserError(f"{path}: {what}") from None
    except ValueError as error:
        if "does not match the known hash" not in str(error):
            raise
        raise UserError(
            f"{address}: the download's sha256 is not the {sha256} expected of {path.name}, so it was deleted: "
            f"fetch again; if that repeats, the host serves another file: put the right one at {path}"
        ) from None


class _ResumingDownloader:
    """A pooch downloader that appends to one `.part` file over attempts, runs and processes."""

    def __init__(self, path: Path, attempts: int) -> None:
        self._part = path.with_name(path.name + ".part")
        # What identifies the version of the remote file that the part came from.
        self._tag = path.with_name(path.name + ".part.tag")
        self._attempts = attempts

    def part_size(self) -> int:
        return self._part.stat().st_size if self._part.exists() else 0

    def __call__(self, url: str, output_file: str, pooch: Any) -> None:
        for attempt in range(1, self._attempts + 1):
            try:
                self._transfer(url)
                break
            except (requests.exceptions.ChunkedEncodingError, requests.exceptions.ConnectionError):
                if attempt == self._attempts:
                    raise
                time.sleep(0.2 * attempt)
        self._part.replace(output_file)
        self._tag.unlink(missing_ok=True)

    def _transfer(self, url: str) -> None:
        size = self.part_size()
        # Without identity a host may compress on the way, and byte positions would mean something else.
        headers = {"Accept-Encoding": "identity"}
        if size:
            headers["Range"] = f"bytes={size}-"
            if self._tag.exists():
                headers["If-Range"] = self._tag.read_text()
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
            if response.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and size:
                self._part.unlink()
                raise requests.exceptions.ConnectionError("the part is not shorter than the file")
            response.raise_for_status()
            tag = response.headers.get("ETag", response.headers.get("Last-Modified", ""))
            if tag and not tag.startswith("W/"):  # a weak tag must not be used for ranges (RFC 9110, 13.1.5)
                self._tag.write_text(tag)
            else:
                self._tag.unlink(missing_ok=True)
            if not response.headers.get("Content-Range", "").startswith(f"bytes {size}-"):
                size = 0
            length = response.headers.get("Content-Length", "")
            total = size + int(length) if length.isdecimal() else None
            with (
                self._part.open("ab" if size else "wb") as file,
                progress_bar(self._part.stem, total, done=size, unit="bytes") as progress,
            ):
                for chunk in response.iter_content(CHUNK):
                    file.write(chunk)
                    # A killed process, too, is to lose no more than a chunk.
                    file.flush()
                    progress.advance(len(chunk))
