"""Switch to reading: what a run says where it loses its mentions as reading sets in, with the cause and the way out."""

from collections.abc import Mapping
from typing import Any

from core.config.memory import MemoryConfig
from core.records.memory_use import Place, PlaceUse

MENTION_F1 = "validation/mention/f1"
KEPT = 0.5
"""Share of the mention F1 before reading below which the loss is said."""
SHORT, APART = 0.8, 0.1
"""A factor below which vectors count as shrunk, and how far from 1 a ratio tells training and inference apart."""


def describe_switch(
    before: Mapping[str, Any] | None, now: Mapping[str, Any], reads: Mapping[Place, PlaceUse], memory: MemoryConfig
) -> str | None:
    """The line on a loss between two validation rows of a history, where the second is the first one that reads.

    None where it is not, and where at least half of the mention F1 is kept.
    """
    if before is None or before["reading"] > 0.0 or now["reading"] == 0.0:
        return None
    if now[MENTION_F1] >= KEPT * before[MENTION_F1]:
        return None
    return (
        f"epoch {now['epoch']}, the first evaluation that reads memory: mention F1 fell from "
        f"{before[MENTION_F1]:.2f} to {now[MENTION_F1]:.2f}. Cause: {explain_loss(reads)}. Settings that avoid it: "
        f"{list_settings(memory)}"
    )


def explain_loss(reads: Mapping[Place, PlaceUse]) -> str:
    """The cause, as far as the norms of gold mentions show one."""
    shrunk = [
        f"to {use.factor:.2f} of their norm at {place}"
        for place, use in reads.items()
        if use.factor is not None and use.factor < SHORT
    ]
    apart = [
        f"at {place} a gold mention's factor is {use.factor:.2f} at inference, {use.factor_training:.2f} in training"
        for place, use in reads.items()
        if use.ratio is not None and abs(use.ratio - 1.0) > APART
    ]
    causes = []
    if shrunk:
        causes.append(f"reading shrinks the vectors of gold mentions ({', '.join(shrunk)})")
    if apart:
        causes.append(f"training and inference normalise over different candidates ({', '.join(apart)})")
    return ", and ".join(causes) or "not known, as the vectors of gold mentions keep about their norm"


def list_settings(memory: MemoryConfig) -> str:
    """The settings that avoid a loss and are not yet set."""
    settings = []
    if "inverse" in memory.modes and memory.inverse_scale == "sum":
        settings.append("memory.inverse_scale mean")
    if memory.pooling != "residual":
        settings.append("memory.pooling residual with memory.read_mode normal")
    settings.append(f"memory.ramp over {memory.ramp:g}, to fade reading in")
    return "; ".join(settings)
