"""`engram study evaluate STUDY --knock-out`: which runs get knock-outs, and what is said of the others."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

import core.run.knock_out
from core.records.record import RunRecord, read_record, run_folders, write_record
from engram import main
from tests.sweeps.real_study import flags
from tests.tiny import TINY, write_corpus

STUDY = {
    "question": "Is it used?",
    "baseline": "plain",
    "seeds": [0],
    "rows": {
        "plain": {"preset": "jerex-grc"},
        "reading": {"preset": "memory-grc", "settings": {"memory": {"warmup": 0}}},
        "unread": {"preset": "memory-grc", "settings": {"memory": {"warmup": 1}}},
    },
}
BRIEF = {"training": {"epochs": 1, "batch_size": 4}, "runtime": {"device": "cpu", "threads": "1"}}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs of a computed study."""
    folder = tmp_path_factory.mktemp("study")
    write_corpus(folder / "documents.json", count=8)
    (folder / "mine.yaml").write_text(yaml.safe_dump(STUDY))
    documents = dict.fromkeys(("train", "validation", "test"), str(folder / "documents.json"))
    settings = flags(TINY | BRIEF | {"data": {"name": "none"} | documents})
    arguments = ["--runs", str(folder / "runs"), "--engine", "in-process", *settings]
    assert main(["study", "run", str(folder / "mine.yaml"), *arguments]) == 0
    return folder / "runs"


def evaluate(runs: Path, *more: str) -> int:
    return main(["study", "evaluate", "mine", "--runs", str(runs), *more])


def reading_run(runs: Path) -> tuple[Path, RunRecord]:
    records = {folder: read_record(folder) for folder in run_folders(runs)}
    return next((folder, record) for folder, record in records.items() if record and record.chosen_reading)


def test_only_the_run_that_lacks_them_gets_them(
    runs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, complete = reading_run(runs)
    write_record(folder, msgspec.structs.replace(complete, memory_use=None))
    others = {path: path.stat().st_mtime_ns for path in runs.glob("*/*/record.json") if path.parent != folder}
    assert evaluate(runs, "--knock-out", "--profile", "quick", "--threads", "1", "--device", "cpu") == 0
    counted = "mine@quick: 2 without a read memory, 1 with knock-outs\n"
    assert capsys.readouterr().out == counted
    _, record = reading_run(runs)
    assert record.memory_use is not None
    assert complete.memory_use is not None
    assert record.memory_use.knock_outs == complete.memory_use.knock_outs
    assert {path: path.stat().st_mtime_ns for path in others} == others
    monkeypatch.setattr(core.run.knock_out, "add_all_knock_outs", lambda *given, **more: pytest.fail("again"))
    assert evaluate(runs, "--knock-out") == 0
    assert capsys.readouterr().out == counted


@pytest.mark.parametrize(("stopped", "exit_code"), [(False, 1), (True, 130)])
def test_a_run_that_still_lacks_them_fails_the_command(
    runs: Path, stopped: bool, exit_code: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, complete = reading_run(runs)
    write_record(folder, msgspec.structs.replace(complete, memory_use=None))
    asked: list[Any] = []

    def add(lacking: Any, **options: Any) -> None:
        asked.append((lacking, options))
        if stopped:
            raise KeyboardInterrupt

    monkeypatch.setattr(core.run.knock_out, "add_all_knock_outs", add)
    assert evaluate(runs, "--knock-out") == exit_code
    assert "1 without knock-outs" in capsys.readouterr().out
    assert asked == [([folder], {"device": None, "threads": None})]
    write_record(folder, complete)


def test_what_it_is_for_is_said(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(runs) == 2
    assert "nothing to add to study mine: give --knock-out, which" in capsys.readouterr().err
    assert main(["study", "evaluate", "yours", "--knock-out", "--runs", str(runs)]) == 2
    assert "study 'yours' was not run in" in capsys.readouterr().err
