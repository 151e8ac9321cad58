"""A lock on a run folder that dies with its process: two processes never compute one run."""

import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from core.errors import UserError

LOCK, HOLDER = ".lock", ".holder"
PATIENCE_SECONDS = 0.5
"""How long a lock is tried for: whoever only asks whether a folder is held has the lock for a moment."""


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Hold a folder while this lasts; a UserError names the process that holds it already."""
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=PATIENCE_SECONDS, poll_interval=0.01)
    except Timeout:
        raise UserError(
            f"{folder} is being computed by {holder_of(folder)}: wait for it, or stop that process; nothing was changed"
        ) from None
    except OSError as error:
        raise UserError(
            f"{folder} cannot be locked ({error.strerror}): give a folder that is yours (--runs DIR)"
        ) from None
    try:
        # Only told to those who are refused: a full disk is no reason not to go on.
        with suppress(OSError):
            (folder / HOLDER).write_text(f"process {os.getpid()} on {socket.gethostname()}")
        yield
    finally:
        with suppress(OSError):
            (folder / HOLDER).unlink()
        lock.release()


def is_held(folder: Path) -> bool:
    """Whether some process computes this folder now; those who ask do not disturb one another."""
    try:
        descriptor = os.open(folder / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError as error:
        return error.errno != errno.ENOTDIR
    try:
        # Shared and read-only: also someone who may only read the folder may ask.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def was_killed(folder: Path) -> bool:
    """Whether the last process that held a folder ended without letting go of it."""
    return (folder / HOLDER).exists() and not is_held(folder)


def holder_of(folder: Path) -> str:
    """The process that holds a folder, as far as it said."""
    try:
        return (folder / HOLDER).read_text()
    except OSError:
        return "another process"
