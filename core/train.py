"""The training loop: torch and accelerate, nothing else.

Every draw is keyed: samples by (seed, epoch, document), order by (seed, epoch), dropout by (seed, step). The loop owns
no file: it tells its observer what happens, and the observer (`core.run`) writes, validates and keeps checkpoints.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from accelerate import Accelerator

from core.batches import TrainingBatch, batches_of, collate, epoch_order, to_device
from core.candidates import draw_sample
from core.config import RunConfig
from core.documents import LabelSet
from core.keys import key_of
from core.loss import Losses, joint_loss
from core.model import JointModel
from core.optimizer import build_optimizer, build_scheduler
from core.schedule import ReadingSchedule
from core.wordpieces import EncodedDocument


@dataclass(frozen=True)
class StepReport:
    """One optimiser step: losses, gradient norm before clipping, learning rate, seconds and how strongly it read."""

    epoch: int
    step: int
    losses: dict[str, float]
    gradient_norm: float
    lr: float
    seconds: float
    reading: float


@runtime_checkable
class Observer(Protocol):
    """Is told what the loop does."""

    def stepped(self, report: StepReport) -> None:
        """An optimiser step was made; `report.step` counts from 1."""

    def epoch_ended(self, epoch: int, step: int, reading: float) -> None:
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
    model: JointModel, given: TrainingInput, config: RunConfig, accelerator: Accelerator, observer: Observer
) -> None:
    """Train a model, already on its device, to the end; raises `Diverged` where a loss is not finite."""
    steps = total_steps(config, len(given.documents))
    optimizer = build_optimizer(model, config.training)
    scheduler = build_scheduler(optimizer, config.training, steps=steps)
    schedule = ReadingSchedule(config.memory, steps)
    step = 0
    for epoch in range(config.training.epochs):
        model.train()
        order = epoch_order(len(given.documents), seed=config.seed, epoch=epoch)
        for numbers in batches_of(order, config.training.batch_size):
            started = time.perf_counter()
            batch = draw_batch(model, given, config, [int(number) for number in numbers], epoch=epoch)
            reading = schedule.training(step)
            torch.manual_seed(key_of("dropout", config.seed, step))
            losses, norm = one_step(model, batch, config, accelerator, optimizer, reading)
            lr = float(scheduler.get_last_lr()[0])
            scheduler.step()
            step += 1
            if not all(math.isfinite(value) for value in losses.values()):
                raise Diverged(
                    f"step {step} (epoch {epoch + 1}): losses {losses} are not finite; lower training.lr "
                    f"({config.training.lr}) or training.clip ({config.training.clip}), or train in fp32"
                )
            seconds = time.perf_counter() - started
            observer.stepped(StepReport(epoch + 1, step, losses, norm, lr, seconds, reading))
        observer.epoch_ended(epoch + 1, step, schedule.evaluation(step))


def draw_batch(
    model: JointModel, given: TrainingInput, config: RunConfig, numbers: Sequence[int], *, epoch: int
) -> TrainingBatch:
    """The training batch of some documents in an epoch."""
    samples = [
        draw_sample(given.documents[number], config.samples, given.labels, seed=config.seed, epoch=epoch)
        for number in numbers
    ]
    return collate(samples, padding=given.padding, multi_instance=model.multi_instance)


def one_step(
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
