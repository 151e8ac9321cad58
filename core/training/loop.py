"""The training loop: torch and accelerate, nothing else.

Every draw is keyed: samples by (seed, epoch, document), order by (seed, epoch), dropout by (seed, step). The loop owns
no file: it tells its observer what happens, and the observer (`core.run.observer`) writes, validates and keeps
checkpoints.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import msgspec
import torch
from accelerate import Accelerator

from core.config.schema import RunConfig
from core.data.documents import LabelSet
from core.features.batches import TrainingBatch, collate, epoch_batches, epoch_order, to_device
from core.features.candidates import draw_sample
from core.features.wordpieces import EncodedDocument
from core.model.joint_model import JointModel
from core.seeding import seed_for
from core.training.loss import Losses, joint_loss
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
    """A training between two steps: where it is, and everything that the next step depends on."""

    position: Position
    model: JointModel
    optimizer: torch.optim.Optimizer


@runtime_checkable
class Observer(Protocol):
    """Is told what the loop does, and where it begins."""

    def restore(self, model: JointModel, optimizer: torch.optim.Optimizer) -> Position:
        """Fill model and optimiser from a checkpoint where there is one, and say where that was."""
        return Position()

    def on_step(self, report: StepReport, moment: TrainingState) -> None:
        """An optimiser step was made; `report.step` counts from 1."""

    def on_epoch_end(self, epoch: int, step: int, reading: float, moment: TrainingState) -> None:
        """An epoch (from 1) ended after `step` steps; an evaluation now reads as strongly as `reading`."""


class Diverged(Exception):
    """A loss that is not a finite number."""


@dataclass(frozen=True)
class TrainingInput:
    """What the loop trains on."""

    documents: Sequence[EncodedDocument]
    labels: LabelSet
    padding: int


def total_steps(config: RunConfig, documents: int) -> int:
    """Optimiser steps of a whole run; the last incomplete batch of an epoch is dropped."""
    return config.training.epochs * (documents // config.training.batch_size)


def train(
    model: JointModel,
    given: TrainingInput,
    config: RunConfig,
    accelerator: Accelerator,
    observer: Observer,
) -> None:
    """Train a model, already on its device, to the end; raises `Diverged` where a loss is not finite.

    The observer may restore a checkpoint first: N steps, a stop and the rest equal all steps at once, bit for bit, at
    the same number of threads.
    """
    per_epoch = len(given.documents) // config.training.batch_size
    steps = total_steps(config, len(given.documents))
    optimizer = build_optimizer(model, config.training)
    position = observer.restore(model, optimizer)
    schedule = ReadingSchedule(config.memory, steps)
    if not position.validated:
        epoch = position.step // per_epoch
        moment = TrainingState(Position(position.step), model, optimizer)
        observer.on_epoch_end(epoch, position.step, schedule.evaluation(position.step), moment)
    step = position.step
    for epoch in range(step // per_epoch, config.training.epochs):
        model.train()
        order = epoch_order(len(given.documents), seed=config.seed, epoch=epoch)
        for numbers in epoch_batches(order, config.training.batch_size, first=step - epoch * per_epoch):
            batch = draw_batch(model, given, config, [int(number) for number in numbers], epoch=epoch)
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
            moment = TrainingState(Position(step, validated=step % per_epoch != 0), model, optimizer)
            observer.on_step(report, moment)
        observer.on_epoch_end(
            epoch + 1, step, schedule.evaluation(step), TrainingState(Position(step), model, optimizer)
        )


def draw_batch(
    model: JointModel, given: TrainingInput, config: RunConfig, numbers: Sequence[int], *, epoch: int
) -> TrainingBatch:
    """The training batch of some documents in an epoch."""
    samples = [
        draw_sample(given.documents[number], config.samples, given.labels, seed=config.seed, epoch=epoch)
        for number in numbers
    ]
    return collate(samples, padding=given.padding, multi_instance=model.multi_instance)


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
    placed = to_device(batch, accelerator.device)
    with accelerator.autocast():
        logits = model(placed, reading=reading)
    losses: Losses = joint_loss(logits, placed.targets, config.loss)
    values = {name: float(getattr(losses, name).detach()) for name in LOSS_NAMES}
    if not math.isfinite(values["total"]):
        return values, math.nan
    accelerator.backward(losses.total)
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), config.training.clip)
    optimizer.step()
    return values, float(norm)


LOSS_NAMES = ("mention", "coref", "entity", "relation", "total")
