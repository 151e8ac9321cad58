"""Launcher: what it starts, keeps, tries again and gives up, with runs that only write a record."""

import os
import signal
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from core.config.presets import to_yaml
from core.files import HOLDER_FILE, lock_folder
from core.progress import stop_on_signals
from core.records.history import STEP, History
from core.records.record import (
    CONFIG,
    HISTORY,
    LAST,
    RECORD,
    RunRecord,
    read_record,
    write_record,
)
from studies.plan import Plan
from sweeps.engines.engine import EndedRun
from sweeps.engines.in_process import InProcessEngine
from sweeps.launch import ATTEMPTS, Launcher, exit_code
from sweeps.run_states import count_statuses
from tests.sweeps.fake_study import FakeRun, compute, read_states, run_ids


def test_everything_is_computed_once_seed_by_seed_and_never_again(planned: Plan) -> None:
    run = FakeRun()
    run_states = compute(planned, run)
    assert run.computed == run_ids(planned)
    assert exit_code(run_states, stopped=False) == 0
    again = compute(planned, run)
    assert run.computed == run_ids(planned)
    assert exit_code(again, stopped=False) == 0


def test_a_failed_run_is_shown_the_others_continue_and_it_is_retried_on_request(planned: Plan) -> None:
    run, bad = FakeRun(), run_ids(planned)[1]
    run.status_of[bad] = "failed"
    run_states = compute(planned, run)
    assert run_states.by_id[bad].status == "failed"
    assert run_states.by_id[bad].error == "its error"
    assert exit_code(run_states, stopped=False) == 1
    assert len(run_states.with_status("finished")) == 3
    run.status_of.clear()
    compute(planned, run)
    assert len(run.computed) == 4
    retried = compute(planned, run, retry_failed=True)
    assert run.computed[4:] == [bad]
    assert exit_code(retried, stopped=False) == 0


def test_a_run_that_is_refused_keeps_its_reason(planned: Plan) -> None:
    run, bad = FakeRun(), run_ids(planned)[0]
    run.status_of[bad] = "raises"
    run_states = compute(planned, run)
    assert (run_states.by_id[bad].status, run_states.by_id[bad].error) == ("failed", "no such document")
    assert len(run_states.with_status("finished")) == 3


def test_killed_and_interrupted_runs_are_resumed(planned: Plan) -> None:
    for planned_run, status in zip(planned.runs, ("running", "interrupted"), strict=False):
        planned_run.folder.mkdir(parents=True)
        write_record(planned_run.folder, RunRecord(run_id=planned_run.run_id, status=status, config={}))
    run = FakeRun()
    compute(planned, run)
    assert run.computed == run_ids(planned)


def test_a_damaged_record_is_shown_and_left_alone(planned: Plan) -> None:
    broken = planned.runs[2]
    broken.folder.mkdir(parents=True)
    (broken.folder / RECORD).write_text('{"run_id": "x", ')
    run = FakeRun()
    run_states = compute(planned, run)
    assert run_states.by_id[broken.run_id].status == "damaged"
    assert "is damaged" in (run_states.by_id[broken.run_id].error or "")
    assert broken.run_id not in run.computed
    assert len(run_states.with_status("finished")) == 3
    assert (broken.folder / RECORD).read_text() == '{"run_id": "x", '


def test_a_folder_that_cannot_be_written_fails_alone(planned: Plan) -> None:
    # A file where the folder should be: as root a read-only folder would not stop anything.
    blocked = planned.runs[0].folder
    blocked.parent.mkdir(parents=True)
    blocked.write_text("")
    run = FakeRun()
    run_states = compute(planned, run)
    assert run_states.by_id[planned.runs[0].run_id].status == "failed"
    assert "give a folder that is yours" in (run_states.by_id[planned.runs[0].run_id].error or "")
    assert len(run_states.with_status("finished")) == 3


def test_a_run_that_another_process_computes_is_waited_for(planned: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweeps.launch.ELSEWHERE_SECONDS", 0.05)
    other, run = planned.runs[0], FakeRun()
    other.folder.mkdir(parents=True)
    held = lock_folder(other.folder)
    held.__enter__()

    def finish() -> None:
        write_record(other.folder, RunRecord(run_id=other.run_id, status="finished", config={}))
        held.__exit__(None, None, None)

    threading.Timer(0.4, finish).start()
    run_states = compute(planned, run)
    assert run.computed == run_ids(planned)[1:]
    assert run_states.by_id[other.run_id].status == "finished"


def test_a_run_that_an_earlier_driver_left_to_the_engine_is_followed_and_not_opened_anew(planned: Plan) -> None:
    locked, waits = planned.runs[0].folder, planned.runs[3].folder

    class Remembering(InProcessEngine):
        def has(self, folder: Path) -> bool:
            return folder in (locked, waits) and folder not in submitted

        def submit(self, folder: Path) -> None:
            submitted.append(folder)
            super().submit(folder)

    submitted: list[Path] = []
    for folder in (locked, waits):
        folder.mkdir(parents=True)
        (folder / CONFIG).write_text(to_yaml(planned.configs["one" if folder == locked else "two"]))
    before = (waits / CONFIG).stat().st_ino
    with lock_folder(locked), stop_on_signals() as stop:
        run_states = read_states(planned)
        assert [state.run.folder for state in run_states.with_status("elsewhere")] == [locked]
        Launcher(run_states, Remembering(FakeRun()), planned).run(stop)
    assert exit_code(run_states, stopped=False) == 0
    # However few slots there are: these are in its queue already.
    assert submitted[:2] == [locked, waits]
    assert (waits / CONFIG).stat().st_ino == before


class KillingEngine(InProcessEngine):
    """An engine whose process is killed under a certain run."""

    def __init__(self, run: Callable[[Path], str], dies: Path, times: int) -> None:
        super().__init__(run)
        self.dies, self.left, self.submitted = dies, times, 0

    def submit(self, folder: Path) -> None:
        self.submitted += folder == self.dies
        if folder == self.dies and self.left:
            self.left -= 1
            self._ended.append(EndedRun(folder, "killed", "its process was killed (SIGKILL)"))
        else:
            super().submit(folder)


@pytest.mark.parametrize(("times", "status"), [(1, "finished"), (ATTEMPTS, "failed")])
def test_a_run_whose_process_is_killed_resumes_until_it_is_given_up(planned: Plan, times: int, status: str) -> None:
    victim = planned.runs[1]
    run = FakeRun()
    engine = KillingEngine(run, victim.folder, times)
    run_states = compute(planned, engine)
    assert run_states.by_id[victim.run_id].status == status
    assert engine.submitted == min(times + 1, ATTEMPTS)
    assert len(run_states.with_status("finished")) == (4 if status == "finished" else 3)
    if status == "failed":
        record = read_record(victim.folder)
        assert record is not None
        assert record.status == "failed"
        assert "SIGKILL" in (record.error or "")


def test_a_run_that_gets_further_each_time_is_never_given_up(planned: Plan) -> None:
    victim = planned.runs[1]
    run = FakeRun()

    class Preempting(KillingEngine):
        def submit(self, folder: Path) -> None:
            if folder == victim.folder:
                History(folder / HISTORY).add(STEP, self.submitted + 1, {})
            super().submit(folder)

    engine = Preempting(run, victim.folder, 4 * ATTEMPTS)
    run_states = compute(planned, engine)
    assert run_states.by_id[victim.run_id].status == "finished"
    assert engine.submitted == 4 * ATTEMPTS + 1


def test_a_time_limit_is_no_attempt(planned: Plan) -> None:
    victim = planned.runs[1]

    class Limited(InProcessEngine):
        limits = 0

        def submit(self, folder: Path) -> None:
            if folder == victim.folder and self.limits < 4 * ATTEMPTS:
                self.limits += 1
                self._ended.append(EndedRun(folder, "preempted", "its time was over"))
            else:
                super().submit(folder)

    engine = Limited(FakeRun())
    run_states = compute(planned, engine)
    assert engine.limits == 4 * ATTEMPTS
    assert exit_code(run_states, stopped=False) == 0


def test_a_run_that_is_refused_as_it_lives_on_elsewhere_is_waited_for(
    planned: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweeps.launch.ELSEWHERE_SECONDS", 0.05)
    victim = planned.runs[1]
    lives = ExitStack()

    class Refusing(InProcessEngine):
        def submit(self, folder: Path) -> None:
            if folder != victim.folder:
                super().submit(folder)
                return
            # A node's daemon died, its run did not, and the scheduler started the run once more.
            write_record(folder, RunRecord(run_id=victim.run_id, status="running", config={}))
            lives.enter_context(lock_folder(folder))
            self._ended.append(EndedRun(folder, "refused", "is being computed by process 7 on n0"))

    def finish() -> None:
        write_record(victim.folder, RunRecord(run_id=victim.run_id, status="finished", config={}))
        lives.close()

    threading.Timer(0.5, finish).start()
    run_states = compute(planned, Refusing(FakeRun()))
    assert run_states.by_id[victim.run_id].status == "finished"
    assert exit_code(run_states, stopped=False) == 0


def test_a_process_that_was_killed_right_after_the_last_record_cost_nothing(planned: Plan) -> None:
    victim = planned.runs[1]
    run = FakeRun()

    class KillingLate(KillingEngine):
        def submit(self, folder: Path) -> None:
            if folder == victim.folder:
                run(folder)
                (folder / HOLDER_FILE).write_text("process 1 on this machine")
                (folder / LAST).parent.mkdir()
                (folder / LAST).write_text("optimiser state")
            super().submit(folder)

    engine = KillingLate(run, victim.folder, 1)
    run_states = compute(planned, engine)
    assert run.computed == run_ids(planned)
    assert engine.submitted == 1
    assert exit_code(run_states, stopped=False) == 0
    assert not (victim.folder / HOLDER_FILE).exists()
    assert not (victim.folder / LAST).exists()


def test_a_second_ctrl_c_kills_and_reads_what_became_of_the_runs(planned: Plan) -> None:
    class Interrupted(InProcessEngine):
        killed = False

        def wait(self, seconds: float) -> list[EndedRun]:
            if self.killed:
                ended = [EndedRun(folder, "killed", "killed") for folder in self._queue]
                self._queue.clear()
                return ended
            raise KeyboardInterrupt

        def cancel(self, *, now: bool = False) -> None:
            self.killed = now

    run_states, run = read_states(planned), FakeRun()
    with pytest.raises(KeyboardInterrupt), stop_on_signals() as stop:
        Launcher(run_states, Interrupted(run), planned).run(stop)
    assert count_statuses(run_states) == "1 interrupted, 3 waiting"
    assert exit_code(run_states, stopped=True) == 130


def test_waiting_for_other_processes_is_no_busy_waiting(planned: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweeps.launch.ELSEWHERE_SECONDS", 0.05)
    monkeypatch.setattr("sweeps.launch.WAIT_SECONDS", 0.1)
    waits = []

    class Counting(InProcessEngine):
        def wait(self, seconds: float) -> list[EndedRun]:
            waits.append(seconds)
            return super().wait(seconds)

    for planned_run in planned.runs:
        planned_run.folder.mkdir(parents=True)
    with ExitStack() as held:
        for planned_run in planned.runs:
            held.enter_context(lock_folder(planned_run.folder))
        run_states = read_states(planned)
        assert len(run_states.with_status("elsewhere")) == 4
        threading.Timer(0.5, held.close).start()
        with stop_on_signals() as stop:
            Launcher(run_states, Counting(FakeRun()), planned).run(stop)
    assert exit_code(run_states, stopped=False) == 0
    assert len(waits) < 30


def test_a_stop_starts_nothing_more(planned: Plan) -> None:
    run = FakeRun()

    def stopped_in_the_second(folder: Path) -> str:
        if len(run.computed) == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return run(folder)

    run_states = compute(planned, stopped_in_the_second)
    assert len(run.computed) == 2
    assert exit_code(run_states, stopped=True) == 130
    assert len(run_states.with_status("waiting")) == 2
    assert exit_code(compute(planned, run), stopped=False) == 0
    assert run.computed == run_ids(planned)
