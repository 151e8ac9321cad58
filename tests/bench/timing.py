"""Stopwatches, and what becomes of their readings: medians, and ratios within a round of an interleaved measurement."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

PYTHON = "python"
"""The part of decoding that is neither the encoder's nor the heads'."""
BATCHING = ("sampling", "collation")
"""The parts of a training step before the model is asked anything."""
Readings = dict[str, dict[str, list[float]]]
"""What -> part -> seconds, one number a round; rounds of all things are in step."""


class Stopwatch:
    """Seconds of the parts of a round; `total` is their sum."""

    def __init__(self) -> None:
        self.parts: dict[str, float] = {}

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Time a part."""
        start = time.perf_counter()
        yield
        self.parts[name] = self.parts.get(name, 0.0) + time.perf_counter() - start

    def rest(self, name: str, seconds: float) -> None:
        """Call a part what the parts so far leave of these seconds."""
        self.parts[name] = seconds - sum(self.parts.values())

    def into(self, readings: Readings, what: str) -> None:
        """Add this round to what was read so far."""
        for name, seconds in (*self.parts.items(), ("total", sum(self.parts.values()))):
            readings.setdefault(what, {}).setdefault(name, []).append(seconds)


def extend(readings: Readings, more: Readings) -> None:
    """Add the rounds of another slice of the same measurement."""
    for what, parts in more.items():
        for name, seconds in parts.items():
            readings.setdefault(what, {}).setdefault(name, []).extend(seconds)


def medians(readings: Readings) -> dict[str, dict[str, float]]:
    """The median of every part of everything."""
    return {what: {name: median(all_) for name, all_ in parts.items()} for what, parts in readings.items()}


def ratio(readings: Readings, what: str, floor: str) -> float:
    """The median over rounds of a whole round's seconds over those of the floor on the same batch."""
    pairs = zip(readings[what]["total"], readings[floor]["total"], strict=True)
    return median(ours / theirs for ours, theirs in pairs)


def share(parts: dict[str, list[float]], *names: str) -> float:
    """The median share of a round that some parts take, over the rounds that tell of them (older ones may not)."""
    rounds = zip(*(reversed(parts[name]) for name in (*names, "total")), strict=False)
    return median(sum(some) / total for *some, total in rounds)
