"""A run that was killed or stopped at any moment goes on as if nothing had happened."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import core.training.loop
from core.config.presets import from_yaml, to_yaml
from core.data.formats.docred import write_docred
from core.errors import UserError
from core.files import is_locked, lock_folder
from core.records.history import STEP, VALIDATION, History, read_history
from core.records.record import BEST, CONFIG, HISTORY, LAST, read_record
from core.run.execute import run
from tests.tiny import document, tiny_config

SYSTEMS = ("jerex-grc", "jerex-mrc", "memory-mrc")
CONTROLS = ("learned", "random", "uniform", "constant")


def prepare(folder: Path, corpus: Path, preset: str, *, row: dict[str, Any] | None = None, **runtime: Any) -> None:
    settings = {
        "data": {name: str(corpus) for name in ("train", "validation", "test")},
        "training": {"epochs": 12, "batch_size": 2, "lr": 2e-3},
        "runtime": {"device": "cpu", "threads": 2, "log_every": 1, "checkpoint_seconds": 0.0} | runtime,
    }
    folder.mkdir()
    (folder / CONFIG).write_text(to_yaml(tiny_config(preset, settings | (row or {}))))


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.json"
    write_docred([document(number) for number in range(8)], path)
    return path


ROOT = Path(__file__).resolve().parents[3]


def command(folder: Path) -> list[str]:
    return [sys.executable, "-m", "core.run", str(folder)]


def start(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command(folder), cwd=ROOT, stderr=subprocess.DEVNULL)


def wait_for_step(folder: Path, step: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(6_000):
        rows = read_history(folder / HISTORY)
        if process.poll() is not None or (rows and rows[-1]["step"] >= step):
            return
        time.sleep(0.01)
    raise AssertionError(f"step {step} was not reached")


def outcome(folder: Path) -> tuple[bytes, str, object]:
    record = read_record(folder)
    assert record is not None
    assert record.status == "finished", record.error
    chosen = record.chosen_epoch, record.chosen_reading, record.steps, record.repairs
    return (folder / BEST / "model.safetensors").read_bytes(), (folder / HISTORY).read_text(), (record.metrics, chosen)


@pytest.mark.parametrize("preset", SYSTEMS)
def test_a_run_killed_three_times_equals_the_uninterrupted_one(tmp_path: Path, corpus: Path, preset: str) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    prepare(whole, corpus, preset)
    prepare(killed, corpus, preset)
    threads = torch.get_num_threads()
    assert run(whole).status == "finished"
    torch.set_num_threads(threads)
    # Other steps each time, and each one told: a failure names the steps to try again.
    steps = sorted(np.random.default_rng().choice(np.arange(2, 46), size=3, replace=False).tolist())
    for step in steps:
        process = start(killed)
        wait_for_step(killed, step, process)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert start(killed).wait() == 0
    assert outcome(killed) == outcome(whole), f"killed at steps {steps}"
    assert not (killed / LAST).exists()


@pytest.mark.parametrize("reads", CONTROLS)
def test_a_control_that_was_stopped_goes_on_exactly(
    tmp_path: Path, corpus: Path, reads: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    for folder in (whole, stopped):
        prepare(folder, corpus, "memory-grc", row={"memory": {"reads": reads, "read_mode": "inverse"}}, threads=1)
    assert run(whole).status == "finished"
    steps = itertools.count(1)
    original = core.training.loop.train_step

    def stop_at_30(*given: Any) -> Any:
        if next(steps) == 30:
            raise KeyboardInterrupt
        return original(*given)

    monkeypatch.setattr(core.training.loop, "train_step", stop_at_30)
    with pytest.raises(KeyboardInterrupt):
        run(stopped)
    monkeypatch.undo()
    assert torch.load(stopped / LAST, weights_only=True)["position"]["step"] == 29
    assert run(stopped).status == "finished"
    assert outcome(stopped) == outcome(whole)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_a_signal_saves_and_stops(tmp_path: Path, corpus: Path, number: signal.Signals) -> None:
    # Without the checkpoints of a clock: what is there was saved because of the signal.
    prepare(tmp_path / "run", corpus, "jerex-grc", checkpoint_seconds=3600.0)
    process = start(tmp_path / "run")
    wait_for_step(tmp_path / "run", 2, process)
    process.send_signal(number)
    assert process.wait() == 130
    record = read_record(tmp_path / "run")
    assert record is not None
    assert record.status == "interrupted"
    state = torch.load(tmp_path / "run" / LAST, weights_only=True)
    assert 2 <= state["position"]["step"] <= 48
    assert run(tmp_path / "run").status == "finished"


def test_a_damaged_checkpoint_is_named_and_nothing_is_lost(tmp_path: Path, corpus: Path) -> None:
    folder = tmp_path / "run"
    prepare(folder, corpus, "jerex-grc")
    process = start(folder)
    wait_for_step(folder, 3, process)
    process.kill()
    process.wait()
    before = (folder / HISTORY).read_text()
    (folder / LAST).write_bytes((folder / LAST).read_bytes()[:2_000])
    with pytest.raises(UserError, match=r"last\.pt is damaged: delete it"):
        run(folder)
    assert (folder / HISTORY).read_text() == before
    (folder / LAST).unlink()
    assert run(folder).status == "finished"


def test_the_checkpoint_of_another_run_is_refused(tmp_path: Path, corpus: Path) -> None:
    folder = tmp_path / "run"
    prepare(folder, corpus, "jerex-grc")
    process = start(folder)
    wait_for_step(folder, 2, process)
    process.kill()
    process.wait()
    config = from_yaml(folder / CONFIG)
    (folder / CONFIG).write_text(to_yaml(config.model_copy(update={"seed": 1})))
    with pytest.raises(UserError, match="delete it, and the run starts again from its first step"):
        run(folder)


def test_two_processes_never_compute_one_run(tmp_path: Path, corpus: Path) -> None:
    prepare(tmp_path / "run", corpus, "jerex-grc")
    assert not is_locked(tmp_path / "run")
    with lock_folder(tmp_path / "run"):
        assert is_locked(tmp_path / "run")
        done = subprocess.run(command(tmp_path / "run"), cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 2
        assert f"is being computed by process {os.getpid()}" in done.stderr
        assert not (tmp_path / "run" / HISTORY).exists()
    assert not is_locked(tmp_path / "run")


def test_a_history_is_cut_to_its_checkpoint(tmp_path: Path) -> None:
    history = History(tmp_path / "history.jsonl")
    rows = [(STEP, 1), (STEP, 2), (VALIDATION, 2), (STEP, 3), (STEP, 4), (VALIDATION, 4)]
    for kind, step in rows:
        history.add(kind, step, {"loss": step / 3})
    with open(history.path, "a") as file:
        file.write('{"kind": "step", "st')
    history.cut(step=4, validated=True)
    assert [(row["kind"], row["step"]) for row in read_history(history.path)] == rows
    history.cut(step=4, validated=False)
    assert [(row["kind"], row["step"]) for row in read_history(history.path)] == rows[:-1]
    history.cut(step=2, validated=True)
    assert [(row["kind"], row["step"]) for row in read_history(history.path)] == rows[:3]
    history.cut(step=0, validated=True)
    assert json.dumps(read_history(history.path)) == "[]"
