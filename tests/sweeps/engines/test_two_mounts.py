"""A disk that two hosts share, as two mounts of one folder (bindfs): with common locks and with local ones."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from core.errors import UserError
from core.files import is_locked, lock_folder
from core.records.record import RECORD
from sweeps.engines.shared_disk import lock_probe, wait_for_probe
from sweeps.engines.slurm import sees_record
from tests.sweeps.real_study import ROOT, wait_until

CACHE_SECONDS = 3
COMMON_LOCKS = ("--multithreaded", "--enable-lock-forwarding")
pytestmark = pytest.mark.slow


@contextmanager
def two_mounts(folder: Path, *options: str) -> Iterator[tuple[Path, Path]]:
    """The same folder under two paths that know nothing of each other's caches; skips where it cannot be mounted."""
    if not shutil.which("bindfs") or os.geteuid() != 0 or not Path("/dev/fuse").exists():
        pytest.skip("mounts: no bindfs, or no root or /dev/fuse for it (apt install bindfs)")
    disk, mounts = folder / "disk", (folder / "here", folder / "there")
    timeouts = ",".join(f"{name}_timeout={CACHE_SECONDS}" for name in ("attr", "entry", "negative"))
    for path in (disk, *mounts):
        path.mkdir()
    try:
        for mount in mounts:
            subprocess.run(["bindfs", *options, "-o", timeouts, disk, mount], check=True, timeout=30)
        yield mounts
    finally:
        for mount in mounts:
            with suppress(subprocess.SubprocessError):
                subprocess.run(["umount", "--lazy", mount], check=False, timeout=30)


@contextmanager
def holder(probe: Path) -> Iterator[None]:
    """Another host's process, which holds the lock of a probe."""
    process = subprocess.Popen([sys.executable, "-m", "sweeps.engines.shared_disk", probe], cwd=ROOT)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def test_common_locks_pass_and_keep_a_second_host_off_a_run(tmp_path: Path) -> None:
    with (
        two_mounts(tmp_path, *COMMON_LOCKS) as (here, there),
        lock_probe(here) as probe,
    ):
        with holder(there / probe.name):
            wait_for_probe(probe, lambda: None)
            assert is_locked(probe)
            with pytest.raises(UserError, match="is being computed by process"), lock_folder(probe):
                pass
        wait_until(lambda: not is_locked(probe))


def test_locks_that_each_host_keeps_to_itself_are_refused(tmp_path: Path) -> None:
    with (
        two_mounts(tmp_path) as (here, there),
        lock_probe(here) as probe,
        holder(there / probe.name),
        pytest.raises(UserError, match="two hosts would compute one run"),
    ):
        wait_for_probe(probe, lambda: None)


def test_a_record_that_another_host_wrote_is_waited_for(tmp_path: Path) -> None:
    with two_mounts(tmp_path, *COMMON_LOCKS) as (here, there):
        assert not (here / RECORD).exists()
        (there / RECORD).write_text("{}")
        written = (there / RECORD).stat().st_mtime_ns
        start = time.monotonic()
        assert not sees_record(here, written), "this host remembers that there was none"
        wait_until(lambda: sees_record(here, written), seconds=3.0 * CACHE_SECONDS)
        assert time.monotonic() - start > 0.5
