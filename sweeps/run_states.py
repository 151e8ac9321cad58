"""State of every run of a study: read off the run folders once, kept up to date by the driver, then shown."""

import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from core.records.summary import DAMAGED, KILLED, WAITING, RunSummary, read_summary
from studies.record import StudyRun
from studies.study import Study

RUNNING, ELSEWHERE = "running", "elsewhere"
BAD = ("failed", "diverged", DAMAGED)


@dataclass(slots=True)
class RunState:
    """A run of a study and its status for the driver.

    `status` is that of its summary, but `waiting` where the driver is to start or resume it, and `running` only where
    it runs here; `elsewhere` is a run that another process computes.
    """

    run: StudyRun
    status: str
    summary: RunSummary
    error: str | None = None
    attempts: int = 0
    """How often in a row its process was killed, or asked to stop by others, without getting any further."""
    steps: int = 0
    """How many steps it had done when its process last ended."""
    to_repeat: bool = False
    """Whether its folder holds a finished run that is to be computed again, and moves away before that."""
    started: float = 0.0

    @property
    def last_error(self) -> str:
        """The last line of its error, empty where there is none."""
        return (self.error or "").strip().rpartition("\n")[2]

    @property
    def shown_status(self) -> str:
        """The status for readers: a waiting run may have been killed or interrupted before."""
        before = self.summary.status
        return before if self.status == WAITING and before in (KILLED, "interrupted") else self.status


class RunStates:
    """The states of a study's runs, in the order in which they are to be computed."""

    def __init__(
        self, study: Study, runs: Sequence[StudyRun], shared: Mapping[str, str], *, retry_failed: bool = False
    ) -> None:
        self.study, self.shared = study, shared
        self.by_id: dict[str, RunState] = {}
        self.ended = 0
        """How many runs ended here, however they ended."""
        self.run_seconds = 0.0
        """How long runs were in the hands of the engine, summed."""
        self._retry_failed = retry_failed
        for run in runs:
            self.add(run)

    def __iter__(self) -> Iterator[RunState]:
        return iter(self.by_id.values())

    def add(self, run: StudyRun) -> None:
        """Add a run, with the state that its folder shows."""
        self.by_id[run.run_id] = read_run_state(run, retry_failed=self._retry_failed)

    def repeat(self, run_ids: Collection[str]) -> None:
        """Let finished runs wait to be computed again."""
        for run_id in run_ids:
            self.by_id[run_id].status, self.by_id[run_id].to_repeat = WAITING, True

    def with_status(self, *statuses: str) -> list[RunState]:
        """The runs of some statuses."""
        return [state for state in self if state.status in statuses]

    def by_row(self) -> dict[str, list[RunState]]:
        """Each row with its runs by seed; rows that are the same run show the same."""
        rows: dict[str, list[RunState]] = {}
        for state in sorted(self, key=lambda state: state.run.seed):
            rows.setdefault(state.run.row, []).append(state)
        computed = [row for row, entry in self.study.rows.items() if not entry.predictions]
        return {row: rows.get(self.shared.get(row, row), []) for row in computed}

    def start(self, state: RunState) -> None:
        """A run starts here."""
        state.status, state.error, state.started = RUNNING, None, time.monotonic()

    def end(self, state: RunState, status: str, error: str | None = None) -> None:
        """A run has ended, or is to wait again; its summary is read again, and says why where `error` does not."""
        if state.status == RUNNING:
            self.ended += 1
            self.run_seconds += time.monotonic() - state.started
        state.summary = read_summary(state.run.folder)
        state.status = DAMAGED if state.summary.status == DAMAGED else status
        state.error = state.summary.error if state.status in BAD and error is None else error


def count_statuses(states: Iterable[RunState]) -> str:
    """How many runs have each status, as `3 finished, 1 waiting`."""
    counts = Counter(state.shown_status for state in states)
    return ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))


def read_run_state(run: StudyRun, *, retry_failed: bool = False) -> RunState:
    """The state that a run's folder shows; one that was killed, interrupted or never started waits."""
    summary = read_summary(run.folder)
    status: str = summary.status
    if status == "running":
        status = ELSEWHERE
    elif summary.is_left or (status == "failed" and retry_failed):
        status = WAITING
    return RunState(run, status, summary, summary.error if status in BAD else None)
