"""Slurm engine: array jobs, on a disk that all nodes share.

The queue is Slurm's and the truth the run folders', so a driver holds nothing that a next one could not find again.
"""

import os
import shlex
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import msgspec

from core.errors import UserError
from core.files import is_locked, lock_folder
from core.progress import say
from core.records.record import RECORD
from sweeps.engines.engine import DetachedEngine, EndedRun, EngineOptions
from sweeps.engines.local import PROGRAM
from sweeps.engines.shared_disk import CACHE_SECONDS, lock_probe, wait_for_probe
from sweeps.engines.slurm_queue import NAME, OVER, PLACE, QueuedTask, SlurmError, call, delete_ended, read_queue
from sweeps.engines.slurm_task import FOLDERS, TaskState

MOST_QUEUED = 1_000
SAVE_SECONDS, STOP_POLL_SECONDS, MOST_POLL_SECONDS, CLOSE_SECONDS = 120, 2.0, 300.0, 60.0
"""How long before its time limit a run is asked to save (Slurm may ask a minute earlier); how often the queue is read
while runs are stopped, and at the rarest while Slurm does not answer; how long they may take to save, or to be killed.
"""


@dataclass(frozen=True, kw_only=True)
class SlurmOptions:
    """What a run asks Slurm for.

    Args:
        partition: the partition
        time: time limit (90, 2:00:00, 1-12); two minutes before it a run saves, and is queued again
        cpus: processors of a run
        memory: memory of a run (8G)
        gres: devices of a run (gpu:1)
        account: the account that is charged
        options: other options of sbatch ("--qos=long --constraint=a100")
        at_once: how many runs are in the queue or running at once (default: up to 1000)
        poll_seconds: how often the queue is read
    """

    partition: str | None = None
    time: str | None = None
    cpus: int = 1
    memory: str | None = None
    gres: str | None = None
    account: str | None = None
    options: str | None = None
    at_once: int | None = None
    poll_seconds: float = 10.0

    @property
    def flags(self) -> list[str]:
        """The options of sbatch."""
        flags = {"partition": self.partition, "time": self.time, "cpus-per-task": self.cpus, "mem": self.memory}
        flags |= {"gres": self.gres, "account": self.account}
        return [*(f"--{name}={value}" for name, value in flags.items() if value), *shlex.split(self.options or "")]


@dataclass
class Job:
    """A run folder in Slurm's queue, and since when it seems to have ended."""

    folder: Path
    submission: Path
    over_since: float | None = None


class SlurmEngine(DetachedEngine):
    """Array jobs of Slurm, which continue without this process; run folders lie on a disk that all nodes share.

    What is submitted before a `wait` becomes one array. `cache_seconds` is how long a host may not see what another one
    has written.
    """

    on_this_machine, options_type = False, SlurmOptions

    def __init__(
        self,
        runs: Path,
        options: SlurmOptions,
        *,
        detach: bool = False,
        program: Sequence[str] = PROGRAM,
        cache_seconds: float = CACHE_SECONDS,
    ) -> None:
        super().__init__()
        self.slots = MOST_QUEUED if detach else options.at_once or MOST_QUEUED
        self._options, self._program, self._cache_seconds = options, list(program), cache_seconds
        self._array_size = int(call("scontrol", "show", "config").partition("MaxArraySize")[2].split()[1])
        self._jobs: dict[str, Job] = {}
        self._failures, self._next_submission, self._next_poll = 0, 0.0, 0.0
        self._is_killing, self._told, self._lock = False, set[str](), ExitStack()
        place = runs.absolute() / PLACE
        self._check(place)
        self._runs, jobs = runs, delete_ended(runs)
        # A driver locks its folder of submissions: what is in the queue for a living one is not for this one.
        self._left = {folder: job for folder, job in jobs.items() if not is_locked(job[1].submission.parent)}
        self._place = Path(tempfile.mkdtemp(prefix="driver-", dir=place))
        self._lock.enter_context(lock_folder(self._place))

    @property
    def at_once(self) -> int | None:
        """None where Slurm decides."""
        return self._options.at_once

    @classmethod
    def from_options(cls, options: EngineOptions) -> Self:
        """Build it; a UserError where Slurm refuses the options, or this host does not see a node's lock."""
        if options.jobs or options.devices:
            raise UserError("Slurm places the runs: instead of --jobs and --devices give --slurm.at-once, --slurm.gres")
        if min(options.own.cpus, options.own.poll_seconds, options.own.at_once or 1) <= 0 or options.own.at_once == 0:
            raise UserError("--slurm.cpus, --slurm.at-once and --slurm.poll-seconds are above 0")
        return cls(options.runs, options.own, detach=options.detach)

    def _check(self, place: Path) -> None:
        call("sbatch", "--test-only", *self._options.flags, "--wrap=true")
        seen = place / f"locks-seen-{os.uname().nodename}-{self._options.partition or ''}"
        if seen.exists():
            return
        with lock_probe(place) as probe:
            job = self._sbatch(probe, "shared_disk", shlex.quote(str(probe)), "--time=5", f"--output={probe}/log")
            say(f"engram: job {job} of Slurm tests the locks of {place.parent}")

            def check() -> None:
                if call("squeue", "--noheader", f"--jobs={job}", "--states=all", "--format=%T").strip() in OVER:
                    raise UserError(f"job {job}, which was to lock {probe}, failed: {read_last_line(probe / 'log')}")

            try:
                wait_for_probe(probe, check)
            finally:
                call("scancel", "--quiet", job)
        seen.touch()

    def _sbatch(self, submission: Path, module: str, words: str, *options: str) -> str:
        """Submit a script that runs a module of this package; the id of the job."""
        # With exec the signals of Slurm reach Python, which warns of a module that its package has imported already.
        quiet = ["-W", "ignore::RuntimeWarning:runpy"]
        python = shlex.join([sys.executable, *quiet, "-m", f"sweeps.engines.{module}"])
        (submission / "task.sh").write_text(f"#!/bin/sh\nexec {python} {words}\n")
        command = ["sbatch", "--parsable", *self._options.flags, *options, str(submission / "task.sh")]
        return call(*command).strip().partition(";")[0]

    def has(self, folder: Path) -> bool:
        """Whether it is in Slurm's queue for a driver that has ended."""
        return folder.absolute() in self._left

    def submit(self, folder: Path) -> None:
        """Take a folder, or follow the job that it has."""
        if self.has(folder) and not self.is_cancelled:
            task, queued = self._left.pop(folder.absolute())
            self._jobs[task] = Job(folder, queued.submission)
        else:
            super().submit(folder)

    def wait(self, seconds: float) -> list[EndedRun]:
        """What ended since the last call, as Slurm and the state files of the tasks tell."""
        until = time.monotonic() + seconds
        self._submit_waiting()
        while not self._ended and (self._jobs or self._queue):
            if time.monotonic() >= self._next_poll:
                self._poll()
                self._submit_waiting()
            left = until - time.monotonic()
            if self._ended or left <= 0:
                break
            time.sleep(max(0.0, min(left, self._next_poll - time.monotonic())))
        return self._take_ended()

    def cancel(self, *, now: bool = False) -> None:
        """Drop what waits, here and in Slurm's queue; let the running ones save, or kill them."""
        super().cancel(now=now)
        self._is_killing = self._is_killing or now
        self._next_poll = 0.0

    def detach(self) -> None:
        """Submit all that waits, and leave it to Slurm."""
        while self._queue:
            self._submit_waiting()
            time.sleep(0.1)
        self._jobs.clear()

    def close(self) -> None:
        """Cancel what is left, and wait for its end."""
        super().cancel()
        for now in (False, True):
            until = time.monotonic() + CLOSE_SECONDS
            while self._jobs and time.monotonic() < until:
                self.cancel(now=now)
                self.wait(STOP_POLL_SECONDS)
        if self._jobs:
            say(f"engram: warning: Slurm has not ended {len(self._jobs)} jobs yet: scancel --name={NAME} ends them")
        self._jobs.clear()
        self._lock.close()
        with suppress(SlurmError):
            delete_ended(self._runs)

    def _submit_waiting(self) -> None:
        while self._queue and time.monotonic() >= self._next_submission:
            room = min(self._array_size, self.slots - len(self._jobs), len(self._queue))
            if room <= 0:
                return
            submission = Path(tempfile.mkdtemp(dir=self._place))
            folders = [str(self._queue[number].absolute()) for number in range(room)]
            (submission / FOLDERS).write_bytes(msgspec.json.encode(folders))
            for number in range(room):
                # A host sees at once that a file was replaced, but not that there is a new one.
                (submission / f"{number}.json").touch()
            array = f"--array=0-{room - 1}" + (f"%{self._options.at_once}" if self._options.at_once else "")
            names = [f"--job-name={NAME}", f"--comment={submission}", f"--output={submission}/%a.log"]
            again = ["--requeue", "--open-mode=append", f"--signal=B:USR1@{SAVE_SECONDS}"]
            words = f'{shlex.quote(str(submission))} "$SLURM_ARRAY_TASK_ID" {shlex.join(self._program)}'
            try:
                job = self._sbatch(submission, "slurm_task", words, array, *names, *again)
            except SlurmError as error:
                # Should Slurm have taken it all the same, the lock of each folder lets one of two jobs compute it.
                self._next_submission = self._back_off(error)
                return
            for number in range(room):
                self._jobs[f"{job}_{number}"] = Job(self._queue.popleft(), submission)

    def _poll(self) -> None:
        queue: dict[str, QueuedTask] | None = None
        try:
            queue = read_queue()
            if self.is_cancelled:
                kill = ["--signal=KILL", "--full"] if self._is_killing else ["--signal=TERM", "--batch"]
                # Without a state, an array that has pending tasks would let scancel wait for a minute.
                # Also what sbatch submitted without an answer.
                own = {
                    task: job
                    for task, job in queue.items()
                    if task in self._jobs or job.submission.parent == self._place
                }
                for state, options in (("PENDING", []), ("RUNNING", kill)):
                    if tasks := [task for task, job in own.items() if job.state == state]:
                        call("scancel", "--quiet", f"--state={state}", *options, *tasks)
            self._failures = 0
            seconds = self._options.poll_seconds
            self._next_poll = time.monotonic() + (min(STOP_POLL_SECONDS, seconds) if self.is_cancelled else seconds)
        except SlurmError as error:
            self._next_poll = self._back_off(error)
        for task, job in list(self._jobs.items()):
            queued = queue.get(task) if queue is not None else None
            if queued is not None and queued.state == "PENDING":
                job.over_since = None
                if queued.reason != "None":
                    self._tell(f"Slurm lets runs wait: {queued.reason}")
            elif (ended := self._read_end(task, job, queued, is_known=queue is not None)) is not None:
                del self._jobs[task]
                self._ended.append(ended)

    def _read_end(self, task: str, job: Job, queued: QueuedTask | None, *, is_known: bool) -> EndedRun | None:
        """How the run of a task ended; None where it is under way, or this host may not see all of it yet."""
        number, state = task.partition("_")[2], None
        with suppress(OSError, msgspec.MsgspecError):
            state = msgspec.json.decode((job.submission / f"{number}.json").read_bytes(), type=TaskState)
        is_over = is_known and (queued is None or queued.state in OVER)
        if not is_over and (state is None or state.status == "running"):
            job.over_since = None
            return None
        job.over_since = job.over_since or time.monotonic()
        seconds = time.monotonic() - job.over_since
        if state is not None and state.status != "running":
            # A run that was asked to stop is queued again where Slurm has lost its node.
            is_settled = is_over or state.status not in ("interrupted", "killed", "preempted")
            is_seen = sees_record(job.folder, state.recorded) or seconds > self._cache_seconds
            return EndedRun(job.folder, state.status, state.error) if is_settled and is_seen else None
        never_started = state is None and (self.is_cancelled or (queued is not None and queued.state == "CANCELLED"))
        lost = queued is None or queued.state == "COMPLETED"
        if seconds <= (self._cache_seconds if lost and not never_started else 0.0):
            return None
        if never_started:
            return EndedRun(job.folder, "cancelled")
        status = "preempted" if queued is not None and queued.state in ("PREEMPTED", "TIMEOUT") else "killed"
        why = f"its job left Slurm's queue{f' as {queued.state}' if queued else ''}"
        return EndedRun(job.folder, status, f"{why}: {read_last_line(job.submission / f'{number}.log')}".rstrip(": "))

    def _back_off(self, error: SlurmError) -> float:
        """When to ask again; said once per error."""
        self._failures += 1
        self._tell(f"warning: {error}; runs continue, and Slurm is asked again")
        return time.monotonic() + min(self._options.poll_seconds * 2 ** min(self._failures, 9), MOST_POLL_SECONDS)

    def _tell(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            say(f"engram: {text}")


def sees_record(folder: Path, recorded: int) -> bool:
    """Whether this host sees the record that a task wrote last."""
    with suppress(OSError), open(folder / RECORD) as file:
        return os.fstat(file.fileno()).st_mtime_ns >= recorded
    return not recorded


def read_last_line(log: Path) -> str:
    """The last line of a log, empty where there is none."""
    return log.read_text(errors="replace").strip().rpartition("\n")[2] if log.exists() else ""
