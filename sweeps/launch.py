"""Launcher: computes what a study lacks on an engine, and resumes what was interrupted or killed."""

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import msgspec

from core.errors import UserError
from core.files import is_locked
from core.progress import StopRequest
from core.records.history import last_step
from core.records.record import (
    FINAL,
    HISTORY,
    SCORED,
    RunRecord,
    clean_up_if_killed,
    open_run_folder,
    read_record,
    write_record,
)
from studies.checks import set_aside
from studies.plan import Plan, PlannedRun
from sweeps.engines.engine import EndedRun, Engine
from sweeps.run_states import ELSEWHERE, RUNNING, WAITING, RunState, RunStates, read_run_state

ATTEMPTS = 3
"""How often in a row a run may be killed, or asked to stop by others, without getting any further."""
WAIT_SECONDS, ELSEWHERE_SECONDS, KILL_SECONDS = 0.5, 2.0, 5.0


class Launcher:
    """Brings the runs of a study to their records on an engine.

    `on_change` is called with every run whose state has changed. `feed` is asked again and again for more runs; each is
    among the run states before it gives the next.
    """

    def __init__(
        self,
        run_states: RunStates,
        engine: Engine,
        plan: Plan,
        *,
        on_change: Callable[[RunState], None] = lambda state: None,
        attempts: int = ATTEMPTS,
        feed: Callable[[], Iterable[PlannedRun]] = tuple,
    ) -> None:
        self.run_states, self.engine, self.attempts = run_states, engine, attempts
        self._on_change, self._feed = on_change, feed
        self._planned: dict[Path, PlannedRun] = {run.folder: run for run in plan.runs}
        self._checked_elsewhere = time.monotonic()

    def run(self, stop: StopRequest) -> None:
        """Compute what waits. On a stop request let the running ones save; on a KeyboardInterrupt kill them."""
        stopping = False
        for state in self.run_states.with_status(*FINAL):
            self._clean_up(state)
        try:
            while True:
                if stop.asked and not stopping:
                    stopping = True
                    self.engine.cancel()
                has_new = not stopping and self._take_new_runs()
                if not stopping:
                    self._submit_waiting()
                # New ones that could not even start have left slots, for which `feed` is asked again.
                is_left = has_new or self.run_states.with_status(WAITING, ELSEWHERE)
                if not self.run_states.with_status(RUNNING) and (stopping or not is_left):
                    return
                for ended in self.engine.wait(WAIT_SECONDS):
                    self._end(ended, stopping=stopping)
                if self.run_states.with_status(ELSEWHERE) and not self.run_states.with_status(RUNNING, WAITING):
                    # Everything that is left is computed elsewhere: an engine with nothing to do does not wait.
                    time.sleep(WAIT_SECONDS)
                self._check_elsewhere()
        except KeyboardInterrupt:
            self.engine.cancel(now=True)
            until = time.monotonic() + KILL_SECONDS
            while self.run_states.with_status(RUNNING) and time.monotonic() < until:
                for ended in self.engine.wait(WAIT_SECONDS):
                    self._end(ended, stopping=True)
            raise

    def submit(self) -> int:
        """Submit what waits, as much as the engine takes; how many runs it has now."""
        self._submit_waiting()
        return len(self.run_states.with_status(RUNNING))

    def _take_new_runs(self) -> bool:
        """Add the runs that `feed` gives; whether there was any."""
        is_any = False
        for run in self._feed():
            self._planned[run.folder] = run
            self.run_states.add(run)
            is_any = True
        return is_any

    def _submit_waiting(self) -> None:
        running = len(self.run_states.with_status(RUNNING))
        for state in self.run_states.with_status(WAITING, ELSEWHERE):
            if self.engine.has(state.run.folder):
                self._submit(state)
                running += 1
                continue
            if state.status == ELSEWHERE or running >= self.engine.slots:
                continue
            if is_locked(state.run.folder):
                self._change(state, ELSEWHERE)
                continue
            try:
                if state.to_repeat:
                    set_aside(state.run.folder)
                    state.to_repeat = False
                open_run_folder(state.run.folder, self._planned[state.run.folder].config)
            except UserError as error:
                self._change(state, "failed", str(error))
                continue
            self._submit(state)
            running += 1

    def _submit(self, state: RunState) -> None:
        self.run_states.start(state)
        self._on_change(state)
        self.engine.submit(state.run.folder)

    def _end(self, ended: EndedRun, *, stopping: bool) -> None:
        state = self.run_states.by_id[self._planned[ended.folder].run_id]
        recorded = read_run_state(state.run)
        if ended.status == "cancelled":
            self._change(state, WAITING)
        elif recorded.status in (*FINAL, ELSEWHERE):
            # What its record says is what became of it, also where its process was killed right after writing that.
            self._change(state, recorded.status, recorded.error)
            self._clean_up(state)
        elif ended.status not in ("killed", "interrupted", "preempted"):
            self._change(state, "failed" if ended.status == "refused" else ended.status, ended.error)
        elif stopping:
            self._change(state, "interrupted")
        elif ended.status == "preempted":
            # A time limit is not the run's fault, and no attempt of its.
            self._change(state, WAITING, ended.error)
        else:
            self._resume(state, ended.error or "its process was asked to stop")

    def _resume(self, state: RunState, reason: str) -> None:
        """Let a run that was killed or pre-empted resume from its checkpoint, as long as it gets further."""
        steps = last_step(state.run.folder / HISTORY)
        if steps > state.steps:
            state.attempts, state.steps = 0, steps
        state.attempts += 1
        if state.attempts < self.attempts:
            self._change(state, WAITING, reason)
            return
        error = f"{reason}; {self.attempts} times in a row without getting any further"
        try:
            record = read_record(state.run.folder)
            if record is None:
                config = self._planned[state.run.folder].config.model_dump(mode="json")
                record = RunRecord(run_id=state.run.run_id, status="failed", config=config)
            write_record(state.run.folder, msgspec.structs.replace(record, status="failed", error=error))
        except (OSError, UserError) as trouble:
            error = f"{error}; this could not be recorded: {trouble}"
        self._change(state, "failed", error)

    def _clean_up(self, state: RunState) -> None:
        # A folder that only others may write stays as it is: its record is whole.
        with suppress(OSError, UserError):
            clean_up_if_killed(state.run.folder)

    def _check_elsewhere(self) -> None:
        if time.monotonic() - self._checked_elsewhere < ELSEWHERE_SECONDS:
            return
        self._checked_elsewhere = time.monotonic()
        for state in self.run_states.with_status(ELSEWHERE):
            now = read_run_state(state.run)
            if now.status != ELSEWHERE:
                self._change(state, now.status, now.error)

    def _change(self, state: RunState, status: str, error: str | None = None) -> None:
        self.run_states.end(state, status, error)
        self._on_change(state)


def exit_code(run_states: RunStates, *, stopped: bool) -> int:
    """0 where every run is finished, 130 where the user stopped it, 1 where some run failed."""
    if all(state.status in SCORED for state in run_states):
        return 0
    return 130 if stopped else 1
