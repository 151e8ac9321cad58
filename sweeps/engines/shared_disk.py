"""Lock test of a disk that hosts share: a lock that a node holds must be seen held by the driver.

Without that (NFS mounted `nolock`, Lustre mounted `localflock`) two hosts would compute one run, and a run that is
under way on a node would look killed.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import UserError
from core.files import LOCK_FILE, is_locked, make_folder


@contextmanager
def lock_probe(parent: Path) -> Iterator[Path]:
    """A folder of its own for a node to lock (`core.files.lock_folder`), deleted afterwards."""
    make_folder(parent, "give a folder that is yours, on a disk that all nodes share (--runs DIR)")
    with tempfile.TemporaryDirectory(prefix="lock-test-", dir=parent, ignore_cleanup_errors=True) as folder:
        # A file that another host makes may stay unseen for a minute.
        (Path(folder) / LOCK_FILE).touch()
        yield Path(folder)


def refuse_unseen_lock(probe: Path, host: str) -> None:
    """Raise a UserError where the lock that a host holds on a probe is not seen here."""
    if not is_locked(probe):
        raise UserError(
            f"{probe.parent} was locked on {host}, but this host does not see it: two hosts would compute one run. "
            "Mount that disk with locks that all hosts share (NFS without nolock and local_lock, Lustre with flock), "
            "or give a folder on another one (--runs DIR)"
        )
