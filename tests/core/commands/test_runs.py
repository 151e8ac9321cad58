"""`engram runs`: listing, showing and tidying a folder of runs."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import engram
from core.config.presets import to_yaml
from core.records.record import BEST, CONFIG, RECORD, RunRecord, write_record
from studies.record import RowRuns, StudyRecord, write_study_record
from studies.rows import Row
from studies.study import Study
from tests.tiny import tiny_config

SCORES = {"relation_strict": {"f1": 12.345}}


def make(
    runs: Path, name: str, status: str, *, preset: str = "jerex-grc", score: float = 12.345, **changes: object
) -> Path:
    signature, _, seed = name.rpartition("-")
    folder = runs / signature / seed
    (folder / BEST).mkdir(parents=True)
    (folder / BEST / "model.safetensors").write_bytes(b"x" * 1_000)
    (folder / "checkpoints" / "last.pt").write_bytes(b"x" * 2_000)
    config = tiny_config(preset, changes)
    (folder / CONFIG).write_text(to_yaml(config))
    metrics = {"test": {"relation_strict": {"f1": score}}} if status == "finished" else {}
    write_record(folder, RunRecord(run_id=name, status=status, config=config.model_dump(mode="json"), metrics=metrics))
    return folder


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    make(tmp_path, "aaa-s0", "finished")
    make(tmp_path, "bbb-s1", "running")
    (make(tmp_path, "ccc-s2", "finished") / RECORD).write_text('{"run_id": "cc')
    return tmp_path


def listed(capsys: pytest.CaptureFixture[str], runs: Path, *arguments: str) -> list[dict[str, Any]]:
    assert engram.main(["runs", "list", "--runs", str(runs), "--json", *arguments]) == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


def test_every_run_is_listed_damaged_ones_too(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert engram.main(["runs", "list", "--runs", str(runs)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert lines[0].split() == ["run", "preset", "profile", "status", "date", "seconds", "strict", "F1"]
    name, preset, profile, status, date, time, seconds, score = lines[1].split()
    assert [name, preset, profile, status, seconds, score] == ["aaa-s0", "jerex-grc", "none", "finished", "0", "12.35"]
    written = datetime.fromtimestamp((runs / "aaa/s0" / RECORD).stat().st_mtime, UTC)
    assert f"{date} {time}" == f"{written:%Y-%m-%d %H:%M}"
    assert "killed" in lines[2]
    assert "damaged" in lines[3]
    assert lines[4].startswith("ccc-s2: ")


def test_runs_are_told_apart_by_the_settings_that_differ(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, width in enumerate((8, 16)):
        memory = {"memory": {"slot_width": width, "warmup": 0.25}}
        for seed in range(2):
            make(tmp_path, f"aa{number}-s{seed}", "finished", preset="memory-grc", seed=seed, **memory)
    make(tmp_path, "bbb-s0", "finished")
    assert engram.main(["runs", "list", "--runs", str(tmp_path)]) == 0
    head, *lines = (line.split() for line in capsys.readouterr().out.splitlines())
    # Neither the seed, nor that a run has no memory: its preset says so.
    assert head[8:] == ["slot_width"]
    assert [line[-1] for line in lines] == ["8", "8", "16", "16", "-"]
    [_, other, *_] = listed(capsys, tmp_path, "--preset", "memory-grc", "--sort", "date")
    assert other["settings"].keys() == {"memory.slot_width"}
    assert all(run["settings"] == {} for run in listed(capsys, tmp_path, "--preset", "jerex-grc"))


def test_runs_are_filtered_and_sorted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, score in (("aaa-s0", 1.23456789), ("aaa-s1", 3.0), ("bbb-s0", 2.0)):
        make(tmp_path, name, "finished", score=score)
    make(tmp_path, "ccc-s0", "failed", preset="memory-grc")
    assert [run["run"] for run in listed(capsys, tmp_path, "--sort", "score")] == [
        "aaa-s1",
        "bbb-s0",
        "aaa-s0",
        "ccc-s0",
    ]
    [failed] = listed(capsys, tmp_path, "--status", "failed")
    assert failed["run"] == "ccc-s0"
    assert failed["score"] is failed["split"] is None
    assert listed(capsys, tmp_path)[0]["score"] == 1.23456789
    arguments = ["runs", "list", "--runs", str(tmp_path)]
    assert engram.main([*arguments, "--status", "finshed"]) == 2
    assert "invalid choice: 'finshed' (choose from" in capsys.readouterr().err
    assert engram.main([*arguments, "--preset", "memory-gcr"]) == 2
    assert "no run of preset 'memory-gcr'" in (error := capsys.readouterr().err)
    assert "Did you mean memory-grc?" in error


def test_the_runs_of_a_study_are_those_of_its_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("aaa-s0", "aaa-s1", "bbb-s0"):
        make(tmp_path, name, "finished")
    study = Study("?", "one", {"one": Row("jerex-grc")}, name="mine")
    rows = [RowRuns("one", "aaa", {0: "aaa-s0", 1: "aaa-s1"})]
    write_study_record(tmp_path, StudyRecord(study, "quick", {}, rows))
    for name in ("mine", "mine@quick"):
        assert [run["run"] for run in listed(capsys, tmp_path, "--study", name)] == ["aaa-s0", "aaa-s1"]
    assert engram.main(["runs", "list", "--runs", str(tmp_path), "--study", "yours"]) == 2
    assert "study 'yours' was not run" in capsys.readouterr().err


def test_a_record_is_shown_by_a_prefix(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert engram.main(["runs", "show", "aa", "--runs", str(runs)]) == 0
    assert json.loads(capsys.readouterr().out)["metrics"] == {"test": SCORES}


def test_gc_says_first_and_deletes_only_of_finished_runs(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    last, killed = runs / "aaa/s0/checkpoints/last.pt", runs / "bbb/s1/checkpoints/last.pt"
    assert engram.main(["runs", "gc", "--runs", str(runs)]) == 0
    assert "would delete" in capsys.readouterr().out
    assert last.exists()
    assert engram.main(["runs", "gc", "--runs", str(runs), "--yes"]) == 0
    assert not last.exists()
    assert (runs / "aaa/s0" / BEST).exists()
    assert killed.exists()
    assert engram.main(["runs", "gc", "--runs", str(runs), "--weights", "--yes"]) == 0
    assert not (runs / "aaa/s0" / BEST).exists()
    assert (runs / "bbb/s1" / BEST).exists()


def test_a_missing_folder_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert engram.main(["runs", "list", "--runs", str(tmp_path / "none")]) == 2
    assert "no such folder of runs" in capsys.readouterr().err


@pytest.mark.parametrize("link", ["checkpoints", "checkpoints/best"])
def test_tidying_never_follows_a_symbolic_link(runs: Path, capsys: pytest.CaptureFixture[str], link: str) -> None:
    folder, elsewhere = runs / "aaa/s0", runs / "elsewhere"
    (folder / link).rename(elsewhere)
    (folder / link).symlink_to(elsewhere)
    kept = sorted(path for path in elsewhere.rglob("*") if path.is_file())
    assert engram.main(["runs", "gc", "--runs", str(runs), "--weights", "--yes"]) == 0
    assert f"left alone {folder / BEST}: a symbolic link leads there" in capsys.readouterr().out
    assert [path for path in kept if path.is_file()] == kept
    assert kept
