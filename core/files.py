"""Files and folders: written whole or not at all, locked while a process computes them, hashed by their content."""

import errno
import fcntl
import hashlib
import os
import secrets
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import msgspec
from filelock import FileLock, Timeout

from core.errors import FULL_DISK, UserError
from core.input_files import check_regular_file, named_file_errors, open_file

Content = TypeVar("Content")

TEMPORARY_MARK = ".aside."
LOCK_FILE, HOLDER_FILE = ".lock", ".holder"
PATIENCE_SECONDS = 0.5
"""How long a lock is tried for: whoever only asks whether a folder is locked has the lock for a moment."""
SILENT_SECONDS = 600.0
"""After how long a temporary file of another host, which nobody can ask, counts as left behind."""
NOT_CONTENT = {".git", "__pycache__", "README.md", ".gitattributes", "onnx", "openvino"}
"""Names that may lie in a model's folder without being part of the model."""


def make_folder(folder: Path, way_out: str) -> None:
    """Make a folder and those above it; a UserError says why not, and then the way out."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder} cannot be made ({error.strerror}): {way_out}") from None


def existing_folder(folder: Path) -> Path:
    """A folder, or of one that is not there yet the nearest above it that is."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())


def free_bytes(folder: Path) -> int:
    """What is free on the disk of a folder, also of one that is not there yet."""
    return shutil.disk_usage(existing_folder(folder)).free


def check_writable(folder: Path, way_out: str) -> None:
    """Raise a UserError where nothing can be written into a folder, or where it would be made; leaves nothing there."""
    try:
        with tempfile.TemporaryFile(dir=existing_folder(folder)):
            return
    except OSError as error:
        raise UserError(f"{folder} cannot be made or written ({error.strerror}): {way_out}") from None


def temporary_path(path: Path) -> Path:
    """Where a file or folder is written before it is renamed to `path`: next to it, the writer in its name."""
    return path.with_name(f".{path.name}{TEMPORARY_MARK}{os.getpid()}@{_host()}")


def _host() -> str:
    # Dots divide the parts of a temporary file's name.
    return socket.gethostname().replace(".", "-")


def check_file_path(path: Path) -> None:
    """Raise a UserError for a path at which no file can be, before any work is done for it."""
    if path.is_dir():
        raise UserError(f"{path} is a folder: give the path of a file")
    if not path.parent.is_dir():
        raise UserError(f"{path}: there is no folder {path.parent}: make it first (mkdir -p {path.parent})")


def atomic_write(path: Path | str, content: bytes) -> None:
    """Write bytes to a temporary file and rename it to `path`.

    Raises a UserError where the folder is missing, full or not writable; an earlier file then stays as it was.
    """
    path = Path(path)
    check_file_path(path)
    temporary = Path(f"{temporary_path(path)}.{secrets.token_hex(4)}")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except OSError as error:
        way_out = "free some space" if error.errno in FULL_DISK else "give a path in a folder that is yours"
        raise UserError(f"{path} cannot be written ({error.strerror}): {way_out}") from None
    finally:
        with suppress(OSError):
            temporary.unlink()


def write_json(path: Path, content: object) -> None:
    """Write an object that msgspec knows as indented JSON, whole or not at all."""
    atomic_write(path, msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n")


def format_size(size: int | float) -> str:
    """Bytes as messages write them: `12.3 MiB`, from a GiB on `1.2 GiB`."""
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.1f} MiB"


def delete(path: Path, *, within: Path) -> None:
    """Delete a file or folder below the folder `within`, unless a symbolic link leads to it: that may be anybody's."""
    if has_link(path, within=within):
        return
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def has_link(path: Path, *, within: Path) -> bool:
    """Whether a path below the folder `within` is a symbolic link, or lies behind one."""
    steps = path.relative_to(within).parts
    return any(within.joinpath(*steps[: number + 1]).is_symlink() for number in range(len(steps)))


def delete_leftovers(folder: Path) -> None:
    """Delete the temporary files of processes that were killed while writing into a folder."""
    for path in folder.glob(f".*{TEMPORARY_MARK}*"):
        process, _, host = path.name.partition(TEMPORARY_MARK)[2].partition(".")[0].partition("@")
        if not _is_writing(process, host or _host(), path):
            delete(path, within=folder)


def _is_writing(process: str, host: str, path: Path) -> bool:
    """Whether another process may still write what it has begun; of another host's, whether it has changed of late."""
    try:
        if host != _host():
            return time.time() - path.stat().st_mtime < SILENT_SECONDS
        os.kill(int(process), 0)
    except (ProcessLookupError, FileNotFoundError, ValueError, OverflowError):
        return False
    except PermissionError:
        return True
    return int(process) != os.getpid()


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Lock a folder, so that no two processes compute it; the lock dies with its process.

    A UserError names the process that holds the lock already.
    """
    lock = FileLock(folder / LOCK_FILE)
    try:
        lock.acquire(timeout=PATIENCE_SECONDS, poll_interval=0.01)
    except Timeout:
        raise UserError(
            f"{folder} is being computed by {_lock_holder(folder)}: wait for it, or stop that process; nothing was "
            "changed"
        ) from None
    except OSError as error:
        raise UserError(
            f"{folder} cannot be locked ({error.strerror}): give a folder that is yours (--runs DIR)"
        ) from None
    try:
        # Only for the message above: a full disk is no reason to stop.
        with suppress(OSError):
            (folder / HOLDER_FILE).write_text(f"process {os.getpid()} on {socket.gethostname()}")
        yield
    finally:
        with suppress(OSError):
            (folder / HOLDER_FILE).unlink()
        lock.release()


def _lock_holder(folder: Path) -> str:
    try:
        return (folder / HOLDER_FILE).read_text()
    except OSError:
        return "another process"


def is_locked(folder: Path) -> bool:
    """Whether some process computes this folder now; those who ask do not disturb one another."""
    try:
        try:
            descriptor = os.open(folder / LOCK_FILE, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            if error.errno != errno.ESTALE:
                raise
            # Another host has made the folder anew: its name leads to the new one.
            descriptor = os.open(folder / LOCK_FILE, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError as error:
        return error.errno != errno.ENOTDIR
    try:
        # Shared and read-only: also someone who may only read the folder may ask.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        # Where a disk has no locks, nobody holds one.
        return error.errno in (errno.EAGAIN, errno.EWOULDBLOCK)
    finally:
        os.close(descriptor)
    return False


def was_killed(folder: Path) -> bool:
    """Whether the last process that locked a folder ended without unlocking it."""
    return (folder / HOLDER_FILE).exists() and not is_locked(folder)


def content_hash(path: Path) -> str:
    """The sha256 (hex) of a file's bytes, or of the names and hashes of a folder's files."""
    if path.is_dir():
        digest = hashlib.sha256()
        for child in sorted(path.rglob("*")):
            inside = child.relative_to(path)
            if child.is_file() and not NOT_CONTENT.intersection(inside.parts):
                digest.update(f"{inside.as_posix()}\0{content_hash(child)}\n".encode())
        return digest.hexdigest()
    return file_hash(path)


def file_hash(path: Path) -> str:
    """The sha256 (hex) of a file's bytes, remembered by size and time of change; `UserError` for what is no file."""
    check_regular_file(path)
    state = path.stat()
    return _file_hash(os.path.realpath(path), state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=4_096)
def _file_hash(path: str, size: int, modified: int) -> str:
    del size, modified  # only there so that a changed file is read again
    with open_file(path) as file, named_file_errors(path):
        return hashlib.file_digest(file, "sha256").hexdigest()
