"""The training loop through a run folder: what it leaves behind, repeats, learns, and how it ends when it cannot."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file

import core.run.__main__
import core.run.execute
import core.training.loop
from core.config.presets import from_yaml, to_yaml
from core.config.schema import RunConfig
from core.data.formats.docred import write_docred
from core.data.formats.predictions import read_predictions
from core.features.prepare import PreparedData, prepare
from core.model.joint_model import JointModel
from core.records.record import BEST, CONFIG, HISTORY, RunRecord, read_record
from core.run.execute import build_accelerator, build_fresh_model, run
from core.training.checkpoints import load_model
from core.training.held_out import held_out_loss
from core.training.loop import (
    Position,
    StepReport,
    TrainingState,
    draw_batch,
    train,
    train_step,
)
from core.training.loss import LOSS_NAMES, Losses
from core.training.optimizer import build_optimizer, set_lr
from tests.tiny import (
    LABELS,
    SYSTEMS,
    document,
    encoded,
    tiny_batch,
    tiny_config,
    tiny_model,
    wordpieces,
)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.json"
    write_docred([document(number) for number in range(6)], path)
    return path


def prepare_run(folder: Path, corpus: Path, preset: str = "memory-mrc", **row: Any) -> RunConfig:
    """A run folder that holds only its config."""
    training = {"epochs": 2, "batch_size": 2, "lr": 1e-3, "lr_warmup": 0.1} | row.pop("training", {})
    settings = {
        "data": {name: str(corpus) for name in ("train", "validation", "test")},
        "training": training,
        "runtime": {"device": "cpu", "threads": 1, "log_every": 1},
        "tracking": {"wandb": "disabled"},
    }
    config = tiny_config(preset, settings | row)
    folder.mkdir(parents=True)
    (folder / CONFIG).write_text(to_yaml(config))
    return config


def history(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / HISTORY).read_text().splitlines()]


@pytest.mark.parametrize("preset", SYSTEMS)
def test_a_run_leaves_a_whole_folder(tmp_path: Path, corpus: Path, preset: str) -> None:
    folder = tmp_path / "run"
    config = prepare_run(folder, corpus, preset)
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
    assert record.provenance is not None
    assert len(record.provenance.data[str(corpus)]) == 64
    assert record.seconds > 0
    # Nothing half-written; a lock file is harmless, and deleting it would let two processes in.
    assert [path.name for path in folder.rglob("*") if path.name.startswith(".")] == [".lock"]


def test_a_finished_run_is_not_computed_again(tmp_path: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "run"
    prepare_run(folder, corpus)
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
        prepare_run(tmp_path / name, corpus, preset, seed=seed, model={"mention_threshold": 0.4})
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
    prepare_run(tmp_path / "run", corpus, preset, **BY_HEART | row)
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


class Silent:
    """Keeps what the loop says."""

    def __init__(self) -> None:
        self.steps: list[StepReport] = []

    def restore(self, model: JointModel, optimizer: torch.optim.Optimizer) -> Position:
        return Position()

    def on_step(self, report: StepReport, state: TrainingState) -> None:
        self.steps.append(report)

    def on_epoch_end(self, epoch: int, reading: float, state: TrainingState) -> None:
        """Nothing is kept of it."""


def test_the_loop_makes_the_scheduled_steps() -> None:
    row = {"training": {"epochs": 3, "lr": 1e-2, "head_lr": 2e-2, "lr_warmup": 0.25, "clip": 0.01}}
    config = tiny_config("memory-grc", row)
    model, observer = tiny_model(config), Silent()
    documents = encoded(*(document(number) for number in range(5)))
    train(model, PreparedData({"train": documents}, LABELS, wordpieces(), {}), config, Accelerator(cpu=True), observer)
    assert [report.step for report in observer.steps] == [1, 2, 3, 4, 5, 6]
    assert [report.epoch for report in observer.steps] == [1, 1, 2, 2, 3, 3]
    # One rising step of six, then linear to zero; norms are those before clipping.
    rates = [report.lr / max(report.lr for report in observer.steps) for report in observer.steps]
    assert rates == pytest.approx([0.0, 1.0, 0.8, 0.6, 0.4, 0.2])
    assert all(report.gradient_norm > 0.01 for report in observer.steps)
    assert [report.reading for report in observer.steps] == [0.0, 0.0, 1.0, 1.0, 1.0, 1.0]


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
    prepare_run(tmp_path / "run", corpus)
    record = run(tmp_path / "run")
    assert record.status == "diverged"
    assert record.error is not None
    assert record.error.startswith("step 3 (epoch 1): losses")
    assert "training.lr (0.001)" in record.error
    assert "Traceback" not in record.error
    assert read_record(tmp_path / "run") == record
    assert len(history(tmp_path / "run")) == 2


def test_an_exploding_run_diverges_before_its_weights_are_used(tmp_path: Path, corpus: Path) -> None:
    prepare_run(tmp_path / "run", corpus, training={"lr": 1e30, "lr_warmup": 0.0, "epochs": 4})
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
    prepare_run(tmp_path / "run", corpus)
    record = run(tmp_path / "run")
    assert record.status == "failed"
    assert record.error is not None
    assert record.error.startswith("Traceback")
    assert "RuntimeError: the disk is on fire" in record.error
    assert read_record(tmp_path / "run") == record
    monkeypatch.undo()
    assert run(tmp_path / "run").status == "finished"


def test_a_stopped_run_is_recorded_as_interrupted(
    tmp_path: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(losses: Any) -> Any:
        raise KeyboardInterrupt

    poison(monkeypatch, stop)
    prepare_run(tmp_path / "run", corpus)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "run")
    record = read_record(tmp_path / "run")
    assert record is not None
    assert record.status == "interrupted"
    assert core.run.__main__.main([str(tmp_path / "run")]) == 0
    assert read_record(tmp_path / "run") != record


def test_one_bf16_step_is_close_to_fp32(corpus: Path, tmp_path: Path) -> None:
    found = {}
    for precision in ("fp32", "bf16"):
        config = prepare_run(tmp_path / precision, corpus, training={"precision": precision}, model={"dropout": 0.0})
        data = prepare(config)
        model = build_fresh_model(config, data).train()
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
        batch = draw_batch(model, data, config, [0, 1], epoch=0)
        accelerator, optimizer = build_accelerator(config), build_optimizer(model, config.training)
        set_lr(optimizer, config.training, step=2, steps=20)
        losses, norm = train_step(model, batch, config, accelerator, optimizer, 1.0)
        assert all(parameter.dtype == torch.float32 for parameter in model.parameters())
        moved = [float((parameter - before[name]).detach().abs().max()) for name, parameter in model.named_parameters()]
        found[precision] = (losses, norm, max(moved))
    assert found["fp32"][0] != found["bf16"][0]
    assert found["bf16"][0] == pytest.approx(found["fp32"][0], rel=0.02)
    assert found["bf16"][1] == pytest.approx(found["fp32"][1], rel=0.1)
    assert found["bf16"][2] == pytest.approx(found["fp32"][2], rel=0.1)


@pytest.mark.parametrize("preset", SYSTEMS)
def test_the_gradient_of_bf16_points_where_that_of_fp32_does(preset: str) -> None:
    gradients = {}
    for precision in ("fp32", "bf16"):
        # Nothing is dropped in evaluation mode, where gradients are the same.
        config = tiny_config(preset, {"training": {"precision": precision}})
        model = tiny_model(config, scale=4.0)
        batch = tiny_batch(config, encoded(document(0), document(1, extra=2)))
        train_step(model, batch, config, build_accelerator(config), build_optimizer(model, config.training), 1.0)
        gradients[precision] = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    assert {part.dtype for part in gradients["bf16"]} == {torch.float32}
    fp32, bf16 = (torch.cat([part.flatten() for part in parts]) for parts in gradients.values())
    assert not torch.equal(fp32, bf16)
    assert float(torch.cosine_similarity(fp32, bf16, dim=0)) > 0.995


def test_a_flood_of_mentions_is_cut_counted_and_said(
    tmp_path: Path, corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flood = {"model": {"mention_threshold": 0.01}, "inference": {"max_mentions": 5}}
    prepare_run(tmp_path / "run", corpus, training={"epochs": 1, "lr": 1e-6}, **flood)
    record = run(tmp_path / "run")
    assert record.status == "finished", record.error
    assert record.repairs["test"]["mention_flood"] == 6
    said = capsys.readouterr().err
    assert "6 of 6 validation documents had more than inference.max_mentions (5) spans accepted as mentions" in said
    predicted = read_predictions(tmp_path / "run" / "predictions.test.jsonl")
    assert [len(one.annotation.mentions) for one in predicted] == [5] * 6


@pytest.mark.parametrize("preset", SYSTEMS)
def test_the_held_out_loss_is_repeatable_and_leaves_the_model_alone(preset: str) -> None:
    config = tiny_config(preset)
    model, documents = tiny_model(config).train(), encoded(document(0), document(1))
    one, two = (held_out_loss(model, documents, config, LABELS, padding=0, reading=1.0) for _ in range(2))
    assert one == two
    assert model.training
    single = [held_out_loss(model, [each], config, LABELS, padding=0, reading=1.0) for each in documents]
    assert one == pytest.approx({name: (single[0][name] + single[1][name]) / 2 for name in one})
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_keyed_dropout_does_not_depend_on_what_was_drawn_before() -> None:
    config = tiny_config("jerex-grc", {"training": {"epochs": 1}})
    documents = encoded(*(document(number) for number in range(4)))
    losses = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        observer = Silent()
        train(
            tiny_model(config),
            PreparedData({"train": documents}, LABELS, wordpieces(), {}),
            config,
            Accelerator(cpu=True),
            observer,
        )
        losses.append([report.losses for report in observer.steps])
    assert losses[0] == losses[1]
    assert tiny_batch(config, documents[:1]).pieces.counts == (len(documents[0].ids),)
