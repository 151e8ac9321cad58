"""Slurm's queue: the answers of its commands, and which run folders are in it."""

import shutil
import subprocess
from collections import Counter
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from core.errors import UserError
from core.files import is_locked
from sweeps.engines.slurm_task import FOLDERS

PLACE, NAME, ANSWER_SECONDS = ".slurm", "engram", 60.0
"""The folder of submissions, in that of the run folders; the name of every job; how long a command may take."""
OVER = frozenset("BOOT_FAIL CANCELLED COMPLETED DEADLINE FAILED NODE_FAIL OUT_OF_MEMORY PREEMPTED TIMEOUT".split())
"""Slurm's states of tasks that have ended, unless it queues them again itself."""


class SlurmError(UserError):
    """A command of Slurm failed, or did not answer."""


class QueuedTask(NamedTuple):
    """Slurm's state of a task, the reason why it is pending, and the folder of its submission."""

    state: str
    reason: str
    submission: Path


def call(*command: str) -> str:
    """The stdout of a command; a SlurmError with the end of its stderr where it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_SECONDS, stdin=subprocess.DEVNULL)
    except FileNotFoundError:
        raise SlurmError(f"there is no {command[0]} here: start this on a host of the cluster") from None
    except subprocess.TimeoutExpired:
        raise SlurmError(f"{command[0]} did not answer within {ANSWER_SECONDS:.0f} s") from None
    if done.returncode:
        raise SlurmError(done.stderr.strip().rpartition("\n")[2] or f"{command[0]}: exit code {done.returncode}")
    return done.stdout


def read_queue() -> dict[str, QueuedTask]:
    """Task (ARRAY_NUMBER) -> what Slurm says of it, also of those that ended minutes ago."""
    form = "--format=%F_%K|%T|%r|%k"
    lines = call("squeue", "--noheader", "--array", "--me", f"--name={NAME}", "--states=all", form).splitlines()
    parts = (line.split("|", maxsplit=3) for line in lines)
    return {task: QueuedTask(state, reason, Path(submission)) for task, state, reason, submission in parts}


def find_jobs(runs: Path, queue: dict[str, QueuedTask]) -> dict[Path, tuple[str, QueuedTask]]:
    """Run folder -> its task that has not ended, of the submissions for a folder of run folders."""
    jobs: dict[Path, tuple[str, QueuedTask]] = {}
    folders: dict[Path, list[str]] = {}
    for task, queued in queue.items():
        if runs.absolute() / PLACE in queued.submission.parents and queued.state not in OVER:
            with suppress(OSError, msgspec.MsgspecError):
                if queued.submission not in folders:
                    folders[queued.submission] = msgspec.json.decode((queued.submission / FOLDERS).read_bytes())
                jobs[Path(folders[queued.submission][int(task.partition("_")[2])])] = task, queued
    return jobs


def delete_ended(runs: Path) -> dict[Path, tuple[str, QueuedTask]]:
    """Delete what drivers that have ended left beside run folders, but for those with jobs in the queue; these jobs."""
    jobs = find_jobs(runs, read_queue())
    for driver in (runs / PLACE).glob("driver-*"):
        if not is_locked(driver) and all(queued.submission.parent != driver.absolute() for _, queued in jobs.values()):
            shutil.rmtree(driver, ignore_errors=True)
    return jobs


def describe_queue(runs: Path, folders: Collection[Path]) -> str:
    """How many of some run folders are in Slurm's queue, and why they wait; empty where none is."""
    try:
        jobs = find_jobs(runs, read_queue()) if (runs / PLACE).exists() else {}
    except SlurmError as error:
        return f"Slurm's queue is not known here: {error}"
    own = [jobs[folder.absolute()][1] for folder in folders if folder.absolute() in jobs]
    counts = Counter(f"{queued.state.lower()} ({queued.reason})".replace(" (None)", "") for queued in own)
    return "in Slurm's queue: " * bool(own) + ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))
