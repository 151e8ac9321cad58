"""A file that is there whole or not at all."""

import os
import tempfile
from pathlib import Path

from core.errors import UserError


def make_folder(folder: Path, way_out: str) -> None:
    """Make a folder and those above it; a UserError says why not, and then the way out."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder} cannot be made ({error.strerror}): {way_out}") from None


def replace_file(path: Path | str, content: bytes) -> None:
    """Write bytes beside `path` and rename over it; raises `UserError` where the folder is missing or not writable."""
    path = Path(path)
    if path.is_dir():
        raise UserError(f"{path}: is a folder, and one file is to be written: give the path of a file")
    if not path.parent.is_dir():
        raise UserError(f"{path}: there is no folder {path.parent}: make it first (mkdir -p {path.parent})")
    aside = None
    try:
        descriptor, aside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        # mkstemp makes files private; results follow the umask like any other file.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(aside, 0o666 & ~umask)
        os.replace(aside, path)
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written ({error.strerror}): give a path in a folder that is yours"
        ) from None
    finally:
        if aside is not None and os.path.exists(aside):
            os.unlink(aside)
