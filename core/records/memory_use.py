"""Memory use: does a model use its memory? What reading does to the rows it reads, and what its removal costs.

Reads are measured at every validation and at test; knock-outs are test scores of the same weights with reading taken
away, once after training. A run that never reads has neither.
"""

from typing import Literal

import msgspec

Place = Literal["tokens", "mentions"]
MemoryName = Literal["entity", "relation"]
KnockOut = Literal["reading-off", "mean-read"]
"""reading-off: memory is not read. mean-read: every row of a document reads the mean of what its rows read (normal: the
mean vector; inverse: the mean weight). Under both the classifiers and the type rows keep their slots."""


class PlaceUse(msgspec.Struct, frozen=True, gc=False):
    """What reading does at one place; None where no row, or no read with an attention, was there to measure.

    A change is the norm of what reading adds to a row over the norm of the row, a factor the norm after reading over
    the norm before; both are means over rows. Rows are word pieces at tokens, candidate spans at mentions; a gold
    mention's rows are its span, or the pieces within one.
    """

    change_gold: float | None = None
    """Mean change of the rows of gold mentions."""
    change_other: float | None = None
    """Mean change of all other rows."""
    change_by_memory: dict[MemoryName, float] = {}
    """Mean change of gold rows by one memory alone; only where the pooling adds the reads."""
    factor: float | None = None
    """Mean factor of gold mentions among the candidates of inference."""
    factor_training: float | None = None
    """The same among the candidates of a sample drawn as in training, of the same documents; not measured at test."""
    entropy: dict[str, float] = {}
    """`<mode>-<memory>` -> mean entropy of the attention over its maximum: 1 is attention to all alike."""

    @property
    def ratio(self) -> float | None:
        """Factor at inference over factor in training: 1 where reading means the same in both."""
        return self.factor / self.factor_training if self.factor is not None and self.factor_training else None


class KnockOutScores(msgspec.Struct, frozen=True, gc=False):
    """Test scores of the same weights without (a part of) reading."""

    f1: dict[str, float]
    """Task -> F1 in percent."""
    difference: dict[str, float]
    """Task -> that F1 minus the F1 of the whole model, in points: negative where the model loses."""


class MemoryUse(msgspec.Struct, frozen=True, gc=False):
    """All that is known of whether a run uses its memory."""

    reads: dict[str, dict[Place, PlaceUse]] = {}
    """Split -> place -> what reading does there, at the chosen epoch."""
    knock_outs: dict[KnockOut, KnockOutScores] = {}
    """On test; the counts per document are in `documents.test.<knock-out>.json`."""
    knock_out_seconds: float | None = None
    """What the knock-outs took."""
