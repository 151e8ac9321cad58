"""Where every run of a study stands: read off the run folders once, kept up to date by the driver, then shown."""

import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from core.records.record import SCORED
from core.records.summary import DAMAGED, KILLED, WAITING, RunSummary, read_summary
from studies.record import StudyRun
from studies.study import Study

RUNNING, ELSEWHERE = "running", "elsewhere"
BAD = ("failed", "diverged", DAMAGED)


@dataclass(slots=True)
class RunState:
    """A run of the plan and where it stands.

    `status` is the record's where there is a final one; else waiting, running (here), elsewhere (another process
    computes it), or damaged (its record cannot be read).
    """

    run: StudyRun
    status: str
    summary: RunSummary
    error: str | None = None
    attempts: int = 0
    """How often in a row its process died, or was told to stop by others, without getting any further."""
    steps: int = 0
    """How far it had come when its process last died."""
    again: bool = False
    """Whether its folder holds a finished run that is to be computed again, and moves aside before that."""
    started: float = 0.0

    @property
    def last_error(self) -> str:
        """The last line of its error, empty where there is none."""
        return (self.error or "").strip().rpartition("\n")[2]

    @property
    def told(self) -> str:
        """The status in a reader's words: a run that waits may have been killed or interrupted before."""
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
        self._seconds: list[float] = []
        self._retry_failed = retry_failed
        for run in runs:
            self.add(run)

    def __iter__(self) -> Iterator[RunState]:
        return iter(self.by_id.values())

    def recompute(self, run_ids: Collection[str]) -> None:
        """Let finished runs wait to be computed again."""
        for run_id in run_ids:
            self.by_id[run_id].status, self.by_id[run_id].again = WAITING, True

    def add(self, run: StudyRun) -> RunState:
        """Put a run on the board; where it stands by its folder."""
        self.by_id[run.run_id] = read_run_state(run, retry_failed=self._retry_failed)
        return self.by_id[run.run_id]

    def with_status(self, *statuses: str) -> list[RunState]:
        """The runs of some statuses."""
        return [state for state in self if state.status in statuses]

    def counts(self) -> Counter[str]:
        """How many runs have each status, in a reader's words."""
        return Counter(state.told for state in self)

    def describe_counts(self) -> str:
        """How many runs have each status, in a line."""
        return ", ".join(f"{count} {status}" for status, count in sorted(self.counts().items()))

    def start(self, state: RunState) -> None:
        """A run starts here."""
        state.status, state.error, state.started = RUNNING, None, time.monotonic()

    def end(self, state: RunState, status: str, error: str | None = None) -> None:
        """A run has ended, or is to wait again; its record is read anew, and says why where `error` does not."""
        if state.status == RUNNING:
            seconds = time.monotonic() - state.started
            self.ended += 1
            self.run_seconds += seconds
            if status in SCORED:
                self._seconds.append(seconds)
        state.summary = read_summary(state.run.folder)
        state.status = DAMAGED if state.summary.status == DAMAGED else status
        state.error = state.summary.error if state.status in BAD and error is None else error

    def seconds_left(self, slots: int) -> float | None:
        """How long the rest takes, from the runs that ended since the start, else from earlier records."""
        known = self._seconds or [state.summary.seconds for state in self.with_status(*SCORED)]
        if not known:
            return None
        mean, now = sum(known) / len(known), time.monotonic()
        left = mean * len(self.with_status(WAITING))
        left += sum(max(0.0, mean - (now - state.started)) for state in self.with_status(RUNNING))
        return left / slots


def read_run_state(run: StudyRun, *, retry_failed: bool = False) -> RunState:
    """Where a run stands by its folder; one that was killed, interrupted or never started waits."""
    summary = read_summary(run.folder)
    status: str = summary.status
    if status == "running":
        status = ELSEWHERE
    elif summary.is_left or (status == "failed" and retry_failed):
        status = WAITING
    return RunState(run, status, summary, summary.error if status in BAD else None)
