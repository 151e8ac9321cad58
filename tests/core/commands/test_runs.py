"""`engram runs`: listing, showing and tidying a folder of runs."""

import json
from pathlib import Path

import pytest

import engram
from core.config.presets import to_yaml
from core.records.record import BEST, CONFIG, RECORD, RunRecord, write_record
from tests.tiny import tiny_config

SCORES = {"relation_strict": {"f1": 12.345}}


def make(runs: Path, name: str, status: str) -> Path:
    signature, _, seed = name.rpartition("-")
    folder = runs / signature / seed
    (folder / BEST).mkdir(parents=True)
    (folder / BEST / "model.safetensors").write_bytes(b"x" * 1_000)
    (folder / "checkpoints" / "last.pt").write_bytes(b"x" * 2_000)
    config = tiny_config("jerex-grc")
    (folder / CONFIG).write_text(to_yaml(config))
    metrics = {"test": SCORES} if status == "finished" else {}
    write_record(folder, RunRecord(run_id=name, status=status, config=config.model_dump(mode="json"), metrics=metrics))
    return folder


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    make(tmp_path, "aaa-s0", "finished")
    make(tmp_path, "bbb-s1", "running")
    (make(tmp_path, "ccc-s2", "finished") / RECORD).write_text('{"run_id": "cc')
    return tmp_path


def test_every_run_is_listed_damaged_ones_too(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert engram.main(["runs", "list", "--runs", str(runs)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert lines[1].split() == ["aaa-s0", "jerex-grc", "none", "finished", "-", "0", "12.35"]
    assert "killed" in lines[2]
    assert "damaged" in lines[3]


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
