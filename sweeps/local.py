"""The default engine: worker processes on this machine, each with its share of the processor and its own device.

A worker stays for many runs, as loading torch takes seconds. Workers live in sessions of their own, so that a Ctrl-C
reaches the driver alone; they stop by themselves when the driver is gone, as their stdin ends then (`core.worker`).
"""

import os
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

from core.worker import Answer
from sweeps.devices import visible
from sweeps.engine import Ended

PROGRAM = (sys.executable, "-m", "core.run", "-")
CLOSE_SECONDS = 5.0


class Worker:
    """A worker process and the folder that it computes."""

    def __init__(self, program: Sequence[str], environment: dict[str, str]) -> None:
        self.folder: Path | None = None
        self.ending = False
        """Whether it has said, or shown, that it takes no further folder."""
        # What is said in a run goes to its folder; this holds why a worker could not even start.
        self.said = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the worker
        self.process = subprocess.Popen(
            program,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.said,
            text=True,
            env=environment,
            start_new_session=True,
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.stdin, self.stdout = self.process.stdin, self.process.stdout

    def compute(self, folder: Path) -> None:
        """Hand a folder to the worker."""
        self.folder = folder
        # One that died while it was idle is told by the end of its stdout.
        with suppress(BrokenPipeError):
            self.stdin.write(f"{folder}\n")
            self.stdin.flush()

    def answer(self) -> Ended | None:
        """What became of its folder, read from its stdout; None where it died without one."""
        line = self.stdout.readline()
        folder, self.folder = self.folder, None
        if line:
            answer = msgspec.json.decode(line, type=Answer)
            self.ending = answer.last
            return Ended(Path(answer.folder), answer.status, answer.error)
        self.ending = True
        code = self.process.wait()
        return Ended(folder, "died", died_of(code, self._last_words())) if folder is not None else None

    def _last_words(self) -> str:
        self.said.seek(0)
        lines = self.said.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""

    def kill(self) -> None:
        """End the process and all that it started."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Let an idle process end by itself, a busy one save and stop; kill what is left after some seconds."""
        with suppress(BrokenPipeError):
            self.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(CLOSE_SECONDS)
        self.kill()
        self.process.wait()
        self.stdout.close()
        self.said.close()


def died_of(code: int, last_words: str = "") -> str:
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
        self._ended: list[Ended] = []
        self._workers: dict[int, Worker] = {}
        self._selector = selectors.DefaultSelector()
        self._cancelled = False

    def submit(self, folder: Path) -> None:
        """Start a folder on a free worker, a new one where there is room, or let it wait for one."""
        self._queue.append(folder)
        self._fill()

    def wait(self, seconds: float) -> list[Ended]:
        """What ended since the last call, after at most some seconds."""
        until = time.monotonic() + seconds
        while not self._ended and self._workers and (left := until - time.monotonic()) > 0:
            for key, _ in self._selector.select(left):
                self._hear(key.data)
            self._fill()
        ended, self._ended = self._ended, []
        return ended

    def cancel(self, *, now: bool = False) -> None:
        """Drop what waits; ask the running ones to save and stop, or kill them."""
        self._cancelled = True
        self._ended += [Ended(folder, "cancelled") for folder in self._queue]
        self._queue.clear()
        for worker in self._workers.values():
            if now:
                worker.kill()
            elif worker.folder is not None:
                worker.process.terminate()

    def close(self) -> None:
        """End every worker; one that still computes is asked first, and killed if it takes too long."""
        self._cancelled = True
        for worker in self._workers.values():
            # All of them at once: they save at the same time.
            with suppress(BrokenPipeError):
                worker.stdin.close()
        for worker in self._workers.values():
            worker.close()
        self._workers.clear()
        self._selector.close()

    def _fill(self) -> None:
        while self._queue and not self._cancelled:
            idle = next((worker for worker in self._workers.values() if worker.folder is None), None)
            if idle is None and len(self._workers) >= self.slots:
                return
            (idle or self._start()).compute(self._queue.popleft())

    def _start(self) -> Worker:
        slot = next(number for number in range(self.slots) if number not in self._workers)
        worker = Worker(self._program, self._environment(slot))
        self._workers[slot] = worker
        self._selector.register(worker.stdout, selectors.EVENT_READ, slot)
        return worker

    def _hear(self, slot: int) -> None:
        worker = self._workers[slot]
        ended = worker.answer()
        if ended is not None:
            self._ended.append(ended)
        if worker.ending:
            self._selector.unregister(worker.stdout)
            worker.close()
            del self._workers[slot]

    def _environment(self, slot: int) -> dict[str, str]:
        environment = dict(os.environ)
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            environment[name] = str(self._threads)
        # The tokenizers library would else warn about, and switch off, its threads in every worker.
        environment["TOKENIZERS_PARALLELISM"] = "false"
        if self._devices:
            environment |= visible(self._devices[slot % len(self._devices)], environment)
        return environment
