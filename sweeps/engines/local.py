"""The default engine: worker processes on this machine, each with its share of the processor and its own device.

A worker stays for many runs, as loading torch takes seconds. Workers live in sessions of their own, so that a Ctrl-C
reaches the driver alone; they stop by themselves when the driver is gone, as their stdin ends then (`core.run.worker`).

Which devices the workers of this machine get, and how each sees only its own.
"""

import argparse
import os
import re
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from core.run.worker import Answer
from sweeps.engines.engine import EndedRun

PROGRAM = (sys.executable, "-m", "core.run", "-")
CLOSE_SECONDS = 5.0


class Worker:
    """A worker process and the folder that it computes."""

    def __init__(self, program: Sequence[str], environment: dict[str, str]) -> None:
        self.folder: Path | None = None
        self.ending = False
        """Whether it has said, or shown, that it takes no further folder."""
        self.kill_at: float | None = None
        """When an ending worker is ended for good, on the monotonic clock."""
        # What is said in a run goes to its folder; this holds why a worker could not even start.
        self.said = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the worker
        self._heard = b""
        try:
            self.process = subprocess.Popen(
                program,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self.said,
                env=environment,
                start_new_session=True,
            )
        except OSError:
            self.said.close()
            raise
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.stdin, self.stdout = self.process.stdin, self.process.stdout

    def compute(self, folder: Path) -> None:
        """Hand a folder to the worker."""
        self.folder = folder
        # One that is dead is told by the end of its stdout.
        with suppress(BrokenPipeError):
            self.stdin.write(f"{folder}\n".encode())
            self.stdin.flush()

    def hear(self) -> EndedRun | None:
        """Read what it has said since; what became of its folder where it said so, or died over it."""
        said = os.read(self.stdout.fileno(), 65_536)
        if not said:
            return self._died()
        *lines, self._heard = (self._heard + said).split(b"\n")
        for answer in map(parse_answer, lines):
            if answer is not None and self.folder is not None and answer.folder == str(self.folder):
                folder, self.folder = self.folder, None
                self.ending = answer.last
                return EndedRun(folder, answer.status, answer.error)
        return None

    def _died(self) -> EndedRun | None:
        self.ending = True
        try:
            self.process.wait(1.0)
        except subprocess.TimeoutExpired:
            # It can say nothing any more, but does not go.
            self.kill()
        code = self.process.wait()
        folder, self.folder = self.folder, None
        return EndedRun(folder, "died", describe_exit(code, self._last_words())) if folder is not None else None

    def _last_words(self) -> str:
        self.said.seek(0)
        lines = self.said.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""

    def kill(self) -> None:
        """End the process and all that it started."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def leave(self) -> None:
        """Ask it to end: an idle process does so by itself, a busy one saves and stops; some seconds are given."""
        self.kill_at = time.monotonic() + CLOSE_SECONDS
        with suppress(BrokenPipeError):
            self.stdin.close()

    def gone(self) -> bool:
        """Whether a worker that was asked to end has done so, or had its time."""
        assert self.kill_at is not None
        return self.process.poll() is not None or time.monotonic() >= self.kill_at

    def release(self) -> None:
        """End what is left of the process and of what it started."""
        self.kill()
        self.process.wait()
        with suppress(BrokenPipeError):
            self.stdin.close()
        self.stdout.close()
        self.said.close()


def parse_answer(line: bytes) -> Answer | None:
    """The answer in a line; None for what a library printed, or a line that was cut off."""
    try:
        return msgspec.json.decode(line, type=Answer)
    except msgspec.MsgspecError:
        return None


def describe_exit(code: int, last_words: str = "") -> str:
    """A worker's exit code in words."""
    if code == -signal.SIGKILL:
        return "its process was killed (SIGKILL): by hand, or by the system for want of memory"
    if code < 0:
        return f"its process died of {signal.Signals(-code).name}"
    return f"its process ended with exit code {code}" + (f": {last_words}" if last_words else "")


class LocalEngine:
    """Up to `jobs` worker processes; `threads` processor threads each, the machine's shared out where none are given.

    `devices` are handed to the workers in turn: cpu, or cuda:N.
    """

    def __init__(
        self,
        *,
        jobs: int,
        threads: int | None = None,
        devices: Sequence[str] = (),
        program: Sequence[str] = PROGRAM,
    ) -> None:
        self.slots = jobs
        self._threads = threads or max(1, (os.cpu_count() or 1) // jobs)
        self._devices = tuple(devices)
        self._program = tuple(program)
        self._queue: deque[Path] = deque()
        self._ended: list[EndedRun] = []
        self._workers: dict[int, Worker] = {}
        self._leaving: list[Worker] = []
        self._selector = selectors.DefaultSelector()
        self._cancelled = False

    def submit(self, folder: Path) -> None:
        """Start a folder on a free worker, a new one where there is room, or let it wait for one."""
        if self._cancelled:
            self._ended.append(EndedRun(folder, "cancelled"))
            return
        self._queue.append(folder)
        self._fill()

    def wait(self, seconds: float) -> list[EndedRun]:
        """What ended since the last call, after at most some seconds."""
        until = time.monotonic() + seconds
        while not self._ended and self._busy():
            left = until - time.monotonic()
            for key, _ in self._selector.select(max(0.0, left)):
                self._hear(key.data)
            self._fill()
            self._reap()
            if left <= 0:
                break
        ended, self._ended = self._ended, []
        return ended

    def cancel(self, *, now: bool = False) -> None:
        """Drop what waits; ask the running ones to save and stop, or kill them."""
        self._cancelled = True
        self._ended += [EndedRun(folder, "cancelled") for folder in self._queue]
        self._queue.clear()
        for worker in self._busy():
            if now:
                worker.kill()
            else:
                worker.process.terminate()

    def close(self) -> None:
        """End every worker; those that still compute are asked first, and killed if they take too long."""
        self._cancelled = True
        # All of them at once: they save at the same time.
        for worker in self._workers.values():
            worker.leave()
        self._leaving += self._workers.values()
        self._workers.clear()
        while self._leaving:
            self._reap()
            time.sleep(0.01)
        self._selector.close()

    def _busy(self) -> list[Worker]:
        return [worker for worker in self._workers.values() if worker.folder is not None]

    def _fill(self) -> None:
        while self._queue and not self._cancelled:
            idle = next((slot for slot, worker in self._workers.items() if worker.folder is None), None)
            if idle is not None and self._workers[idle].process.poll() is not None:
                # It died while it was idle, which is no run's fault.
                self._retire(idle)
                continue
            if idle is None and len(self._workers) >= self.slots:
                return
            folder = self._queue.popleft()
            try:
                slot = self._start() if idle is None else idle
            except OSError as error:
                self._ended.append(EndedRun(folder, "died", f"no process could be started: {error}"))
            else:
                self._workers[slot].compute(folder)

    def _start(self) -> int:
        slot = next(number for number in range(self.slots) if number not in self._workers)
        worker = Worker(self._program, self._environment(slot))
        self._workers[slot] = worker
        self._selector.register(worker.stdout, selectors.EVENT_READ, slot)
        return slot

    def _hear(self, slot: int) -> None:
        worker = self._workers[slot]
        ended = worker.hear()
        if ended is not None:
            self._ended.append(ended)
        if worker.ending:
            self._retire(slot)

    def _retire(self, slot: int) -> None:
        """Make room for another worker at once, while this one still ends: torch takes its time."""
        worker = self._workers.pop(slot)
        self._selector.unregister(worker.stdout)
        worker.leave()
        self._leaving.append(worker)

    def _reap(self) -> None:
        for worker in [worker for worker in self._leaving if worker.gone()]:
            self._leaving.remove(worker)
            worker.release()

    def _environment(self, slot: int) -> dict[str, str]:
        environment = dict(os.environ)
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            environment[name] = str(self._threads)
        # The tokenizers library would else warn about, and switch off, its threads in every worker.
        environment["TOKENIZERS_PARALLELISM"] = "false"
        if self._devices:
            environment |= visible(self._devices[slot % len(self._devices)], environment)
        return environment


def parse_devices(text: str) -> tuple[str, ...]:
    """`cpu`, or `cuda:0,cuda:1` among those that this process may use."""
    devices = tuple(part.strip() for part in text.split(","))
    for device in devices:
        if not re.fullmatch(r"cpu|cuda(:\d+)?", device):
            raise argparse.ArgumentTypeError(f"{device!r} is no device: give cpu, or cuda:N, separated by commas")
        try:
            visible(device, dict(os.environ))
        except IndexError:
            allowed = os.environ["CUDA_VISIBLE_DEVICES"]
            raise argparse.ArgumentTypeError(
                f"{device} is none of the devices {allowed} (CUDA_VISIBLE_DEVICES)"
            ) from None
    return devices


def visible(device: str, environment: dict[str, str]) -> dict[str, str]:
    """The environment that makes a device the only one a worker sees, among those that this process may use."""
    if device == "cpu":
        return {"CUDA_VISIBLE_DEVICES": ""}
    number = int(device.partition(":")[2] or 0)
    allowed = environment.get("CUDA_VISIBLE_DEVICES", "")
    return {"CUDA_VISIBLE_DEVICES": allowed.split(",")[number] if allowed else str(number)}
