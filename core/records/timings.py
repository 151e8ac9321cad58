"""Timings of the parts of a run, and what a whole run takes by them: measured by `core.run.timing`, used by plans."""

import msgspec

from core.config.schema import RunConfig

DECODING = 1.5
"""Seconds of decoding a document over those of a held-out forward: 1.15 to 1.3 in our benchmark, and scoring."""


class StepCosts(msgspec.Struct, frozen=True):
    """The parts of a run, measured on a few of its documents."""

    steps: int
    """Optimiser steps that were timed."""
    step_seconds: float
    """Median seconds of an optimiser step."""
    document_seconds: float
    """Seconds of the held-out forward of a document."""
    start_seconds: float
    """Seconds before the first step: documents read and word-pieced, the model built."""
    documents: dict[str, int]
    """Split -> number of documents."""
    peak_memory_mib: float
    parameters: int

    def total_steps(self, config: RunConfig) -> int:
        """Optimiser steps of a run on these documents."""
        return config.training.epochs * (self.documents["train"] // config.training.batch_size)

    def seconds(self, config: RunConfig) -> float:
        """Seconds of a whole run: its steps, validation after every epoch, and the chosen checkpoint on every split."""
        validated = config.training.epochs * self.documents["validation"]
        decoded = validated + 2 * (self.documents["validation"] + self.documents.get("test", 0))
        held_out = (validated + DECODING * decoded) * self.document_seconds
        return self.start_seconds + self.total_steps(config) * self.step_seconds + held_out
