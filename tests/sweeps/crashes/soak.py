"""Kills workers and drivers of a study at random moments, and starts the same command again after each driver."""

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple, TextIO

from sweeps.engines.local import PROGRAM
from tests.sweeps.real_study import RealStudy

STARTING_SECONDS, TRAINING_SECONDS = 5.0, 0.4
"""How long after the last kill, or into a training, a kill may come: workers start, runs begin, save and end in it."""
AT_ONCE = 6
"""How many runs a kill may be ahead of its share of the study."""
COMMAND = ("--attempts", "1000")
WORKER = "\0".join(PROGRAM[1:])
"""What the command line of a worker holds."""


class Kill(NamedTuple):
    """What is killed, and when: some seconds after the last kill, or after some run was seen training since."""

    driver: bool
    training: bool
    seconds: float
    pick: int
    """Which of the living workers."""
    at_once: bool
    """Whether a killed driver is started again while its workers still end."""


def draw_kills(key: int, count: int) -> list[Kill]:
    """The kills of a key: the same every time, as far as the machine lets moments be the same."""
    draw = random.Random(key)
    kills = []
    for _ in range(count):
        training = draw.random() < 0.6
        seconds = draw.uniform(0.0, TRAINING_SECONDS if training else STARTING_SECONDS)
        kills.append(Kill(draw.random() < 0.4, training, seconds, draw.randrange(64), draw.random() < 0.5))
    return kills


class Soak:
    """A study that is killed again and again, and followed on stdout, so that a failure can be tried again."""

    def __init__(self, study: RealStudy, runs: str, *, total: int) -> None:
        self.study, self.runs, self.total = study, runs, total
        self.start = time.monotonic()

    def run(self, kills: Sequence[Kill]) -> int:
        """Do all the kills, then let the study come to its end; the exit code of its last driver."""
        with self._open_output() as output:
            driver = self._driver(output)
            for number, kill in enumerate(kills, start=1):
                # Some at once, all of them spread over the study, none when nothing is left to kill.
                due = number * self.total // (len(kills) + 1)
                self._wait(driver, kill, early=due - AT_ONCE, due=due)
                driver = self._kill(driver, kill, output, f"kill {number} of {len(kills)}")
            print(f"{self._now()}: the last driver runs to the end", flush=True)
            return driver.wait()

    def output(self) -> str:
        """What the drivers printed."""
        return (self.study.folder / "drivers.txt").read_text()

    @contextmanager
    def _open_output(self) -> Iterator[TextIO]:
        with open(self.study.folder / "drivers.txt", "a") as output:
            yield output

    def _driver(self, output: TextIO) -> "subprocess.Popen[str]":
        return self.study.start(self.runs, *COMMAND, output=output)

    def _wait(self, driver: "subprocess.Popen[str]", kill: Kill, *, early: int, due: int) -> None:
        while driver.poll() is None and self.study.finished(self.runs) < early:
            time.sleep(0.01)
        seen = dict(self.study.unfinished(self.runs))
        since = None if kill.training else time.monotonic()
        while driver.poll() is None and self.study.finished(self.runs) < due:
            if since is None and any(rows != seen.get(run) for run, rows in self.study.unfinished(self.runs)):
                since = time.monotonic()
            if since is not None and time.monotonic() - since >= kill.seconds:
                return
            time.sleep(0.01)

    def _kill(self, driver: "subprocess.Popen[str]", kill: Kill, output: TextIO, which: str) -> "subprocess.Popen[str]":
        workers = self.study.processes(WORKER)
        at = ", ".join(f"{run} at row {rows}" for run, rows in self.study.unfinished(self.runs)) or "nothing"
        done = f"{self.study.finished(self.runs)} finished, {at} under way"
        if kill.driver or not workers:
            # Before any worker has started, or between two, there is only the driver to kill.
            print(f"{self._now()}: {which}: driver {driver.pid}; {done}", flush=True)
            driver.kill()
            driver.wait()
            while not kill.at_once and self.study.processes():
                time.sleep(0.01)
            return self._driver(output)
        worker = workers[kill.pick % len(workers)]
        print(f"{self._now()}: {which}: worker {worker}; {done}", flush=True)
        with suppress(ProcessLookupError):
            os.kill(worker, signal.SIGKILL)
        return driver

    def _now(self) -> str:
        return f"{time.monotonic() - self.start:.2f} s"
