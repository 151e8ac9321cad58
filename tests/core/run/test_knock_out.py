"""Knock-outs of a run: in its record and folder, through a stop, and added later from its checkpoint."""

import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

import core.run.knock_out
from core.files import is_locked
from core.records.memory_use import MemoryUse
from core.records.record import BEST, RunRecord, read_record, write_record
from core.run.execute import run
from core.run.knock_out import KNOCK_OUTS, add_all_knock_outs
from core.scoring.metrics import TASKS
from tests.tiny import write_corpus, write_run

READING = {"memory": {"warmup": 0.0}, "training": {"epochs": 1}}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run that reads, beside its corpus."""
    folder = tmp_path_factory.mktemp("knock-outs")
    write_run(folder / "run", write_corpus(folder / "corpus.json", count=6), **READING)
    assert run(folder / "run").status == "finished"
    return folder / "run"


def read(folder: Path) -> RunRecord:
    record = read_record(folder)
    assert record is not None
    return record


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("documents.test.*.json")}


def of_an_earlier_version(finished: Path, folder: Path) -> Path:
    """A copy of the run whose record knows its reads but no knock-outs."""
    shutil.copytree(finished, folder)
    for path in folder.glob("documents.test.*.json"):
        path.unlink()
    memory_use = MemoryUse(reads={"test": {}})
    write_record(folder, msgspec.structs.replace(read(folder), memory_use=memory_use))
    return folder


def without_seconds(memory_use: MemoryUse | None) -> dict[str, Any]:
    return msgspec.to_builtins(memory_use) | {"knock_out_seconds": None, "reads": None}


def test_a_run_that_reads_has_both(finished: Path) -> None:
    record = read(finished)
    assert record.memory_use is not None
    assert list(record.memory_use.knock_outs) == list(KNOCK_OUTS) == ["reading-off", "mean-read"]
    assert record.memory_use.knock_out_seconds is not None
    assert 0 < record.memory_use.knock_out_seconds < record.seconds
    for knock_out, scores in record.memory_use.knock_outs.items():
        assert set(scores.f1) == set(scores.difference) == set(TASKS)
        for task in TASKS:
            assert scores.difference[task] == scores.f1[task] - record.metrics["test"][task]["f1"]
        counts = json.loads((finished / f"documents.test.{knock_out}.json").read_text())
        assert [one["id"] for one in counts] == [f"tiny {number}" for number in range(6)]


@pytest.mark.parametrize(
    ("preset", "settings"),
    [
        ("memory-grc", {"memory": {"read_mode": "none"}}),
        ("memory-grc", {"memory": {"warmup": 1.0}}),
        ("memory-grc", {"memory": {"warmup": 0.0}, "data": {"test": None}}),
    ],
)
def test_a_run_that_does_not_read_or_has_no_test_has_none(
    tmp_path: Path, preset: str, settings: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = write_corpus(tmp_path / "corpus.json", count=4)
    write_run(tmp_path / "run", corpus, preset, training={"epochs": 1}, **settings)
    record = run(tmp_path / "run")
    assert record.status == "finished", record.error
    assert not (record.memory_use or MemoryUse()).knock_outs
    assert not files(tmp_path / "run")
    add_all_knock_outs([tmp_path / "run"])
    assert ": skipped: " in capsys.readouterr().err
    assert read(tmp_path / "run") == record


def interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask for a stop in the middle of the second knock-out."""
    original = core.run.knock_out.decode_knocked_out

    def decode(decoder: Any, documents: Any, knock_out: str, **more: Any) -> Any:
        if knock_out == "mean-read":
            signal.raise_signal(signal.SIGINT)
        return original(decoder, documents, knock_out, **more)

    monkeypatch.setattr(core.run.knock_out, "decode_knocked_out", decode)


def test_a_run_stopped_in_its_knock_outs_resumes(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_run(tmp_path / "run", finished.parent / "corpus.json", **READING)
    interrupt(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "run")
    assert read(tmp_path / "run").status == "interrupted"
    assert not files(tmp_path / "run")
    monkeypatch.undo()
    record = run(tmp_path / "run")
    assert record.status == "finished"
    assert without_seconds(record.memory_use) == without_seconds(read(finished).memory_use)
    assert files(tmp_path / "run") == files(finished)


def test_they_are_added_later_from_the_checkpoint(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = of_an_earlier_version(finished, tmp_path / "run")
    before = read(folder)
    with monkeypatch.context() as patch:
        interrupt(patch)
        with pytest.raises(KeyboardInterrupt):
            add_all_knock_outs([folder])
    assert read(folder) == before
    assert not files(folder)
    assert not is_locked(folder)
    add_all_knock_outs([folder], device="cpu", threads=1)
    record = read(folder)
    assert record.memory_use is not None
    assert record.memory_use.reads == {"test": {}}, "what was there has to stay"
    assert without_seconds(record.memory_use) == without_seconds(read(finished).memory_use)
    assert files(folder) == files(finished)
    assert msgspec.structs.replace(record, memory_use=before.memory_use) == before
    monkeypatch.setattr(core.run.knock_out, "open_run", lambda *arguments, **more: pytest.fail("computed again"))
    add_all_knock_outs([folder])
    assert read(folder) == record


def lose_checkpoint(folder: Path) -> None:
    shutil.rmtree(folder / BEST)


def lose_documents(folder: Path) -> None:
    (folder.parent / "corpus.json").unlink()


def change_documents(folder: Path) -> None:
    write_corpus(folder.parent / "corpus.json", count=5)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lose_checkpoint, "no checkpoint there; the run is not finished, or kept none (training.keep: none)"),
        (lose_documents, "corpus.json: no such file"),
        (change_documents, "corpus.json has changed since the run was scored on it: restore it, or"),
    ],
)
def test_a_run_that_cannot_get_them_is_skipped_with_the_reason(
    finished: Path, tmp_path: Path, spoil: Callable[[Path], None], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_corpus(tmp_path / "corpus.json", count=6)
    folder = of_an_earlier_version(finished, tmp_path / "run")
    text = (folder / "config.yaml").read_text().replace(str(finished.parent), str(tmp_path))
    (folder / "config.yaml").write_text(text)
    record = (folder / "record.json").read_text().replace(str(finished.parent), str(tmp_path))
    (folder / "record.json").write_text(record)
    other = of_an_earlier_version(finished, tmp_path / "other")
    spoil(folder)
    add_all_knock_outs([folder, other])
    err = capsys.readouterr().err
    assert sum("skipped: " in line and reason in line for line in err.splitlines()) == 1
    assert "Traceback" not in err
    assert (folder / "record.json").read_text() == record
    assert not files(folder)
    assert files(other) == files(finished), "the next run gets its own all the same"
