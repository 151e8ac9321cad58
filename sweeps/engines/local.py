"""Local engine: worker processes on this machine, each with its share of the processor and its own device.

A worker computes many runs, as loading torch takes seconds. Workers live in sessions of their own, so that a Ctrl-C
reaches the driver alone; they stop by themselves when the driver is gone, as their stdin ends then (`core.run.worker`).
"""

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing import connection
from pathlib import Path
from typing import Self

import msgspec

from core.errors import UserError
from core.run.worker import Answer
from sweeps.engines.engine import EndedRun, Engine, EngineOptions

PROGRAM = (sys.executable, "-m", "core.run", "-")
COUNT_GPUS = (sys.executable, "-c", "import torch; print(torch.cuda.device_count())")
CLOSE_SECONDS = 5.0


class Worker:
    """A worker process, and the folder that it computes."""

    def __init__(self, slot: int, program: Sequence[str], environment: dict[str, str]) -> None:
        self.slot = slot
        self.folder: Path | None = None
        self.is_ending = False
        """Whether it takes no further folder."""
        # What a run prints goes to its folder; this file holds why a worker could not even start.
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the worker
        self._partial_line = b""
        try:
            self.process = subprocess.Popen(
                program,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                env=environment,
                start_new_session=True,
            )
        except OSError:
            self._stderr.close()
            raise
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._stdin, self._stdout = self.process.stdin, self.process.stdout
        self.output = self._stdout.fileno()

    def compute(self, folder: Path) -> None:
        """Hand a folder to the worker."""
        self.folder = folder
        # A worker that is dead shows it by the end of its stdout.
        with suppress(BrokenPipeError):
            self._stdin.write(f"{folder}\n".encode())
            self._stdin.flush()

    def read_answer(self) -> EndedRun | None:
        """Read its stdout; what became of its folder, where it answered or died."""
        content = os.read(self.output, 65_536)
        if not content:
            self.is_ending = True
            return self._read_exit()
        *lines, self._partial_line = (self._partial_line + content).split(b"\n")
        for line in lines:
            # Libraries print too, and a worker may die in the middle of a line.
            with suppress(msgspec.MsgspecError):
                answer = msgspec.json.decode(line, type=Answer)
                if self.folder is not None and answer.folder == str(self.folder):
                    folder, self.folder = self.folder, None
                    self.is_ending = answer.last
                    return EndedRun(folder, answer.status, answer.error)
        return None

    def _read_exit(self) -> EndedRun | None:
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(1.0)
        # Where its stdout is closed, but it does not end.
        self.kill()
        code = self.process.wait()
        if self.folder is None:
            return None
        folder, self.folder = self.folder, None
        self._stderr.seek(0)
        last_line = self._stderr.read().decode(errors="replace").strip().rpartition("\n")[2]
        return EndedRun(folder, "killed", describe_exit(code, last_line))

    def stop(self) -> None:
        """Ask the process to save and stop, and all that it started, as there may be a shell around it."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)

    def kill(self) -> None:
        """Kill the process and all that it started."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def close_input(self) -> None:
        """Ask it to end: an idle process does so by itself, a busy one saves and stops."""
        with suppress(BrokenPipeError):
            self._stdin.close()

    def release(self) -> None:
        """Kill what is left of the process and of what it started."""
        self.kill()
        self.process.wait()
        self.close_input()
        self._stdout.close()
        self._stderr.close()


def describe_exit(code: int, last_line: str) -> str:
    """A worker's exit code in words, with the last line that it printed."""
    if code == -signal.SIGKILL:
        return "its process was killed (SIGKILL): by hand, or by the system because memory ran out"
    if code < 0:
        return f"its process was killed by {signal.Signals(-code).name}"
    return f"its process ended with exit code {code}" + (f": {last_line}" if last_line else "")


class LocalEngine(Engine):
    """Worker processes on this machine (default).

    Up to `jobs` at once, each with `threads` processor threads, by default an equal share of the machine's. `devices`
    are handed to the workers in turn: cpu, or cuda:N.
    """

    def __init__(
        self,
        *,
        jobs: int,
        devices: Sequence[str] = (),
        threads: int | None = None,
        program: Sequence[str] = PROGRAM,
    ) -> None:
        super().__init__()
        check_devices(devices)
        self.slots = jobs
        self._threads = threads or max(1, (os.cpu_count() or 1) // jobs)
        self._devices = tuple(devices)
        self._program = tuple(program)
        self._workers: list[Worker] = []

    @classmethod
    def from_options(cls, options: EngineOptions) -> Self:
        """Build it, with as many workers as asked for, or as the machine has room for."""
        return cls(jobs=options.jobs or options.default_jobs(), devices=options.devices)

    def submit(self, folder: Path) -> None:
        """Start a folder on an idle worker, or on a new one while there are fewer than `slots`, or let it wait."""
        super().submit(folder)
        self._start_waiting()

    def wait(self, seconds: float) -> list[EndedRun]:
        """What ended since the last call, after at most some seconds."""
        until = time.monotonic() + seconds
        while not self._ended and any(worker.folder for worker in self._workers):
            left = until - time.monotonic()
            ready = connection.wait([worker.output for worker in self._workers], max(0.0, left))
            for worker in [worker for worker in self._workers if worker.output in ready]:
                ended = worker.read_answer()
                self._ended += [ended] if ended is not None else []
                if worker.is_ending:
                    self._retire(worker)
            self._start_waiting()
            if left <= 0:
                break
        return self._take_ended()

    def cancel(self, *, now: bool = False) -> None:
        """Drop what waits; ask the running ones to save and stop, or kill them."""
        super().cancel(now=now)
        for worker in [worker for worker in self._workers if worker.folder is not None]:
            if now:
                worker.kill()
            else:
                worker.stop()

    def close(self) -> None:
        """End every worker; those that still compute are asked first, and killed if they take too long."""
        super().cancel()
        # All of them are asked before any is waited for: they save at the same time.
        for worker in self._workers:
            worker.close_input()
        until = time.monotonic() + CLOSE_SECONDS
        while self._workers:
            with suppress(subprocess.TimeoutExpired):
                self._workers[0].process.wait(max(0.0, until - time.monotonic()))
            self._retire(self._workers[0])

    def _start_waiting(self) -> None:
        while self._queue:
            worker = next((worker for worker in self._workers if worker.folder is None), None)
            if worker is not None and worker.process.poll() is not None:
                # It died while it was idle, which is no run's fault.
                self._retire(worker)
                continue
            if worker is None and len(self._workers) >= self.slots:
                return
            folder = self._queue.popleft()
            try:
                worker = worker or self._start_worker()
            except OSError as error:
                self._ended.append(EndedRun(folder, "killed", f"no process could be started: {error}"))
            else:
                worker.compute(folder)

    def _start_worker(self) -> Worker:
        used = {worker.slot for worker in self._workers}
        slot = next(number for number in range(self.slots) if number not in used)
        environment = dict(os.environ)
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            environment[name] = str(self._threads)
        # The tokenizers library would otherwise warn about, and switch off, its threads in every worker.
        environment["TOKENIZERS_PARALLELISM"] = "false"
        if self._devices:
            environment |= device_environment(self._devices[slot % len(self._devices)], environment)
        worker = Worker(slot, self._program, environment)
        self._workers.append(worker)
        return worker

    def _retire(self, worker: Worker) -> None:
        # Its run has ended, and its record is written: nothing is lost by not waiting until it has unloaded torch.
        self._workers.remove(worker)
        worker.release()


def parse_devices(text: str) -> tuple[str, ...]:
    """The value of --devices: `cpu`, or `cuda:0,cuda:1` among those that this process may use."""
    devices = tuple(device.strip() for device in text.split(","))
    for device in devices:
        try:
            if not re.fullmatch(r"cpu|cuda(:\d+)?", device):
                raise IndexError
            device_environment(device, os.environ)
        except IndexError:
            raise argparse.ArgumentTypeError(
                f"{device!r} is not a device: give cpu, or cuda:N (N counts CUDA_VISIBLE_DEVICES), separated by commas"
            ) from None
    return devices


def check_devices(devices: Sequence[str]) -> None:
    """Raise a UserError for a GPU that this machine lacks: a worker that sees none would compute on the CPU."""
    gpus = [device for device in devices if device != "cpu"]
    if not gpus:
        return
    # Only torch knows which it can use, and what plans and follows runs never loads torch.
    counted = subprocess.run(COUNT_GPUS, capture_output=True, text=True, check=False)
    count = int(counted.stdout) if counted.stdout.strip().isdecimal() else 0
    for device in gpus:
        if int(device.partition(":")[2] or 0) >= count:
            has = f"cuda:0 to cuda:{count - 1}" if count > 1 else "cuda:0 alone" if count else "no CUDA device"
            raise UserError(f"--devices {device}: torch finds {has} here: give one of these, or cpu")


def device_environment(device: str, environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that make a device the only one a worker sees, among those that this process may use."""
    if device == "cpu":
        return {"CUDA_VISIBLE_DEVICES": ""}
    number = int(device.partition(":")[2] or 0)
    allowed = environment.get("CUDA_VISIBLE_DEVICES", "")
    return {"CUDA_VISIBLE_DEVICES": allowed.split(",")[number] if allowed else str(number)}
