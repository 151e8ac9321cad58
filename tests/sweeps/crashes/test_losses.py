"""What goes wrong in one run, or on the disk, is recorded and shown, and the other runs continue."""

import csv
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import core.run.observer
from core.files import is_locked
from core.progress import stop_on_signals
from core.records.record import HISTORY, read_record, run_folders
from engram import main
from studies.arguments import StudyParser
from sweeps.engines.local import LocalEngine
from sweeps.launch import Launcher
from sweeps.run_states import RunStates
from tests.sweeps.engines.poisoned_worker import POISON
from tests.sweeps.real_study import ROOT, STUDY, RealStudy, copy_runs

HERE = ("--engine", "in-process", "--training.epochs", "3")


@pytest.fixture
def mount() -> Iterator[Callable[..., None]]:
    """Mounts a folder in memory, or again with other options; without the right to mount the test is skipped."""
    mounted: list[Path] = []

    def mount(folder: Path, options: str) -> None:
        again = "remount," if folder in mounted else ""
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"{again}{options}", "tmpfs", str(folder)], capture_output=True, text=True
        )
        if done.returncode:
            pytest.skip(f"cannot mount a small disk here: {done.stderr.strip()}")
        mounted.append(folder)

    yield mount
    for folder in dict.fromkeys(reversed(mounted)):
        subprocess.run(["umount", str(folder)], check=True)


def test_poisoned_runs_are_recorded_and_the_others_continue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    rows = {name: {"preset": "jerex-grc"} for name in ("good", "gpu", "memory", "wild", "better")}
    for number, row in enumerate(rows.values()):
        row["settings"] = {"training": {"clip": 1.0 + number}}
    rows["wild"]["settings"] = {"training": {"lr": 1e30, "clip": 1e30}}
    study = RealStudy(tmp_path, STUDY | {"baseline": "good", "seeds": [0], "rows": rows})
    arguments = study.arguments("runs", "--training.epochs", "3")
    arguments = [word for word in arguments[2:] if word not in ("--training.lr", "3e-2")]
    _, planned = StudyParser("test", "").parse_plan(arguments)
    folders = {run.row: run.folder for run in planned.runs}
    for name in ("gpu", "memory"):
        folders[name].mkdir(parents=True)
        (folders[name] / POISON).write_text(name)
    run_states = RunStates(planned.study, planned.runs, planned.record.shared)
    engine = LocalEngine(jobs=1, program=(sys.executable, "-m", "tests.sweeps.engines.poisoned_worker"))
    with stop_on_signals() as stop:
        Launcher(run_states, engine, planned).run(stop)
    engine.close()
    statuses = {state.run.row: state.status for state in run_states}
    assert statuses == {
        "good": "finished",
        "gpu": "failed",
        "memory": "failed",
        "wild": "diverged",
        "better": "finished",
    }
    errors = {name: (record := read_record(folder)) and record.error for name, folder in folders.items()}
    assert "CUDA out of memory" in (errors["gpu"] or "")
    assert "can't allocate memory" in (errors["memory"] or "")
    assert "not finite" in (errors["wild"] or "")
    assert [state.error for state in run_states.with_status("failed")] == [errors["gpu"], errors["memory"]]
    assert not any(is_locked(folder) for folder in folders.values())


def test_a_disk_that_fills_up_costs_what_is_on_it_and_the_same_command_resumes(
    tmp_path: Path, mount: Callable[..., None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    study = RealStudy(tmp_path)
    (tmp_path / "runs").mkdir()
    mount(tmp_path / "runs", "size=40m")
    filler = tmp_path / "runs" / "filler"
    real_add = core.run.observer.History.add

    def add(history: Any, kind: str, step: int, row: Any) -> None:
        if step == 5 and not filler.exists():
            with suppress(OSError), open(filler, "wb", buffering=0) as file:
                while file.write(b"x" * 2**12):
                    pass
        real_add(history, kind, step, row)

    monkeypatch.setattr(core.run.observer.History, "add", add)
    arguments = study.arguments("runs", *HERE)
    assert main(arguments) == 1
    err = capsys.readouterr().err
    assert "No space left on device" in err
    assert not any(is_locked(folder) for folder in run_folders(tmp_path / "runs"))
    assert main(["study", "status", "mine", "--runs", str(tmp_path / "runs")]) in (0, 1)
    print(out := capsys.readouterr().out)
    assert "finished" not in out
    filler.unlink()
    monkeypatch.setattr(core.run.observer.History, "add", real_add)
    assert main([*arguments, "--retry", "failed"]) == 0
    capsys.readouterr()
    assert main(study.arguments("whole", *HERE)) == 0
    assert study.leftovers("runs") == []
    assert study.results("runs") == study.results("whole")


def test_a_disk_too_small_for_the_study_is_said_before_anything_starts(
    tmp_path: Path, mount: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    study = RealStudy(tmp_path)
    (tmp_path / "runs").mkdir()
    mount(tmp_path / "runs", "size=8m")
    arguments = study.arguments("runs", *HERE)
    assert main(arguments) == 2
    output = capsys.readouterr()
    assert "the 4 runs left need about" in output.err
    assert "8.0 MiB are free" in output.err
    assert list(run_folders(tmp_path / "runs")) == []
    mount(tmp_path / "runs", "size=60m")
    assert main(arguments) == 0
    assert "4 finished" in capsys.readouterr().out


def test_a_disk_that_became_too_small_for_checkpoints_fails_a_run_before_its_training(
    tmp_path: Path,
    mount: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    study = RealStudy(tmp_path)
    (tmp_path / "runs").mkdir()
    mount(tmp_path / "runs", "size=8m")
    arguments = study.arguments("runs", *HERE)
    # Between the plan's look at the disk and the run somebody else has filled it.
    monkeypatch.setattr("studies.checks.refuse_full_disk", lambda estimate, runs: None)
    assert main(arguments) == 1
    output = capsys.readouterr()
    assert "4 failed" in output.out
    assert "MiB are free" in output.err
    assert "--retry failed" in output.err
    assert main(arguments) == 1, "failed runs are not tried again unasked"
    assert "s on cpu" not in capsys.readouterr().err
    mount(tmp_path / "runs", "size=60m")
    assert main([*arguments, "--retry", "failed"]) == 0
    assert "4 finished" in capsys.readouterr().out


def test_what_may_not_be_written_is_said_and_the_rest_is_computed(
    tmp_path: Path, mount: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    study = RealStudy(tmp_path)
    arguments = study.arguments("runs", *HERE, "--seeds", "1")
    _, planned = StudyParser("test", "").parse_plan(
        study.arguments("runs", "--training.epochs", "3", "--seeds", "1")[2:]
    )
    locked = planned.runs[0].folder.parent
    locked.mkdir(parents=True)
    mount(locked, "size=1m")
    mount(locked, "ro")
    assert main(arguments) == 1
    output = capsys.readouterr()
    assert "1 failed, 1 finished" in output.out
    assert "Read-only file system" in output.err
    assert "give a folder that is yours" in output.err
    assert main(["study", "status", "mine", "--runs", str(tmp_path / "runs")]) in (0, 1)
    assert "1 finished" in capsys.readouterr().out


def test_a_folder_of_runs_that_may_not_be_written_is_refused_but_may_be_shown(
    tmp_path: Path, mount: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    study = RealStudy(tmp_path)
    (tmp_path / "runs").mkdir()
    mount(tmp_path / "runs", "size=60m")
    arguments = study.arguments("runs", *HERE, "--seeds", "1")
    assert main(arguments) == 0
    mount(tmp_path / "runs", "ro")
    capsys.readouterr()
    assert main(arguments) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("engram: warning:")]
    assert len(lines) == 1
    assert "Read-only file system" in lines[0]
    assert main(["study", "status", "mine", "--runs", str(tmp_path / "runs")]) == 0
    assert "2 finished" in capsys.readouterr().out


def test_run_folders_of_several_machines_copied_together_are_one_study(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    real_studies = []
    for name in ("here", "there"):
        # Each with its documents at another path: runs are known by what their files hold.
        (tmp_path / name).mkdir()
        real_studies.append(RealStudy(tmp_path / name))
    assert main(real_studies[0].arguments("runs", *HERE, "--seeds", "0,")) == 0
    assert main(real_studies[1].arguments("runs", *HERE, "--seeds", "1,")) == 0
    both = tmp_path / "here" / "both"
    copy_runs([study.folder / "runs" for study in real_studies], both)
    stamps = {folder: (folder / HISTORY).stat().st_mtime_ns for folder in run_folders(both)}
    assert len(stamps) == 4
    capsys.readouterr()
    assert main(real_studies[0].arguments("both", *HERE)) == 0
    output = capsys.readouterr()
    assert "4 runs, 4 finished already" in output.err
    assert "4 finished" in output.out
    assert stamps == {folder: (folder / HISTORY).stat().st_mtime_ns for folder in run_folders(both)}
    assert main(["study", "status", "mine", "--runs", str(both)]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[:3] + line[-1:] for line in lines[1:3]] == [["memory", "●", "●", "2"], ["plain", "●", "●", "2"]]
    assert main(["report", "mine", "--runs", str(both), "--out", str(tmp_path / "report")]) == 0
    with open(tmp_path / "report" / "runs.csv", newline="") as file:
        statuses = {(row["row"], row["seed"], row["status"]) for row in csv.DictReader(file)}
    assert statuses == {(row, seed, "finished") for row in ("memory", "plain") for seed in ("0", "1")}
