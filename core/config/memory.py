"""Memory settings: the two writable memories, how they start, and how they are read back."""

from typing import Annotated, Literal, get_args

from pydantic import Field, model_validator

from core.config.section import ADDED_LATER, Section, Share

ReadMode = Literal["none", "inverse", "normal", "inverse-normal"]
Mode = Literal["inverse", "normal"]
Pooling = Literal["mean", "sum", "concat", "gated", "residual"]
DEFAULT_POOLING: dict[Mode, Pooling] = {"inverse": "mean", "normal": "concat"}
"""The authors' way of combining the reads of each mode with the representation."""
MemoryChoice = Literal["entity", "relation", "both"]
Reads = Literal["written", "learned", "random", "uniform", "constant"]
SlotInit = Literal["normal", "fan-in"]


class MemoryConfig(Section):
    """The two writable memories; a run without this section is JEREX."""

    slot_width: Annotated[int, Field(ge=1, le=16_384)] | None = None
    """Width D of the slots of both memories (the poster's memory size); none: the encoder's width."""
    entity_slot_width: Annotated[int, Field(ge=1, le=16_384)] | None = None
    """Width of the entity memory's slots where it differs from `slot_width`."""
    relation_slot_width: Annotated[int, Field(ge=1, le=16_384)] | None = None
    """Width of the relation memory's slots where it differs from `slot_width`."""
    slots_per_type: Annotated[int, Field(ge=1, le=64)] = 1
    """Slots that each type owns."""
    slot_logit: Literal["max", "logsumexp"] = "max"
    """How the logits of a type's slots become one; without effect at one slot per type."""
    classifies: MemoryChoice = "both"
    """Which memories replace their JEREX head as bilinear classifiers (only those are written and can be read)."""
    read_mode: ReadMode = "inverse"
    """How memories are read back: not at all, inverse, normal, or inverse and then normal."""
    pooling: Pooling | None = None
    """How reads combine with the representation; none: the authors' way, mean after inverse and concat after normal.
    Residual, for the normal read, adds them through maps that start as 0: reading begins as no change at all."""
    places: Literal["tokens", "mentions", "both"] = "both"
    """Where memories are read: token states, span vectors, or both."""
    memories: MemoryChoice = "both"
    """Which memories are read."""
    warmup: Share = 0.4
    """Share of all optimiser steps before reading starts; 0 reads from the start, 1 never reads."""
    ramp: Share = 0.0
    """Share of all optimiser steps over which reading fades in after the warm-up; 0 switches it on at once."""
    read_grad: bool = True
    """Let gradients of reading flow into the memory slots."""
    inverse_scale: Literal["sum", "mean"] = "sum"
    """Scale of the inverse read: attention as it is, or times positions over slots, so that weights average one."""
    reads: Annotated[Reads, ADDED_LATER] = "written"
    """What is read: the written slots; as controls a matrix trained by reading alone (learned), one that stays as drawn
    (random), all slots or rows alike (uniform), or for the inverse read its mean weight in training (constant)."""
    slot_init: Annotated[SlotInit, ADDED_LATER] = "normal"
    """How slots and bilinear projections are drawn: as all weights, N(0, 0.02), or with one over the root of their
    fan-in as standard deviation, which lets the classifiers that write the slots learn from the first steps."""

    @model_validator(mode="after")
    def _reads_what_is_written(self) -> "MemoryConfig":
        if self.read_mode != "none" and self.classifies != "both" and self.memories != self.classifies:
            raise ValueError(
                f"memory.memories ({self.memories}) reads a memory that is not written, as memory.classifies is "
                f"{self.classifies}: set memory.memories to {self.classifies}, or memory.read_mode to none"
            )
        if self.warmup + self.ramp > 1.0 and self.ramp > 0.0 and self.warmup < 1.0:
            raise ValueError(
                f"memory.warmup ({self.warmup}) + memory.ramp ({self.ramp}) is over 1: "
                "lower one of them, as the ramp would not end in training"
            )
        return self

    @model_validator(mode="after")
    def _control_can_be(self) -> "MemoryConfig":
        if self.reads == "learned" and self.read_mode != "none" and not self.read_grad:
            raise ValueError(
                "memory.reads (learned) and memory.read_grad (off) exclude each other: only reading trains that "
                "matrix, so it would stay as drawn: set memory.read_grad to true, or memory.reads to random"
            )
        if self.reads == "constant" and self.read_mode not in ("none", "inverse"):
            raise ValueError(
                f"memory.reads (constant) stands in for the weights of the inverse read alone, and memory.read_mode is "
                f"{self.read_mode}: set memory.read_mode to inverse, or memory.reads to uniform"
            )
        if self.pooling == "residual" and "inverse" in self.modes:
            raise ValueError(
                f"memory.pooling (residual) adds what a normal read takes from the slots, and memory.read_mode is "
                f"{self.read_mode}: set memory.read_mode to normal, or memory.pooling to mean"
            )
        return self

    @property
    def modes(self) -> tuple[Mode, ...]:
        """The modes that are read, in order."""
        return tuple(mode for mode in get_args(Mode) if mode in self.read_mode.split("-"))

    @property
    def ever_reads(self) -> bool:
        """Whether memory is read at any step of a run."""
        return self.read_mode != "none" and self.warmup < 1.0

    def pooling_after(self, mode: Mode) -> Pooling:
        """The combination that follows a read of this mode."""
        return self.pooling or DEFAULT_POOLING[mode]

    def slot_width_for(self, memory: str) -> int | None:
        """Width D of the slots of the entity or relation memory; None: the width of the encoder."""
        return (self.entity_slot_width if memory == "entity" else self.relation_slot_width) or self.slot_width
