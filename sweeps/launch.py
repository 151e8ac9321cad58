"""Study x engine -> records: starts what is missing, goes on with what was cut off; no run takes others with it."""

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import msgspec

from core.config.schema import RunConfig
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
from sweeps.run_states import (
    ELSEWHERE,
    RUNNING,
    WAITING,
    RunState,
    RunStates,
    read_run_state,
)

ATTEMPTS = 3
"""How often in a row a run's process may die, or be told to stop by others, without getting any further."""
WAIT_SECONDS, ELSEWHERE_SECONDS, CLOSE_SECONDS = 0.5, 2.0, 5.0

Tell = Callable[[RunState], None]
Feed = Callable[[], Iterable[PlannedRun]]


class Launcher:
    """Brings the runs of a board to their records on an engine; `tell` hears of every change.


    `feed` is asked again and again for more runs; each is among the run states before it gives the next.
    """

    def __init__(
        self,
        run_states: RunStates,
        engine: Engine,
        plan: Plan,
        *,
        tell: Tell = lambda state: None,
        attempts: int = ATTEMPTS,
        feed: Feed = tuple,
    ) -> None:
        self.run_states, self.engine, self.tell, self.attempts, self._feed = run_states, engine, tell, attempts, feed
        self._configs: dict[str, RunConfig] = {}
        self._folders: dict[Path, str] = {}
        for run in plan.runs:
            self._know(run)
        self._looked = time.monotonic()

    def run(self, stop: StopRequest) -> None:
        """Compute what waits. Asked to stop, let the running ones save; raised a KeyboardInterrupt, kill them."""
        stopping = False
        for state in self.run_states.with_status(*FINAL):
            self._tidy(state)
        try:
            while True:
                if stop.asked and not stopping:
                    stopping = True
                    self.engine.cancel()
                if not stopping:
                    self._take_new()
                    self._fill()
                if not self.run_states.with_status(RUNNING) and (stopping or self._is_done()):
                    return
                for ended in self.engine.wait(WAIT_SECONDS):
                    self._ended(ended, stopping=stopping)
                if self.run_states.with_status(ELSEWHERE) and not self.run_states.with_status(RUNNING, WAITING):
                    # Everything that is left is computed elsewhere: an engine with nothing to do does not wait.
                    time.sleep(WAIT_SECONDS)
                self._look_elsewhere()
        except KeyboardInterrupt:
            self.engine.cancel(now=True)
            self._hear_out()
            raise

    def _hear_out(self) -> None:
        until = time.monotonic() + CLOSE_SECONDS
        while self.run_states.with_status(RUNNING) and time.monotonic() < until:
            for ended in self.engine.wait(WAIT_SECONDS):
                self._ended(ended, stopping=True)

    def _take_new(self) -> bool:
        """Take in the runs that `feed` gives; whether there was any."""
        taken = False
        for run in self._feed():
            self._know(run)
            self.run_states.add(run)
            taken = True
        return taken

    def _know(self, run: PlannedRun) -> None:
        self._configs[run.run_id], self._folders[run.folder] = run.config, run.run_id

    def _is_done(self) -> bool:
        # Runs that could not even start have made room that nobody was asked to fill.
        return not self.run_states.with_status(WAITING, ELSEWHERE) and not self._take_new()

    def _fill(self) -> None:
        running = len(self.run_states.with_status(RUNNING))
        for state in self.run_states.with_status(WAITING):
            if running >= self.engine.slots:
                return
            if is_locked(state.run.folder):
                self._change(state, ELSEWHERE)
                continue
            try:
                if state.again:
                    set_aside(state.run.folder)
                    state.again = False
                open_run_folder(state.run.folder, self._configs[state.run.run_id])
            except UserError as error:
                self._change(state, "failed", str(error))
                continue
            self.run_states.start(state)
            self.tell(state)
            self.engine.submit(state.run.folder)
            running += 1

    def _ended(self, ended: EndedRun, *, stopping: bool) -> None:
        state = self.run_states.by_id[self._folders[ended.folder]]
        found = read_run_state(state.run)
        if ended.status == "cancelled":
            self._change(state, WAITING)
        elif found.status in (*FINAL, ELSEWHERE):
            # What its record says is what became of it, also where its process died right after writing that.
            self._change(state, found.status, found.error)
            self._tidy(state)
        elif ended.status == "refused":
            self._change(state, "failed", ended.error)
        elif ended.status not in ("killed", "interrupted"):
            self._change(state, ended.status, ended.error)
        elif stopping:
            self._change(state, "interrupted")
        else:
            self._go_on(state, ended.error)

    def _go_on(self, state: RunState, reason: str | None) -> None:
        """Pre-empted or killed, which says nothing about the run: it goes on from its checkpoint, while it gets on."""
        steps = last_step(state.run.folder / HISTORY)
        if steps > state.steps:
            state.attempts, state.steps = 0, steps
        state.attempts += 1
        if state.attempts < self.attempts:
            self._change(state, WAITING, reason)
        else:
            self._give_up(state, reason or "its process was told to stop")

    def _give_up(self, state: RunState, reason: str) -> None:
        error = f"{reason}; {self.attempts} times in a row without getting any further"
        try:
            record = read_record(state.run.folder)
            if record is None:
                config = self._configs[state.run.run_id].model_dump(mode="json")
                record = RunRecord(run_id=state.run.run_id, status="failed", config=config)
            write_record(state.run.folder, msgspec.structs.replace(record, status="failed", error=error))
        except (OSError, UserError) as trouble:
            error = f"{error}; this could not be recorded: {trouble}"
        self._change(state, "failed", error)

    def _tidy(self, state: RunState) -> None:
        # A folder that only others may write stays as it is: its record is whole.
        with suppress(OSError, UserError):
            clean_up_if_killed(state.run.folder)

    def _look_elsewhere(self) -> None:
        if time.monotonic() - self._looked < ELSEWHERE_SECONDS:
            return
        self._looked = time.monotonic()
        for state in self.run_states.with_status(ELSEWHERE):
            now = read_run_state(state.run)
            if now.status != ELSEWHERE:
                self._change(state, now.status, now.error)

    def _change(self, state: RunState, status: str, error: str | None = None) -> None:
        self.run_states.end(state, status, error)
        self.tell(state)


def exit_code(run_states: RunStates, *, stopped: bool) -> int:
    """0 where every run is finished, 130 where the user stopped it, 1 where some run failed."""
    if all(state.status in SCORED for state in run_states):
        return 0
    return 130 if stopped else 1
