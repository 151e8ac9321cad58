"""The driver of a study, with runs that only pretend: what it starts, keeps, tries again and gives up."""

import io
import os
import signal
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest
from rich.console import Console
from rich.text import Text

from core.config.presets import from_yaml
from core.config.signature import run_id
from core.data.formats.docred import write_docred
from core.data.synthetic import generate
from core.errors import UserError
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
from engram import main
from studies.plan import Plan, plan
from studies.record import StudyRun, write_study_record
from studies.study import Row, Study
from sweeps.commands import LAUNCH_TIMINGS, LaunchTiming, append_timing, read_last_timing
from sweeps.display import Screen, grid, live_display
from sweeps.engines.engine import EndedRun
from sweeps.engines.in_process import InProcessEngine
from sweeps.launch import ATTEMPTS, Launcher, exit_code
from sweeps.run_states import RunStates, count_statuses


@pytest.fixture
def planned(tmp_path: Path) -> Plan:
    path = tmp_path / "documents.json"
    write_docred(generate(3), path)
    rows = {"one": Row(preset="jerex-grc"), "two": Row(preset="memory-grc")}
    study = Study(question="?", rows=rows, baseline="one", seeds=(0, 1), name="mine")
    data = {"data": {"name": None, "train": str(path), "test": str(path)}}
    return plan(study, profile="quick", runs=tmp_path / "runs", settings=data)


class FakeRun:
    """Writes a record instead of computing; `status_of` may say otherwise for some runs."""

    def __init__(self) -> None:
        self.computed: list[str] = []
        self.status_of: dict[str, str] = {}

    def __call__(self, folder: Path) -> str:
        config = from_yaml(folder / CONFIG)
        name = run_id(config)
        self.computed.append(name)
        status = self.status_of.get(name, "finished")
        if status == "raises":
            raise UserError("no such document")
        metrics = {"test": {"relation_strict": {"f1": 40.0 + config.seed}}} if status == "finished" else {}
        record = RunRecord(run_id=name, status=status, config={}, metrics=metrics, error="its error", seconds=2.0)
        write_record(folder, record)
        return status


def board_of(planned: Plan, *, retry_failed: bool = False) -> RunStates:
    return RunStates(planned.study, planned.runs, planned.shared, retry_failed=retry_failed)


def bring(planned: Plan, run: Callable[[Path], str], *, retry_failed: bool = False) -> RunStates:
    run_states = board_of(planned, retry_failed=retry_failed)
    with stop_on_signals() as stop:
        Launcher(run_states, InProcessEngine(run), planned).run(stop)
    return run_states


def ids(planned: Plan) -> list[str]:
    return [run.run_id for run in planned.runs]


def test_everything_is_computed_once_seed_by_seed_and_never_again(planned: Plan) -> None:
    run = FakeRun()
    run_states = bring(planned, run)
    assert run.computed == ids(planned)
    assert exit_code(run_states, stopped=False) == 0
    again = bring(planned, run)
    assert run.computed == ids(planned)
    assert exit_code(again, stopped=False) == 0


def test_a_failed_run_is_shown_the_others_go_on_and_it_is_retried_when_asked(planned: Plan) -> None:
    run, bad = FakeRun(), ids(planned)[1]
    run.status_of[bad] = "failed"
    run_states = bring(planned, run)
    assert run_states.by_id[bad].status == "failed"
    assert run_states.by_id[bad].error == "its error"
    assert exit_code(run_states, stopped=False) == 1
    assert len(run_states.with_status("finished")) == 3
    run.status_of.clear()
    bring(planned, run)
    assert len(run.computed) == 4
    retried = bring(planned, run, retry_failed=True)
    assert run.computed[4:] == [bad]
    assert exit_code(retried, stopped=False) == 0


def test_a_run_that_is_refused_keeps_its_reason(planned: Plan) -> None:
    run, bad = FakeRun(), ids(planned)[0]
    run.status_of[bad] = "raises"
    run_states = bring(planned, run)
    assert (run_states.by_id[bad].status, run_states.by_id[bad].error) == ("failed", "no such document")
    assert len(run_states.with_status("finished")) == 3


def test_cut_off_and_interrupted_runs_are_taken_up(planned: Plan) -> None:
    for one, status in zip(planned.runs, ("running", "interrupted"), strict=False):
        one.folder.mkdir(parents=True)
        write_record(one.folder, RunRecord(run_id=one.run_id, status=status, config={}))
    run = FakeRun()
    bring(planned, run)
    assert run.computed == ids(planned)


def test_a_damaged_record_is_shown_and_left_alone(planned: Plan) -> None:
    broken = planned.runs[2]
    broken.folder.mkdir(parents=True)
    (broken.folder / RECORD).write_text('{"run_id": "x", ')
    run = FakeRun()
    run_states = bring(planned, run)
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
    run_states = bring(planned, run)
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
    run_states = bring(planned, run)
    assert run.computed == ids(planned)[1:]
    assert run_states.by_id[other.run_id].status == "finished"


class DyingEngine(InProcessEngine):
    """One whose process dies under a certain run."""

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
def test_a_run_whose_process_dies_goes_on_until_it_is_given_up(planned: Plan, times: int, status: str) -> None:
    victim = planned.runs[1]
    run_states, run = board_of(planned), FakeRun()
    engine = DyingEngine(run, victim.folder, times)
    with stop_on_signals() as stop:
        Launcher(run_states, engine, planned).run(stop)
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
    run_states, run = board_of(planned), FakeRun()

    class Preempting(DyingEngine):
        def submit(self, folder: Path) -> None:
            if folder == victim.folder:
                History(folder / HISTORY).add(STEP, self.submitted + 1, {})
            super().submit(folder)

    engine = Preempting(run, victim.folder, 4 * ATTEMPTS)
    with stop_on_signals() as stop:
        Launcher(run_states, engine, planned).run(stop)
    assert run_states.by_id[victim.run_id].status == "finished"
    assert engine.submitted == 4 * ATTEMPTS + 1


def test_a_process_that_died_right_after_the_last_record_cost_nothing(planned: Plan) -> None:
    victim = planned.runs[1]
    run_states, run = board_of(planned), FakeRun()

    class DyingLate(DyingEngine):
        def submit(self, folder: Path) -> None:
            if folder == victim.folder:
                run(folder)
                (folder / HOLDER_FILE).write_text("process 1 on this machine")
                (folder / LAST).parent.mkdir()
                (folder / LAST).write_text("optimiser state")
            super().submit(folder)

    engine = DyingLate(run, victim.folder, 1)
    with stop_on_signals() as stop:
        Launcher(run_states, engine, planned).run(stop)
    assert run.computed == ids(planned)
    assert engine.submitted == 1
    assert exit_code(run_states, stopped=False) == 0
    assert not (victim.folder / HOLDER_FILE).exists()
    assert not (victim.folder / LAST).exists()


def test_a_second_ctrl_c_kills_and_hears_what_became_of_the_runs(planned: Plan) -> None:
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

    run_states, run = board_of(planned), FakeRun()
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

    for one in planned.runs:
        one.folder.mkdir(parents=True)
    with ExitStack() as held:
        for one in planned.runs:
            held.enter_context(lock_folder(one.folder))
        run_states = board_of(planned)
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

    run_states = bring(planned, stopped_in_the_second)
    assert len(run.computed) == 2
    assert exit_code(run_states, stopped=True) == 130
    assert len(run_states.with_status("waiting")) == 2
    assert exit_code(bring(planned, run), stopped=False) == 0
    assert run.computed == ids(planned)


def test_the_grid_shows_rows_seeds_and_spread(planned: Plan) -> None:
    run_states = bring(planned, FakeRun())
    table = grid(run_states)
    columns = {str(column.header): [str(cell) for cell in column.cells] for column in table.columns}
    assert columns["row"] == ["one", "two"]
    assert columns["s0"] == columns["s1"] == ["●", "●"]
    assert columns["relation_strict F1"] == ["40.50 ± 0.71", "40.50 ± 0.71"]
    assert columns["n"] == ["2", "2"]


def test_status_says_how_far_a_study_is(planned: Plan, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = FakeRun()
    run.status_of[ids(planned)[3]] = "failed"
    bring(planned, run)
    write_study_record(tmp_path / "runs", planned.record())
    planned.runs[2].folder.joinpath(RECORD).unlink()
    assert main(["study", "status", "mine", "--runs", str(tmp_path / "runs")]) == 1
    out = capsys.readouterr().out
    assert "1 failed, 2 finished, 1 waiting" in out
    assert "two seed 1 failed: its error" in out
    assert [line.split() for line in out.splitlines()[1:3]] == [
        ["one", "●", "·", "40.00", "1"],
        ["two", "●", "✗", "40.00", "1"],
    ]


def test_in_a_terminal_the_grid_stands_and_what_went_wrong_is_a_line(planned: Plan) -> None:
    run, bad = FakeRun(), ids(planned)[1]
    run.status_of[bad] = "failed"
    run_states, shown = board_of(planned), io.StringIO()
    console = Console(file=shown, force_terminal=True, width=120)
    with stop_on_signals() as stop, live_display(Screen(run_states, slots=1), console=console) as told:
        told.note("a note")
        Launcher(run_states, InProcessEngine(run), planned, on_change=told.show_run).run(stop)
    out = shown.getvalue()
    assert "a note" in out
    assert "two seed 0  failed  its error" in out
    assert "one seed 0  finished" not in out
    assert "1 failed, 3 finished" in out


def test_status_tells_killed_and_interrupted_from_never_started(planned: Plan) -> None:
    for one, status in zip(planned.runs, ("running", "interrupted", "failed"), strict=False):
        one.folder.mkdir(parents=True)
        write_record(one.folder, RunRecord(run_id=one.run_id, status=status, config={}))
    assert count_statuses(board_of(planned)) == "1 failed, 1 interrupted, 1 killed, 1 waiting"
    assert count_statuses(board_of(planned, retry_failed=True)) == "1 interrupted, 1 killed, 2 waiting"


def test_what_a_study_took_is_kept_and_shown(planned: Plan, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    account = LaunchTiming(started="2030-01-02 03:04:05 UTC", seconds=100.0, jobs=2, ended=9, run_seconds=196.0)
    assert account.overhead == pytest.approx(0.02)
    folder = write_study_record(tmp_path / "runs", planned.record()).parent
    assert read_last_timing(folder) is None
    append_timing(folder, msgspec.structs.replace(account, ended=1))
    append_timing(folder, account)
    with open(folder / LAUNCH_TIMINGS, "a") as file:
        file.write('{"started": "cut o')
    assert read_last_timing(folder) == account
    main(["study", "status", "mine", "--runs", str(tmp_path / "runs")])
    assert (
        "last computed 2030-01-02 03:04:05 UTC: 9 runs in 100.0 s, 2 at once (196.0 s in sum; overhead of the driver "
        "2.0 %)\n"
    ) in capsys.readouterr().out


def test_of_more_rows_than_the_screen_has_lines_those_that_move_are_shown(tmp_path: Path) -> None:
    rows = {f"row-{number}-with-a-name-that-is-far-too-long-for-a-terminal": Row(preset="a") for number in range(100)}
    study = Study(question="?", rows=rows, baseline=next(iter(rows)), seeds=(0, 1), name="mine")
    runs = [StudyRun(row, seed, f"{row}-s{seed}", tmp_path / row / f"s{seed}") for seed in (0, 1) for row in rows]
    run_states = RunStates(study, runs, {})
    states = list(run_states)
    for state in states[:57]:
        state.status = "finished"
    run_states.start(states[57])
    run_states.start(states[58])
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=60, height=20)
    console.print(Screen(run_states, slots=2))
    lines = text.getvalue().splitlines()
    assert len(lines) <= 19
    assert all(Text.from_ansi(line).cell_len <= 60 for line in lines)
    shown = [Text.from_ansi(line).plain for line in lines]
    assert [line.split()[0][:6] for line in shown[1:-2]] == [f"row-{number}" for number in range(50, 65)]
    assert "▶" in shown[8]
    assert "▶" in shown[9]
    assert shown[-2].startswith("… and 85 other rows: 50 finished, 120 waiting")
    assert shown[-1].startswith("57 finished, 2 running, 141 waiting")


def test_many_seeds_stand_in_one_column(tmp_path: Path) -> None:
    study = Study(question="?", rows={"a": Row(preset="a")}, baseline="a", seeds=tuple(range(30)), name="mine")
    runs = [StudyRun("a", seed, f"a-s{seed}", tmp_path / f"s{seed}") for seed in range(30)]
    run_states = RunStates(study, runs, {})
    table = grid(run_states)
    assert [str(column.header) for column in table.columns] == ["row", "30 seeds", "relation_strict F1", "n"]
    assert [str(cell) for cell in table.columns[1].cells] == ["·" * 30]


@pytest.mark.parametrize("more", [("--jobs", "2"), ("--devices", "cpu")])
def test_in_process_takes_one_run_at_a_time(
    tmp_path: Path, more: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "documents.json"
    write_docred(generate(3), path)
    arguments = ["study", "run", "paper", "--runs", str(tmp_path / "runs"), "--data.name", "none"]
    arguments += ["--data.train", str(path), "--wandb", "disabled", "--engine", "in-process", *more]
    assert main(arguments) == 2
    assert "one run at a time in this process: leave out --jobs and --devices" in capsys.readouterr().err


def test_time_left_is_read_off_earlier_runs(planned: Plan) -> None:
    run = FakeRun()
    bring(planned, run)
    last = planned.runs[-1].folder / RECORD
    last.unlink()
    run_states = board_of(planned)
    assert run_states.seconds_left(1) == pytest.approx(2.0)
    assert run_states.seconds_left(2) == pytest.approx(1.0)
    assert msgspec.json.decode((planned.runs[0].folder / RECORD).read_bytes())["seconds"] == 2.0
