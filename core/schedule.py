"""What changes with the step: the learning rate's factor and how strongly memory is read."""

from dataclasses import dataclass

from core.config import MemoryConfig


def lr_factor(step: int, *, steps: int, warmup: float) -> float:
    """Linear rise over the first share of all steps, linear fall to 0 after it; the first step has factor 0."""
    rising = int(warmup * steps)
    if step < rising:
        return step / max(1, rising)
    return max(0.0, (steps - step) / max(1, steps - rising))


@dataclass(frozen=True)
class ReadingSchedule:
    """Memory warm-up in optimiser steps, and the ramp after it."""

    memory: MemoryConfig | None
    steps: int

    @property
    def first(self) -> int:
        """The first training step (from 0) that reads; `steps` where none does."""
        if self.memory is None or self.memory.read_mode == "none":
            return self.steps
        return int(self.memory.warmup * self.steps)

    def training(self, step: int) -> float:
        """How strongly training step `step` (from 0) reads: 0 before the warm-up is over, 1 after the ramp."""
        if self.memory is None or step < self.first:
            return 0.0
        ramp = int(self.memory.ramp * self.steps)
        return min(1.0, (step - self.first + 1) / ramp) if ramp else 1.0

    def evaluation(self, done: int) -> float:
        """How strongly an evaluation after `done` steps reads: as the last of them did."""
        return self.training(done - 1) if done > 0 else 0.0
