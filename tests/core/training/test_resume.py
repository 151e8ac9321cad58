"""Resume: a run that was killed or interrupted at any step ends as if nothing had happened."""

import itertools
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch

import core.progress
import core.training.loop
from core.config.presets import from_yaml, to_yaml
from core.config.schema import RunConfig
from core.errors import UserError
from core.files import TEMPORARY_MARK
from core.records.history import read_history
from core.records.record import BEST, CONFIG, HISTORY, LAST, read_record
from core.run.execute import run
from core.training.checkpoints import recover_model
from tests.tiny import write_corpus, write_run

ROOT = Path(__file__).resolve().parents[3]
CONTROLS = ("learned", "random", "uniform", "constant")


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return write_corpus(tmp_path / "corpus.json", count=8)


def prepare(folder: Path, corpus: Path, preset: str, *, memory: dict[str, Any] | None = None, **runtime: Any) -> None:
    """A run of 24 steps that saves its state after each of them."""
    row: dict[str, Any] = {"memory": memory} if memory else {}
    training = {"epochs": 6, "lr": 4e-3}
    write_run(folder, corpus, preset, training=training, runtime={"checkpoint_seconds": 0.0} | runtime, **row)


def start(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "core.run", str(folder)], cwd=ROOT, stderr=subprocess.DEVNULL)


def wait_for_step(folder: Path, step: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(6_000):
        rows = read_history(folder / HISTORY)
        if process.poll() is not None or (rows and rows[-1]["step"] >= step):
            return
        time.sleep(0.01)
    raise AssertionError(f"step {step} was not reached")


def interrupt(folder: Path, *, step: int) -> None:
    """Compute a run until a step is interrupted."""
    steps = itertools.count(1)
    original = core.training.loop.train_step

    def stop(*inputs: Any) -> Any:
        if next(steps) == step:
            raise KeyboardInterrupt
        return original(*inputs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(core.training.loop, "train_step", stop)
        with pytest.raises(KeyboardInterrupt):
            run(folder)


def outcome(folder: Path) -> tuple[bytes, str, object]:
    record = read_record(folder)
    assert record is not None
    assert record.status == "finished", record.error
    chosen = record.chosen_epoch, record.chosen_reading, record.steps, record.repairs
    memory_use = record.memory_use and msgspec.structs.replace(record.memory_use, knock_out_seconds=None)
    return (
        (folder / BEST / "model.safetensors").read_bytes(),
        (folder / HISTORY).read_text(),
        (record.metrics, memory_use, chosen),
    )


# Each kill is a fresh process; what differs between systems is only the model, whose state is saved the same way.
@pytest.mark.parametrize(
    ("preset", "kills", "threads"), [("jerex-grc", 1, 1), ("memory-residual-mrc", 1, 1), ("memory-mrc", 3, 2)]
)
def test_a_killed_run_equals_the_uninterrupted_one(
    tmp_path: Path, corpus: Path, preset: str, kills: int, threads: int
) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    prepare(whole, corpus, preset, threads=threads)
    prepare(killed, corpus, preset, threads=threads)
    before = torch.get_num_threads()
    assert run(whole).status == "finished"
    torch.set_num_threads(before)
    # Other steps each time; a failure names them.
    steps = sorted(np.random.default_rng().choice(np.arange(2, 22), size=kills, replace=False).tolist())
    for step in steps:
        process = start(killed)
        wait_for_step(killed, step, process)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert start(killed).wait() == 0
    assert outcome(killed) == outcome(whole), f"killed at steps {steps}"
    assert not (killed / LAST).exists()


@pytest.mark.parametrize("reads", CONTROLS)
def test_an_interrupted_control_resumes_exactly(tmp_path: Path, corpus: Path, reads: str) -> None:
    whole, interrupted = tmp_path / "whole", tmp_path / "interrupted"
    for folder in (whole, interrupted):
        prepare(folder, corpus, "memory-grc", memory={"reads": reads, "read_mode": "inverse"})
    assert run(whole).status == "finished"
    interrupt(interrupted, step=15)
    assert torch.load(interrupted / LAST, weights_only=True)["position"]["step"] == 14
    assert run(interrupted).status == "finished"
    assert outcome(interrupted) == outcome(whole)


def test_what_was_trained_before_says_nothing_of_the_time_left(
    tmp_path: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare(tmp_path / "run", corpus, "jerex-grc")
    interrupt(tmp_path / "run", step=15)
    capsys.readouterr()
    monkeypatch.setattr(core.progress, "PLAIN_SECONDS", 0.0)
    ticks = itertools.count()
    monkeypatch.setattr(time, "monotonic", lambda: float(next(ticks)))
    assert run(tmp_path / "run").status == "finished"
    first = next(line for line in capsys.readouterr().err.splitlines() if line.startswith("training "))
    # The clock ticks twice a step, and 9 of 24 steps are left; 15 steps in 2 ticks would leave 1 s.
    assert first.startswith("training 15/24")
    assert first.endswith("  18 s left")


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
    assert 2 <= state["position"]["step"] <= 24
    assert run(tmp_path / "run").status == "finished"


def test_a_damaged_checkpoint_is_named_and_nothing_is_lost(tmp_path: Path, corpus: Path) -> None:
    folder = tmp_path / "run"
    prepare(folder, corpus, "jerex-grc")
    interrupt(folder, step=4)
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
    interrupt(folder, step=3)
    config: RunConfig = from_yaml(folder / CONFIG)
    (folder / CONFIG).write_text(to_yaml(config.model_copy(update={"seed": 1})))
    with pytest.raises(UserError, match="delete it, and the run starts again from its first step"):
        run(folder)


def test_a_model_that_was_taken_away_and_not_replaced_comes_back(tmp_path: Path) -> None:
    best = tmp_path / "best"
    old = tmp_path / f".best{TEMPORARY_MARK}12345.old"
    old.mkdir()
    (old / "state.json").write_text("chosen")
    recover_model(best)
    assert (best / "state.json").read_text() == "chosen"
    old.mkdir()
    recover_model(best)
    assert old.exists(), "the new one is in place: the old one is only deleted"
