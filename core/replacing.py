"""A file that is there whole or not at all, and what a process that was killed while writing leaves beside it."""

import errno
import os
import shutil
import tempfile
from pathlib import Path

from core.errors import UserError

ASIDE = ".aside."
FULL = (errno.ENOSPC, errno.EDQUOT)


def make_folder(folder: Path, way_out: str) -> None:
    """Make a folder and those above it; a UserError says why not, and then the way out."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder} cannot be made ({error.strerror}): {way_out}") from None


def aside_of(path: Path) -> Path:
    """Where a file or folder is written before it is renamed to `path`: beside it, under a name that says by whom."""
    return path.with_name(f".{path.name}{ASIDE}{os.getpid()}")


def replace_file(path: Path | str, content: bytes) -> None:
    """Write bytes beside `path` and rename over it; raises `UserError` where the folder is missing or not writable."""
    path = Path(path)
    if path.is_dir():
        raise UserError(f"{path}: is a folder, and one file is to be written: give the path of a file")
    if not path.parent.is_dir():
        raise UserError(f"{path}: there is no folder {path.parent}: make it first (mkdir -p {path.parent})")
    aside = None
    try:
        descriptor, aside = tempfile.mkstemp(dir=path.parent, prefix=f"{aside_of(path).name}.")
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        # mkstemp makes files private; results follow the umask like any other file.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(aside, 0o666 & ~umask)
        os.replace(aside, path)
    except OSError as error:
        way_out = "free some space" if error.errno in FULL else "give a path in a folder that is yours"
        raise UserError(f"{path}: cannot be written ({error.strerror}): {way_out}") from None
    finally:
        if aside is not None and os.path.exists(aside):
            os.unlink(aside)


def sweep(folder: Path) -> None:
    """Delete what processes that were killed while writing into a folder have left in it; what lives keeps its own."""
    for path in folder.glob(f".*{ASIDE}*"):
        writer = path.name.partition(ASIDE)[2].partition(".")[0]
        if writer == str(os.getpid()) or not _lives(writer):
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def _lives(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except (ProcessLookupError, ValueError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
