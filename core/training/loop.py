"""Training loop: torch and accelerate, nothing else.

Every draw is keyed: samples by (seed, epoch, document), order by (seed, epoch), dropout by (seed, step). The loop owns
no file: its observer (`core.run.observer`) writes, validates and keeps checkpoints.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import msgspec
import torch
from accelerate import Accelerator

from core.config.schema import RunConfig
from core.features.batches import TrainingBatch, collate, epoch_batches, epoch_order, to_device
from core.features.candidates import draw_sample
from core.features.prepare import PreparedData
from core.model.joint_model import JointModel
from core.seeding import seed_for
from core.training.loss import joint_loss
from core.training.optimizer import ReadingSchedule, build_optimizer, set_lr


@dataclass(frozen=True)
class StepReport:
    """One optimiser step: losses, gradient norm before clipping, learning rate and how strongly it read."""

    epoch: int
    step: int
    losses: dict[str, float]
    gradient_norm: float
    lr: float
    reading: float


class Position(msgspec.Struct, frozen=True):
    """How far a training has come: whole steps, and whether the last epoch that ended has been validated."""

    step: int = 0
    validated: bool = True


@dataclass(frozen=True)
class TrainingState:
    """A training between two steps: its position, and everything that the next step depends on."""

    position: Position
    model: JointModel
    optimizer: torch.optim.Optimizer


@runtime_checkable
class Observer(Protocol):
    """Follows a training, and says where it begins."""

    def restore(self, model: JointModel, optimizer: torch.optim.Optimizer) -> Position:
        """Fill model and optimiser from a checkpoint where there is one, and return its position."""
        return Position()

    def on_step(self, report: StepReport, state: TrainingState) -> None:
        """An optimiser step was made; `report.step` counts from 1."""

    def on_epoch_end(self, epoch: int, reading: float, state: TrainingState) -> None:
        """An epoch (from 1) ended; an evaluation now reads as strongly as `reading`."""


class Diverged(Exception):
    """A loss that is not a finite number."""


def total_steps(config: RunConfig, documents: int) -> int:
    """Optimiser steps of a whole run; the last incomplete batch of an epoch is dropped."""
    return config.training.epochs * (documents // config.training.batch_size)


def train(
    model: JointModel, data: PreparedData, config: RunConfig, accelerator: Accelerator, observer: Observer
) -> None:
    """Train a model, already on its device, to the end; raises `Diverged` where a loss is not finite.

    The observer may restore a checkpoint first: N steps, a stop and the rest equal all steps at once, bit for bit, at
    the same number of threads.
    """
    documents, batch_size = len(data.splits["train"]), config.training.batch_size
    per_epoch, steps = documents // batch_size, total_steps(config, documents)
    optimizer = build_optimizer(model, config.training)
    schedule = ReadingSchedule(config.memory, steps)
    position = observer.restore(model, optimizer)
    step = position.step
    if not position.validated:
        state = TrainingState(Position(step), model, optimizer)
        observer.on_epoch_end(step // per_epoch, schedule.evaluation(step), state)
    for epoch in range(step // per_epoch, config.training.epochs):
        model.train()
        order = epoch_order(documents, seed=config.seed, epoch=epoch)
        for numbers in epoch_batches(order, batch_size, first=step - epoch * per_epoch):
            batch = draw_batch(model, data, config, numbers.tolist(), epoch=epoch)
            reading = schedule.training(step)
            lr = set_lr(optimizer, config.training, step=step, steps=steps)
            torch.manual_seed(seed_for("dropout", config.seed, step))
            losses, norm = train_step(model, batch, config, accelerator, optimizer, reading)
            step += 1
            if not all(math.isfinite(value) for value in losses.values()):
                raise Diverged(
                    f"step {step} (epoch {epoch + 1}): losses {losses} are not finite; lower training.lr "
                    f"({config.training.lr}) or training.clip ({config.training.clip}), or train in fp32"
                )
            report = StepReport(epoch + 1, step, losses, norm, lr, reading)
            observer.on_step(report, TrainingState(Position(step, step % per_epoch != 0), model, optimizer))
        state = TrainingState(Position(step), model, optimizer)
        observer.on_epoch_end(epoch + 1, schedule.evaluation(step), state)


def draw_batch(
    model: JointModel, data: PreparedData, config: RunConfig, numbers: Sequence[int], *, epoch: int
) -> TrainingBatch:
    """The training batch of some training documents in an epoch."""
    documents = data.splits["train"]
    samples = [
        draw_sample(documents[number], config.samples, data.labels, seed=config.seed, epoch=epoch) for number in numbers
    ]
    return collate(samples, padding=data.wordpieces.padding, multi_instance=model.multi_instance)


def train_step(
    model: JointModel,
    batch: TrainingBatch,
    config: RunConfig,
    accelerator: Accelerator,
    optimizer: torch.optim.Optimizer,
    reading: float,
) -> tuple[dict[str, float], float]:
    """Forward, backward, clip, update; the losses and the gradient norm before clipping."""
    optimizer.zero_grad(set_to_none=True)
    batch = to_device(batch, accelerator.device)
    with accelerator.autocast():
        logits = model(batch, reading=reading)
    losses = joint_loss(logits, batch.targets, config.loss)
    values = losses.values()
    if not math.isfinite(values["total"]):
        return values, math.nan
    accelerator.backward(losses.total)
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), config.training.clip)
    optimizer.step()
    return values, float(norm)
