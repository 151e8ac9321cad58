"""A run folder computed to its record: what it leaves behind, repeats, learns, and how it ends when it cannot."""

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import core.run.__main__
import core.run.execute
import core.training.loop
from core.config.presets import from_yaml, to_yaml
from core.config.signature import run_id
from core.data.formats.predictions import read_predictions
from core.files import (
    HOLDER_FILE,
    TEMPORARY_MARK,
    is_locked,
    lock_folder,
)
from core.records.record import (
    BEST,
    CONFIG,
    HISTORY,
    LAST,
    RunRecord,
    clean_up_if_killed,
    read_record,
    write_record,
)
from core.run.execute import run
from core.training.checkpoints import load_model
from core.training.loss import LOSS_NAMES, Losses
from tests.tiny import (
    SYSTEMS,
    TYPE_NAMES,
    dead_process,
    document,
    tiny_config,
    write_corpus,
    write_run,
    write_types,
)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return write_corpus(tmp_path / "corpus.json", count=6)


def history(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / HISTORY).read_text().splitlines()]


@pytest.mark.parametrize("preset", SYSTEMS)
def test_a_run_leaves_a_whole_folder(tmp_path: Path, corpus: Path, preset: str) -> None:
    folder = tmp_path / "run"
    config = write_run(folder, corpus, preset)
    record = run(folder)
    assert record.status == "finished", record.error
    assert record.error is None
    assert read_record(folder) == record
    assert from_yaml(folder / CONFIG) == config
    assert record.steps == 6
    rows = history(folder)
    steps = [row for row in rows if row["kind"] == "step"]
    assert [row["step"] for row in steps] == [1, 2, 3, 4, 5, 6]
    assert [row["epoch"] for row in steps] == [1, 1, 1, 2, 2, 2]
    assert all(math.isfinite(row[f"loss/{name}"]) for row in steps for name in LOSS_NAMES)
    # int(.4 * 6) = 2 steps of memory warm-up; JEREX never reads.
    reading = [0.0, 0.0, 1.0, 1.0, 1.0, 1.0] if preset.startswith("memory") else [0.0] * 6
    assert [row["reading"] for row in steps] == reading
    validated = [row for row in rows if row["kind"] == "validation"]
    ends = [(row["epoch"], row["step"], row["reading"]) for row in validated]
    assert ends == [(1, 3, reading[2]), (2, 6, reading[5])]
    assert all("validation/relation_strict/f1" in row and "validation/loss/total" in row for row in validated)
    assert set(record.metrics) == {"validation", "test"}
    assert record.metrics["validation"]["relation_strict"] == record.metrics["test"]["relation_strict"]
    assert "on_gold" in record.metrics["test"]["extra"]
    assert record.chosen_epoch in (1, 2)
    assert record.chosen_reading == validated[record.chosen_epoch - 1]["reading"]
    model = load_model(folder / BEST, config).model
    assert record.parameters == sum(parameter.numel() for parameter in model.parameters())
    for split in ("validation", "test"):
        counts = json.loads((folder / f"documents.{split}.json").read_text())
        assert [one["id"] for one in counts] == [f"tiny {number}" for number in range(6)]
        predicted = read_predictions(folder / f"predictions.{split}.jsonl")
        assert [one.document.tokens for one in predicted] == [document(number).tokens for number in range(6)]
    assert record.type_names == {}
    assert record.provenance is not None
    assert len(record.provenance.data[str(corpus)]) == 64
    assert record.seconds > 0
    # Nothing half-written; a lock file is harmless, and deleting it would let two processes in.
    assert [path.name for path in folder.rglob("*") if path.name.startswith(".")] == [".lock"]


def test_a_finished_run_is_not_computed_again(tmp_path: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "run"
    write_run(folder, corpus)
    record = run(folder)
    monkeypatch.setattr(core.run.execute, "compute", lambda *given: pytest.fail("computed again"))
    assert run(folder) == record


@pytest.mark.parametrize("preset", ["jerex-grc", "memory-mrc"])
def test_the_same_config_gives_the_same_bits(tmp_path: Path, corpus: Path, preset: str) -> None:
    records: list[RunRecord] = []
    weights = []
    for name in ("one", "two", "other"):
        seed = 1 if name == "other" else 0
        # Longer than one batch at a time and with dropout: every keyed draw takes part.
        write_run(tmp_path / name, corpus, preset, seed=seed, model={"mention_threshold": 0.4})
        torch.manual_seed(len(records))
        np.random.seed(len(records))  # noqa: NPY002 - the global state must not matter
        records.append(run(tmp_path / name))
        weights.append(load_file(tmp_path / name / BEST / "model.safetensors"))
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())
    assert records[0].metrics == records[1].metrics
    assert records[0].run_id == records[1].run_id != records[2].run_id
    assert not torch.equal(weights[0]["mention_head.hidden.weight"], weights[2]["mention_head.hidden.weight"])
    lines = [(tmp_path / name / "predictions.test.jsonl").read_bytes() for name in ("one", "two")]
    assert lines[0] == lines[1]


BY_HEART: dict[str, Any] = {
    "encoder": {"scratch": {"width": 64, "intermediate": 128}},
    "model": {"dropout": 0.0},
    "samples": {"neg_mentions": 100, "neg_corefs": 40, "neg_relations": 20},
    "training": {"epochs": 20, "lr": 1e-2, "select_from": 0.5},
}


NORMAL = {"memory": {"read_mode": "normal", "pooling": "gated", "warmup": 0.0}}


# An inverse read only rescales: after so few steps its logits are still too small for the thresholds.
INVERSE = {"memory": {"warmup": 0.1}}


@pytest.mark.parametrize(
    ("preset", "row", "learned"), [("jerex-mrc", {}, 90), ("memory-grc", NORMAL, 90), ("memory-mrc", INVERSE, None)]
)
def test_a_handful_of_documents_is_learned_by_heart(
    tmp_path: Path, corpus: Path, preset: str, row: dict[str, Any], learned: float | None
) -> None:
    write_run(tmp_path / "run", corpus, preset, **BY_HEART | row)
    record = run(tmp_path / "run")
    assert record.status == "finished", record.error
    rows = history(tmp_path / "run")
    losses = [entry["loss/total"] for entry in rows if entry["kind"] == "step"]
    assert len(losses) == 60
    assert sum(losses[-5:]) < 0.3 * sum(losses[:5])
    held_out = [entry["validation/loss/total"] for entry in rows if entry["kind"] == "validation"]
    assert held_out[-1] < 0.3 * held_out[0]
    assert record.chosen_epoch is not None
    assert record.chosen_epoch > 10
    if learned is not None:
        assert record.metrics["validation"]["mention"]["f1"] > learned
        assert record.metrics["validation"]["relation_strict"]["f1"] > learned


def test_a_record_holds_the_readable_names_of_its_types_file(tmp_path: Path, corpus: Path) -> None:
    types = str(write_types(tmp_path / "types.json"))
    write_run(tmp_path / "run", corpus, training={"epochs": 1}, data={"types": types})
    assert run(tmp_path / "run").type_names == TYPE_NAMES


def poison(monkeypatch: pytest.MonkeyPatch, failing: Callable[..., Any]) -> None:
    """Call something else instead of the third step's loss."""
    calls = iter(range(100))
    original = core.training.loop.joint_loss

    def third(*given: Any) -> Any:
        return failing(original(*given)) if next(calls) == 2 else original(*given)

    monkeypatch.setattr(core.training.loop, "joint_loss", third)


def test_a_loss_that_is_not_finite_is_recorded_as_diverged(
    tmp_path: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison(monkeypatch, lambda losses: Losses(**{name: value * math.nan for name, value in vars(losses).items()}))
    write_run(tmp_path / "run", corpus)
    record = run(tmp_path / "run")
    assert record.status == "diverged"
    assert record.error is not None
    assert record.error.startswith("step 3 (epoch 1): losses")
    assert "training.lr (0.001)" in record.error
    assert "Traceback" not in record.error
    assert read_record(tmp_path / "run") == record
    assert len(history(tmp_path / "run")) == 2


def test_an_exploding_run_diverges_before_its_weights_are_used(tmp_path: Path, corpus: Path) -> None:
    write_run(tmp_path / "run", corpus, training={"lr": 1e30, "lr_warmup": 0.0, "epochs": 4})
    record = run(tmp_path / "run")
    assert record.status == "diverged", record.error
    assert record.error is not None
    assert "not finite" in record.error


def test_a_failing_run_is_recorded_with_its_traceback(
    tmp_path: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(losses: Any) -> Any:
        raise RuntimeError("the disk is on fire")

    poison(monkeypatch, fail)
    write_run(tmp_path / "run", corpus)
    record = run(tmp_path / "run")
    assert record.status == "failed"
    assert record.error is not None
    assert record.error.startswith("Traceback")
    assert "RuntimeError: the disk is on fire" in record.error
    assert read_record(tmp_path / "run") == record
    monkeypatch.undo()
    assert run(tmp_path / "run").status == "finished"


def test_an_interrupted_run_is_recorded_as_such(tmp_path: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(losses: Any) -> Any:
        raise KeyboardInterrupt

    poison(monkeypatch, stop)
    write_run(tmp_path / "run", corpus)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "run")
    record = read_record(tmp_path / "run")
    assert record is not None
    assert record.status == "interrupted"
    assert core.run.__main__.main([str(tmp_path / "run")]) == 0
    assert read_record(tmp_path / "run") != record


def test_a_flood_of_mentions_is_cut_counted_and_reported(
    tmp_path: Path, corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flood = {"model": {"mention_threshold": 0.01}, "inference": {"max_mentions": 5}}
    write_run(tmp_path / "run", corpus, training={"epochs": 1, "lr": 1e-6}, **flood)
    record = run(tmp_path / "run")
    assert record.status == "finished", record.error
    assert record.repairs["test"]["mention_flood"] == 6
    printed = capsys.readouterr().err
    assert "6 of 6 validation documents had more than inference.max_mentions (5) spans accepted as mentions" in printed
    predicted = read_predictions(tmp_path / "run" / "predictions.test.jsonl")
    assert [len(one.annotation.mentions) for one in predicted] == [5] * 6


def make_run(folder: Path, status: str = "running", keep: str = "best") -> RunRecord:
    config = tiny_config("jerex-grc", {"training": {"keep": keep}})
    folder.mkdir()
    (folder / CONFIG).write_text(to_yaml(config))
    (folder / BEST).mkdir(parents=True)
    (folder / LAST).write_text("optimiser state")
    record = RunRecord(run_id=run_id(config), status=status, config=config.model_dump(mode="json"))
    write_record(folder, record)
    return record


@pytest.mark.parametrize(("status", "keep"), [("finished", "best"), ("finished", "none"), ("diverged", "best")])
def test_a_run_killed_right_after_its_last_record_is_tidied(tmp_path: Path, status: str, keep: str) -> None:
    folder = tmp_path / "run"
    record = make_run(folder, status, keep)
    assert core.run.execute.run(folder) == record
    assert (folder / LAST).exists(), "nobody was killed over it"
    (folder / HOLDER_FILE).write_text("process 1 on elsewhere")
    (folder / "checkpoints" / f".last.pt{TEMPORARY_MARK}{dead_process()}").write_text("half")
    assert core.run.execute.run(folder) == record
    assert not (folder / HOLDER_FILE).exists()
    assert (folder / LAST).exists() == (status != "finished")
    assert (folder / BEST).exists() == (keep == "best")
    assert [path.name for path in folder.rglob(f".*{TEMPORARY_MARK}*")] == []


def test_the_folder_of_a_run_under_way_is_not_tidied(tmp_path: Path) -> None:
    make_run(tmp_path / "run", "finished")
    with lock_folder(tmp_path / "run"):
        clean_up_if_killed(tmp_path / "run")
        assert (tmp_path / "run" / LAST).exists()


def test_a_run_that_another_process_finishes_meanwhile_is_not_computed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    running = make_run(folder)
    finished = RunRecord(run_id=running.run_id, status="finished", config={})

    def held_after_the_other(place: Path) -> object:
        write_record(place, finished)
        return lock_folder(place)

    monkeypatch.setattr(core.run.execute, "lock_folder", held_after_the_other)
    monkeypatch.setattr(core.run.execute, "compute", lambda *given: pytest.fail("computed again"))
    assert core.run.execute.run(folder) == finished
    assert read_record(folder) == finished


ROOT = Path(__file__).resolve().parents[3]


def test_two_processes_never_compute_one_run(tmp_path: Path, corpus: Path) -> None:
    write_run(tmp_path / "run", corpus, "jerex-grc")
    assert not is_locked(tmp_path / "run")
    with lock_folder(tmp_path / "run"):
        assert is_locked(tmp_path / "run")
        command = [sys.executable, "-m", "core.run", str(tmp_path / "run")]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 2
        assert f"is being computed by process {os.getpid()}" in done.stderr
        assert not (tmp_path / "run" / HISTORY).exists()
    assert not is_locked(tmp_path / "run")
