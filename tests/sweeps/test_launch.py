"""The driver of a study, with runs that only pretend: what it starts, keeps, tries again and gives up."""

import io
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from core.errors import UserError
from core.lock import hold
from core.presets import from_yaml
from core.readers.docred_writing import write_docred
from core.record import CONFIG, RECORD, RunRecord, read_record, write_record
from core.signature import run_id
from core.stopping import stop_on_signals
from core.synthetic import generate
from engram import main
from studies.plan import Plan, plan
from studies.study import Row, Study
from studies.study_record import write_study_record
from sweeps.board import Board
from sweeps.engine import Ended, InProcessEngine
from sweeps.launch import ATTEMPTS, Launch, exit_code
from sweeps.screen import grid, screen, spread


@pytest.fixture
def planned(tmp_path: Path) -> Plan:
    path = tmp_path / "documents.json"
    write_docred(generate(3), path)
    rows = {"one": Row(preset="jerex-grc"), "two": Row(preset="memory-grc")}
    study = Study(question="?", rows=rows, baseline="one", seeds=(0, 1), name="mine")
    data = {"data": {"name": None, "train": str(path), "test": str(path)}}
    return plan(study, profile="quick", runs=tmp_path / "runs", settings=data)


class Pretended:
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


def board_of(planned: Plan, *, retry_failed: bool = False) -> Board:
    return Board(planned.study, planned.runs, planned.shared, retry_failed=retry_failed)


def bring(planned: Plan, run: Callable[[Path], str], *, retry_failed: bool = False) -> Board:
    board = board_of(planned, retry_failed=retry_failed)
    with stop_on_signals() as stop:
        Launch(board, InProcessEngine(run), planned).run(stop)
    return board


def ids(planned: Plan) -> list[str]:
    return [run.run_id for run in planned.runs]


def test_everything_is_computed_once_seed_by_seed_and_never_again(planned: Plan) -> None:
    run = Pretended()
    board = bring(planned, run)
    assert run.computed == ids(planned)
    assert exit_code(board, stopped=False) == 0
    again = bring(planned, run)
    assert run.computed == ids(planned)
    assert exit_code(again, stopped=False) == 0


def test_a_failed_run_is_shown_the_others_go_on_and_it_is_retried_when_asked(planned: Plan) -> None:
    run, bad = Pretended(), ids(planned)[1]
    run.status_of[bad] = "failed"
    board = bring(planned, run)
    assert board.states[bad].status == "failed"
    assert board.states[bad].error == "its error"
    assert exit_code(board, stopped=False) == 1
    assert len(board.of("finished")) == 3
    run.status_of.clear()
    bring(planned, run)
    assert len(run.computed) == 4
    retried = bring(planned, run, retry_failed=True)
    assert run.computed[4:] == [bad]
    assert exit_code(retried, stopped=False) == 0


def test_a_run_that_is_refused_keeps_its_reason(planned: Plan) -> None:
    run, bad = Pretended(), ids(planned)[0]
    run.status_of[bad] = "raises"
    board = bring(planned, run)
    assert (board.states[bad].status, board.states[bad].error) == ("failed", "no such document")
    assert len(board.of("finished")) == 3


def test_cut_off_and_interrupted_runs_are_taken_up(planned: Plan) -> None:
    for one, status in zip(planned.runs, ("running", "interrupted"), strict=False):
        one.folder.mkdir(parents=True)
        write_record(one.folder, RunRecord(run_id=one.run_id, status=status, config={}))
    run = Pretended()
    bring(planned, run)
    assert run.computed == ids(planned)


def test_a_damaged_record_is_shown_and_left_alone(planned: Plan) -> None:
    broken = planned.runs[2]
    broken.folder.mkdir(parents=True)
    (broken.folder / RECORD).write_text('{"run_id": "x", ')
    run = Pretended()
    board = bring(planned, run)
    assert board.states[broken.run_id].status == "damaged"
    assert "is damaged" in (board.states[broken.run_id].error or "")
    assert broken.run_id not in run.computed
    assert len(board.of("finished")) == 3
    assert (broken.folder / RECORD).read_text() == '{"run_id": "x", '


def test_a_folder_that_cannot_be_written_fails_alone(planned: Plan) -> None:
    # A file where the folder should be: as root a read-only folder would not stop anything.
    blocked = planned.runs[0].folder
    blocked.parent.mkdir(parents=True)
    blocked.write_text("")
    run = Pretended()
    board = bring(planned, run)
    assert board.states[planned.runs[0].run_id].status == "failed"
    assert "give a folder that is yours" in (board.states[planned.runs[0].run_id].error or "")
    assert len(board.of("finished")) == 3


def test_a_run_that_another_process_computes_is_waited_for(planned: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweeps.launch.ELSEWHERE_SECONDS", 0.05)
    other, run = planned.runs[0], Pretended()
    other.folder.mkdir(parents=True)
    held = hold(other.folder)
    held.__enter__()

    def finish() -> None:
        write_record(other.folder, RunRecord(run_id=other.run_id, status="finished", config={}))
        held.__exit__(None, None, None)

    threading.Timer(0.4, finish).start()
    board = bring(planned, run)
    assert run.computed == ids(planned)[1:]
    assert board.states[other.run_id].status == "finished"


class DyingEngine(InProcessEngine):
    """One whose process dies under a certain run."""

    def __init__(self, run: Callable[[Path], str], dies: Path, times: int) -> None:
        super().__init__(run)
        self.dies, self.left, self.submitted = dies, times, 0

    def submit(self, folder: Path) -> None:
        self.submitted += folder == self.dies
        if folder == self.dies and self.left:
            self.left -= 1
            self._ended.append(Ended(folder, "died", "its process was killed (SIGKILL)"))
        else:
            super().submit(folder)


@pytest.mark.parametrize(("times", "status"), [(1, "finished"), (ATTEMPTS, "failed")])
def test_a_run_whose_process_dies_goes_on_until_it_is_given_up(planned: Plan, times: int, status: str) -> None:
    victim = planned.runs[1]
    board, run = board_of(planned), Pretended()
    engine = DyingEngine(run, victim.folder, times)
    with stop_on_signals() as stop:
        Launch(board, engine, planned).run(stop)
    assert board.states[victim.run_id].status == status
    assert engine.submitted == min(times + 1, ATTEMPTS)
    assert len(board.of("finished")) == (4 if status == "finished" else 3)
    if status == "failed":
        record = read_record(victim.folder)
        assert record is not None
        assert record.status == "failed"
        assert "SIGKILL" in (record.error or "")


def test_a_stop_starts_nothing_more(planned: Plan) -> None:
    run = Pretended()

    def stopped_in_the_second(folder: Path) -> str:
        if len(run.computed) == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return run(folder)

    board = bring(planned, stopped_in_the_second)
    assert len(run.computed) == 2
    assert exit_code(board, stopped=True) == 130
    assert len(board.of("waiting")) == 2
    assert exit_code(bring(planned, run), stopped=False) == 0
    assert run.computed == ids(planned)


def test_the_grid_shows_rows_seeds_and_spread(planned: Plan) -> None:
    board = bring(planned, Pretended())
    table = grid(board)
    columns = {str(column.header): [str(cell) for cell in column.cells] for column in table.columns}
    assert columns["row"] == ["one", "two"]
    assert columns["s0"] == columns["s1"] == ["●", "●"]
    assert columns["relation_strict F1"] == ["40.50 ± 0.71", "40.50 ± 0.71"]
    assert columns["n"] == ["2", "2"]
    assert spread([]) == "-"
    assert spread([3.0]) == "3.00"


def test_status_says_how_far_a_study_is(planned: Plan, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Pretended()
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
    run, bad = Pretended(), ids(planned)[1]
    run.status_of[bad] = "failed"
    board, shown = board_of(planned), io.StringIO()
    console = Console(file=shown, force_terminal=True, width=120)
    with stop_on_signals() as stop, screen(board, slots=1, console=console) as told:
        told.note("a note")
        Launch(board, InProcessEngine(run), planned, tell=told.tell).run(stop)
    out = shown.getvalue()
    assert "a note" in out
    assert "two seed 0  failed  its error" in out
    assert "one seed 0  finished" not in out
    assert "1 failed, 3 finished" in out


def test_time_left_is_read_off_earlier_runs(planned: Plan) -> None:
    run = Pretended()
    bring(planned, run)
    last = planned.runs[-1].folder / RECORD
    last.unlink()
    board = board_of(planned)
    assert board.seconds_left(1) == pytest.approx(2.0)
    assert board.seconds_left(2) == pytest.approx(1.0)
    assert msgspec.json.decode((planned.runs[0].folder / RECORD).read_bytes())["seconds"] == 2.0
