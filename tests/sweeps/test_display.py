"""Display of a study: the grid, the lines, and what fits a terminal."""

import io
from pathlib import Path

import msgspec
import pytest
from rich.console import Console
from rich.text import Text

from core.progress import say, stop_on_signals
from core.records.record import RECORD
from studies.plan import Plan
from studies.record import StudyRun
from studies.rows import Row
from studies.study import Study
from sweeps.display import Screen, describe_states, grid, live_display
from sweeps.engines.in_process import InProcessEngine
from sweeps.launch import Launcher
from sweeps.run_states import RunStates
from tests.sweeps.fake_study import FakeRun, compute, read_states, run_ids


def test_the_grid_shows_rows_seeds_and_spread(planned: Plan) -> None:
    run_states = compute(planned, FakeRun())
    table = grid(run_states)
    columns = {str(column.header): [str(cell) for cell in column.cells] for column in table.columns}
    assert columns["row"] == ["one", "two"]
    assert columns["seeds"] == ["● ●", "● ●"]
    assert columns["relation_strict F1"] == ["40.50 ± 0.71", "40.50 ± 0.71"]
    assert columns["n"] == ["2", "2"]


def test_what_the_grid_shows_is_described_unrounded(planned: Plan) -> None:
    run, bad = FakeRun(), run_ids(planned)[1]
    run.status_of[bad] = "failed"
    described = describe_states(compute(planned, run))
    assert described["metric"] == "relation_strict"
    assert described["counts"] == {"finished": 3, "failed": 1}
    one, two = described["rows"]
    assert (one["row"], one["n"], one["mean"], one["std"]) == ("one", 2, 40.5, 0.5**0.5)
    assert (two["row"], two["n"], two["mean"]) == ("two", 1, 41.0)
    assert [(run["seed"], run["status"], run["score"], run["error"]) for run in two["runs"]] == [
        (0, "failed", None, "its error"),
        (1, "finished", 41.0, None),
    ]


def test_in_a_terminal_the_grid_stands_and_what_went_wrong_is_a_line(planned: Plan) -> None:
    run, bad = FakeRun(), run_ids(planned)[1]
    run.status_of[bad] = "failed"
    run_states, shown = read_states(planned), io.StringIO()
    console = Console(file=shown, force_terminal=True, width=120)
    screen = Screen(run_states, slots=1)
    with stop_on_signals() as stop, live_display(screen, console=console):
        say("a note")
        Launcher(run_states, InProcessEngine(run), planned, on_change=screen.show_run).run(stop)
    out = shown.getvalue()
    assert "a note" in out
    assert "two seed 0  failed  its error" in out
    assert "one seed 0  finished" not in out
    assert "1 failed, 3 finished" in out


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
    assert shown[-2].startswith("… and 85 other rows")
    assert shown[-1].startswith("57 finished, 2 running, 141 waiting")


def test_time_left_is_read_off_what_finished_here(planned: Plan) -> None:
    compute(planned, FakeRun())
    planned.runs[-1].folder.joinpath(RECORD).unlink()
    run_states = read_states(planned)
    here = run_states.by_id[planned.runs[0].run_id]
    here.started, here.summary = 1.0, msgspec.structs.replace(here.summary, seconds=0.5)
    assert Screen(run_states, slots=1).seconds_left() == pytest.approx(0.5)


def test_time_left_is_read_off_earlier_runs_before_any_finished_here(planned: Plan) -> None:
    run = FakeRun()
    compute(planned, run)
    last = planned.runs[-1].folder / RECORD
    last.unlink()
    run_states = read_states(planned)
    assert Screen(run_states, slots=1).seconds_left() == pytest.approx(2.0)
    assert Screen(run_states, slots=2).seconds_left() == pytest.approx(1.0)
    assert msgspec.json.decode((planned.runs[0].folder / RECORD).read_bytes())["seconds"] == 2.0
