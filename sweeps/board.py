"""Where every run of a study stands: read off the run folders once, kept up to date by the driver, then shown."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from core.errors import UserError
from core.lock import is_held
from core.record import FINAL, SCORED, RunRecord, read_record
from studies.study import Study

WAITING, RUNNING, ELSEWHERE, DAMAGED = "waiting", "running", "elsewhere", "damaged"
BAD = ("failed", "diverged", DAMAGED)


class Asked(Protocol):
    """A run that a study asks for, planned or recorded."""

    @property
    def row(self) -> str: ...
    @property
    def seed(self) -> int: ...
    @property
    def run_id(self) -> str: ...
    @property
    def folder(self) -> Path: ...


class Runs(Protocol):
    """The runs of a study: a plan, or what a study record names."""

    @property
    def study(self) -> Study: ...
    @property
    def runs(self) -> Sequence[Asked]: ...
    @property
    def shared(self) -> dict[str, str]: ...


@dataclass
class State:
    """A run of the plan and where it stands.

    `status` is the record's where there is a final one; else waiting, running (here), elsewhere (another process
    computes it), or damaged (its record cannot be read).
    """

    run: Asked
    status: str
    record: RunRecord | None = None
    error: str | None = None
    attempts: int = 0
    started: float = 0.0


class Board:
    """The states of a study's runs, in the order in which they are to be computed."""

    def __init__(self, plan: Runs, *, retry_failed: bool = False) -> None:
        self.plan = plan
        self.states = {run.run_id: survey(run, retry_failed=retry_failed) for run in plan.runs}
        self._seconds: list[float] = []

    def __iter__(self) -> Iterator[State]:
        return iter(self.states.values())

    def of(self, *statuses: str) -> list[State]:
        """The runs of some statuses."""
        return [state for state in self if state.status in statuses]

    def counts(self) -> Counter[str]:
        """How many runs have each status."""
        return Counter(state.status for state in self)

    def start(self, state: State) -> None:
        """A run starts here."""
        state.status, state.error, state.started = RUNNING, None, time.monotonic()

    def end(self, state: State, status: str, error: str | None = None) -> None:
        """A run has ended, or is to wait again; its record is read anew."""
        if state.status == RUNNING and status in SCORED:
            self._seconds.append(time.monotonic() - state.started)
        state.status, state.error = status, error
        try:
            state.record = read_record(state.run.folder)
        except UserError as damage:
            state.record = None
            if status in SCORED:
                state.status, state.error = DAMAGED, str(damage)

    def seconds_left(self, slots: int) -> float | None:
        """How long the rest takes, from the runs that ended since the start, else from earlier records."""
        known = self._seconds or [state.record.seconds for state in self.of(*SCORED) if state.record is not None]
        if not known:
            return None
        mean, now = sum(known) / len(known), time.monotonic()
        left = mean * len(self.of(WAITING))
        left += sum(max(0.0, mean - (now - state.started)) for state in self.of(RUNNING))
        return left / slots


def survey(run: Asked, *, retry_failed: bool = False) -> State:
    """Where a run stands by its folder; one that was cut off, interrupted or never started waits."""
    try:
        record = read_record(run.folder)
    except UserError as error:
        return State(run, DAMAGED, error=str(error))
    if record is None:
        return State(run, ELSEWHERE if is_held(run.folder) else WAITING)
    if record.status in FINAL:
        return State(run, record.status, record, record.error)
    if is_held(run.folder):
        return State(run, ELSEWHERE, record)
    if record.status == "failed" and not retry_failed:
        return State(run, "failed", record, record.error)
    return State(run, WAITING, record)
