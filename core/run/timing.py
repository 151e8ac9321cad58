"""Timing of a few optimiser steps of a run: `python -m core.run.timing CONFIG OUT STEPS`; no folder, record or result.

The steps are the run's own, on its own documents, with memory read where the run ever reads; one more step on the
longest documents and their held-out forward stand for the peak of memory.
"""

import sys
import time
from itertools import count, islice
from pathlib import Path
from statistics import median

import msgspec

from core.config.presets import from_yaml
from core.config.schema import RunConfig
from core.errors import UserError
from core.features.batches import epoch_batches, epoch_order
from core.features.prepare import prepare
from core.files import atomic_write
from core.progress import progress_bar, say
from core.records.timings import StepCosts
from core.run.device import peak_memory
from core.run.execute import build_accelerator, build_fresh_model
from core.training.held_out import held_out_loss
from core.training.loop import draw_batch, train_step
from core.training.optimizer import build_optimizer

UNTIMED = 2
"""First steps, which only warm up: memory is claimed, kernels are chosen."""
HELD_OUT = 4
"""Documents of the held-out forward that is timed."""


def measure(config: RunConfig, steps: int) -> StepCosts:
    """Time `steps` optimiser steps of a run, and the forward of some held-out documents."""
    started = time.perf_counter()
    accelerator = build_accelerator(config)
    data = prepare(config)
    model = build_fresh_model(config, data)
    model.to(accelerator.device).train()
    optimizer = build_optimizer(model, config.training)
    start_seconds = time.perf_counter() - started
    documents = data.splits["train"]
    reading = 1.0 if config.memory is not None and config.memory.ever_reads else 0.0

    def step(numbers: list[int], epoch: int) -> float:
        begun = time.perf_counter()
        batch = draw_batch(model, data, config, numbers, epoch=epoch)
        train_step(model, batch, config, accelerator, optimizer, reading)
        return time.perf_counter() - begun

    batches = (
        (epoch, numbers.tolist())
        for epoch in count()
        for numbers in epoch_batches(
            epoch_order(len(documents), seed=config.seed, epoch=epoch), config.training.batch_size
        )
    )
    timed = []
    with progress_bar("measuring steps", UNTIMED + steps) as progress:
        for epoch, numbers in islice(batches, UNTIMED + steps):
            timed.append(step(numbers, epoch))
            progress.advance(1)
    by_length = sorted(range(len(documents)), key=lambda number: len(documents[number].ids))
    step(by_length[-config.training.batch_size :], 0)
    held_out = data.splits["validation"][:HELD_OUT]
    begun = time.perf_counter()
    held_out_loss(model, held_out, config, data.labels, padding=data.wordpieces.padding, reading=reading)
    document_seconds = (time.perf_counter() - begun) / len(held_out)
    return StepCosts(
        steps=len(timed[UNTIMED:]),
        step_seconds=median(timed[UNTIMED:]),
        document_seconds=document_seconds,
        start_seconds=start_seconds,
        documents={name: len(split) for name, split in data.splits.items()},
        peak_memory_mib=peak_memory(),
        parameters=sum(parameter.numel() for parameter in model.parameters()),
    )


def main(arguments: list[str]) -> int:
    """Time a config and write its costs; 2 for a user's mistake, 130 for an interruption."""
    config, out, steps = arguments
    try:
        costs = measure(from_yaml(Path(config)), int(steps))
        atomic_write(Path(out), msgspec.json.encode(costs))
    except UserError as error:
        say(f"engram: {error}")
        return 2
    except KeyboardInterrupt:
        return 130
    say(f"{costs.steps} steps, {costs.step_seconds:.3f} s each; {costs.peak_memory_mib:.0f} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
