"""Racing: does a config get more seeds? The rule alone, on scores alone: no run, no file, no random draw.

A config is judged at each rung, once all of that rung's seeds have a score:

- at the first rung it continues where it is in the better half of all configs that have reached it by then, itself
  included, the half rounded up; equal scores count as better, so that a tie saves its seeds. Nobody waits for the
  others: an early config meets few rivals and continues more easily, and one that was stopped is not taken up again.
- at a later rung of r seeds it continues while its mean difference to the best config, paired over the r seeds, is
  above -t·s/√r. s is the standard deviation of such differences, pooled over the configs that share two seeds or more
  with the best one.
- the best config (the incumbent) continues until it has the seeds of the last rung.

The best config is the one with the highest mean among those on the highest rung that any has reached.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from studies.search.spec import Search
from studies.search.trials import SearchTrial


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a config gets the seeds of the next rung, and why."""

    continues: bool
    why: str


def incumbent(trials: Sequence[SearchTrial]) -> SearchTrial | None:
    """The best config: the highest mean on the highest rung, the earlier one of equals; None before any score."""
    rung = max((len(trial.scores) for trial in trials), default=0)
    highest = [trial for trial in trials if rung and len(trial.scores) == rung]
    return min(highest, key=lambda trial: (-mean_score(trial), trial.number), default=None)


def decide(trial: SearchTrial, others: Sequence[SearchTrial], search: Search) -> Decision:
    """Judge a config that has the scores of a whole rung against all others, running ones included."""
    seeds = len(trial.scores)
    assert seeds in search.rungs, f"{seeds} scores are none of the rungs {search.rungs}"
    if seeds == search.rungs[-1]:
        return Decision(False, f"finished: it has all {seeds} seeds")
    best = incumbent([trial, *others])
    assert best is not None
    if best.number == trial.number:
        return Decision(True, "the best so far")
    if seeds == search.rungs[0]:
        rivals = [mean_score(other, seeds) for other in others if len(other.scores) >= seeds]
        rank = 1 + sum(rival >= mean_score(trial) for rival in rivals)
        continues = rank <= math.ceil((len(rivals) + 1) / 2)
        why = f"place {rank} of {len(rivals) + 1} after {seeds} seed{'s' * (seeds > 1)}"
    else:
        std = pooled_std([trial, *others], best)
        mean, limit = float(np.mean(paired_differences(trial, best))), -search.threshold * std / math.sqrt(seeds)
        continues = mean > limit
        why = f"{mean:+.2f} to trial {best.number} over {seeds} seeds, limit {limit:.2f} (s {std:.2f})"
    return Decision(continues, f"{'continues' if continues else 'stopped'}: {why}")


def mean_score(trial: SearchTrial, seeds: int | None = None) -> float:
    """The mean of a config's scores on its first seeds."""
    return float(np.mean(list(trial.scores.values())[:seeds]))


def paired_differences(trial: SearchTrial, best: SearchTrial) -> list[float]:
    """The differences of a config to the best one on the seeds that both have."""
    return [mine - its for mine, its in zip(trial.scores.values(), best.scores.values(), strict=False)]


def pooled_std(trials: Sequence[SearchTrial], best: SearchTrial) -> float:
    """The standard deviation of paired differences to the best config, pooled over configs; 0 without any."""
    squares, degrees = 0.0, 0
    for trial in trials:
        differences = np.array(paired_differences(trial, best))
        if trial.number != best.number and len(differences) > 1:
            squares += float(((differences - differences.mean()) ** 2).sum())
            degrees += len(differences) - 1
    return math.sqrt(squares / degrees) if degrees else 0.0
