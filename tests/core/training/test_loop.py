"""The training loop: its steps, keyed draws, bf16, and the loss on held-out documents."""

from pathlib import Path

import pytest
import torch
from accelerate import Accelerator

from core.features.prepare import PreparedData, prepare
from core.model.joint_model import JointModel
from core.run.execute import build_accelerator, build_fresh_model
from core.training.held_out import held_out_loss
from core.training.loop import (
    Position,
    StepReport,
    TrainingState,
    draw_batch,
    train,
    train_step,
)
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
    write_corpus,
    write_run,
)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return write_corpus(tmp_path / "corpus.json", count=6)


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


def test_one_bf16_step_is_close_to_fp32(corpus: Path, tmp_path: Path) -> None:
    found = {}
    for precision in ("fp32", "bf16"):
        config = write_run(tmp_path / precision, corpus, training={"precision": precision}, model={"dropout": 0.0})
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


@pytest.mark.parametrize("preset", SYSTEMS)
def test_the_held_out_loss_is_repeatable_and_leaves_the_model_alone(preset: str) -> None:
    config = tiny_config(preset)
    model, documents = tiny_model(config).train(), encoded(document(0), document(1))
    one, two = (held_out_loss(model, documents, config, LABELS, padding=0, reading=1.0).losses for _ in range(2))
    assert one == two
    assert model.training
    single = [held_out_loss(model, [each], config, LABELS, padding=0, reading=1.0).losses for each in documents]
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
