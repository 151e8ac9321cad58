"""Lock test of a disk that hosts share: a lock that a node holds must be seen held by the driver.

Without that (NFS mounted `nolock`, Lustre mounted `localflock`) two hosts would compute one run, and a run that is
under way on a node would look killed. `python -m sweeps.engines.shared_disk PROBE` holds the lock on a node.
"""

import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import UserError
from core.files import LOCK_FILE, is_locked, lock_folder, make_folder

CACHE_SECONDS = 60.0
"""How long a host may not see what another one has written, as NFS remembers what it has read."""
HOLD_SECONDS, MOST_POLL_SECONDS = 300.0, 15.0
HOST_FILE = "host"


@contextmanager
def lock_probe(parent: Path) -> Iterator[Path]:
    """A folder of its own for a node to lock (`hold_probe`), deleted afterwards."""
    make_folder(parent, "give a folder that is yours, on a disk that all nodes share (--runs DIR)")
    with tempfile.TemporaryDirectory(prefix="lock-test-", dir=parent, ignore_cleanup_errors=True) as folder:
        # A file that another host makes may stay unseen; one that it changes is seen when it is opened.
        for name in (LOCK_FILE, HOST_FILE):
            (Path(folder) / name).touch()
        yield Path(folder)


def hold_probe(probe: Path) -> None:
    """Lock a probe and name this host in it, until the driver has seen that and ends this process."""
    with lock_folder(probe):
        (probe / HOST_FILE).write_text(platform.node())
        time.sleep(HOLD_SECONDS)


def wait_for_probe(probe: Path, check: Callable[[], None]) -> None:
    """Wait until a node says that it holds a probe's lock, and refuse a lock that is not seen here.

    `check` is called again and again, to raise a UserError where the node will not say it.
    """
    seconds = 0.5
    while not (host := (probe / HOST_FILE).read_text()):
        check()
        time.sleep(seconds)
        # A job may wait for hours, and a scheduler must not be asked twice a second.
        seconds = min(2.0 * seconds, MOST_POLL_SECONDS)
    refuse_unseen_lock(probe, host)


def refuse_unseen_lock(probe: Path, host: str) -> None:
    """Raise a UserError where the lock that a host holds on a probe is not seen here."""
    if not is_locked(probe):
        raise UserError(
            f"{probe.parent} was locked on {host}, but this host does not see it: two hosts would compute one run. "
            "Mount that disk with locks that all hosts share (NFS without nolock and local_lock, Lustre with flock), "
            "or give a folder on another one (--runs DIR)"
        )


if __name__ == "__main__":
    hold_probe(Path(sys.argv[1]))
