"""Does a config get more seeds? The rule alone, on scores alone: no run, no file, no draw.

A config is judged at each rung, once all of that rung's seeds have a score:

- at the first rung it goes on where it is in the better half of all configs that have reached it by then, itself
  included, the half rounded up; equal scores count as better, so that a tie saves its seeds. Nobody waits for the
  others: an early config meets few rivals and goes on more easily, and one that was stopped is not taken up again.
- at a later rung of r seeds it goes on while its mean difference to the best config, paired over the r seeds, is above
  -t·s/√r. s is the standard deviation of such differences, pooled over the configs that share two seeds or more with
  the best one.
- the best config goes on until it has the seeds of the last rung.

The best config is the one with the highest mean among those on the highest rung that any has reached.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from studies.search.spec import Search


@dataclass(frozen=True, slots=True)
class Tried:
    """A config's scores, in the order of the search's seeds, up to the rung that it has reached."""

    number: int
    scores: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean of its scores."""
        return float(np.mean(self.scores))


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a config gets the seeds of the next rung, and why."""

    goes_on: bool
    why: str


def incumbent(tried: Sequence[Tried]) -> Tried | None:
    """The best config: the highest mean on the highest rung, the earlier one of equals; None before any score."""
    scored = [one for one in tried if one.scores]
    most = max((len(one.scores) for one in scored), default=0)
    return min(
        (one for one in scored if len(one.scores) == most), key=lambda one: (-one.mean, one.number), default=None
    )


def decide(one: Tried, others: Sequence[Tried], search: Search) -> Decision:
    """Judge a config that has the scores of a whole rung against all others, running ones included.

    Raises:
        ValueError: the number of scores is none of the rungs.
    """
    seeds = len(one.scores)
    if seeds not in search.rungs:
        raise ValueError(f"{seeds} scores are none of the rungs {search.rungs}")
    if seeds == search.rungs[-1]:
        return Decision(False, f"finished: it has all {seeds} seeds")
    best = incumbent([one, *others])
    assert best is not None
    if best.number == one.number:
        return Decision(True, "the best so far")
    if seeds == search.rungs[0]:
        return _first(one, others, seeds)
    differences = paired(one, best)
    std = pooled_std([one, *others], best)
    mean, limit = float(np.mean(differences)), -search.threshold * std / math.sqrt(seeds)
    told = f"{mean:+.2f} to trial {best.number} over {seeds} seeds, limit {limit:.2f} (s {std:.2f})"
    return Decision(mean > limit, ("goes on: " if mean > limit else "stopped: ") + told)


def _first(one: Tried, others: Sequence[Tried], seeds: int) -> Decision:
    rivals = [float(np.mean(other.scores[:seeds])) for other in others if len(other.scores) >= seeds]
    place, half = 1 + sum(rival >= one.mean for rival in rivals), math.ceil((len(rivals) + 1) / 2)
    told = f"place {place} of {len(rivals) + 1} after {seeds} seed{'s' * (seeds > 1)}"
    return Decision(place <= half, ("goes on: " if place <= half else "stopped: ") + told)


def paired(one: Tried, best: Tried) -> list[float]:
    """The differences of a config to the best one on the seeds that both have."""
    return [mine - its for mine, its in zip(one.scores, best.scores, strict=False)]


def pooled_std(tried: Sequence[Tried], best: Tried) -> float:
    """The standard deviation of a config's paired differences to the best one, pooled over configs; 0 without any."""
    squares, degrees = 0.0, 0
    for one in tried:
        differences = np.array(paired(one, best))
        if one.number != best.number and len(differences) > 1:
            squares += float(((differences - differences.mean()) ** 2).sum())
            degrees += len(differences) - 1
    return math.sqrt(squares / degrees) if degrees else 0.0
