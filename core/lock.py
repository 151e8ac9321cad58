"""A lock on a run folder that dies with its process: two processes never compute one run."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from core.errors import UserError

LOCK, HOLDER = ".lock", ".holder"


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Hold a folder while this lasts; a UserError names the process that holds it already."""
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(
            f"{folder} is being computed by {holder_of(folder)}: wait for it, or stop that process; nothing was changed"
        ) from None
    except OSError as error:
        raise UserError(
            f"{folder} cannot be locked ({error.strerror}): give a folder that is yours (--runs DIR)"
        ) from None
    try:
        (folder / HOLDER).write_text(f"process {os.getpid()} on {socket.gethostname()}")
        yield
    finally:
        (folder / HOLDER).unlink(missing_ok=True)
        lock.release()


def is_held(folder: Path) -> bool:
    """Whether some process computes this folder now."""
    if not (folder / LOCK).exists():
        return False
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except (Timeout, OSError):
        return True
    lock.release()
    return False


def holder_of(folder: Path) -> str:
    """The process that holds a folder, as far as it said."""
    try:
        return (folder / HOLDER).read_text()
    except OSError:
        return "another process"
