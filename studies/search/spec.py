"""Search section of a study's YAML: how a study searches, every default and limit written once.

    base: {preset: memory-grc}
    axes: [slot-width, warmup, read-mode]
    baseline: base
    search: {trials: 30, rungs: [1, 3], seeds: [100, 101, 102]}

The axes are then no rows but a space that Optuna proposes from: a trial is one config, its value the mean validation F1
over seeds. A row `base`, the base as it stands, is always there, and the best config becomes the row `best`. Rows run
on the study's own `seeds`, which no trial may use.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated

import msgspec

from core.errors import UserError

MAX_SEED = 2**31 - 1
Seed = Annotated[int, msgspec.Meta(ge=0, le=MAX_SEED)]


class Search(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many configs are tried, on which seeds, and when one gets more seeds."""

    trials: Annotated[int, msgspec.Meta(ge=1)] = 50
    """Configs tried in all, the base as it stands among them."""
    rungs: tuple[int, ...] = (1, 2, 3, 5)
    """Seeds after which a config is judged; the last is all that it gets."""
    threshold: Annotated[float, msgspec.Meta(ge=0, le=100)] = 1.0
    """t: a config continues while its mean paired difference to the best is above -t·s/√r after r seeds."""
    seeds: tuple[Seed, ...] = (100, 101, 102, 103, 104)
    """Seeds of the trials, in the order in which a config gets them; none may be a seed of the rows."""
    startup: Annotated[int, msgspec.Meta(ge=1)] = 10
    """Trials that are drawn at random before TPE proposes."""
    sampler_seed: int = 0
    """Key of the proposals: the same key and the same scores give the same proposals."""

    @property
    def shared_seeds(self) -> tuple[int, ...]:
        """The seeds that a config may get, in order."""
        return self.seeds[: self.rungs[-1]]

    @property
    def rule(self) -> str:
        """How trials get seeds, in words."""
        return (
            f"in rungs of {', '.join(map(str, self.rungs))}: the better half continues after the first, then every "
            f"trial that is at most {self.threshold:g} times the pooled standard error below the best, paired by seed"
        )


def check_search(search: Search, *, seeds: Sequence[int]) -> None:
    """Raise a UserError for a search that cannot be, or that uses `seeds`, those of the rows."""
    rungs, both = search.rungs, sorted(set(search.seeds) & set(seeds))
    problem = None
    if not rungs or rungs[0] < 1 or any(low >= high for low, high in pairwise(rungs)):
        problem = f"search.rungs {list(rungs)} must be numbers of seeds that grow, such as [1, 2, 3, 5]"
    elif len(set(search.seeds)) < len(search.seeds):
        problem = f"search.seeds {list(search.seeds)} must be different"
    elif len(search.seeds) < rungs[-1]:
        problem = (
            f"search.seeds has {len(search.seeds)} seeds, but the last rung needs {rungs[-1]}: give more, or end "
            "search.rungs earlier"
        )
    elif both:
        problem = (
            f"seed{'s' * (len(both) > 1)} {', '.join(map(str, both))} would both choose the best config and report it: "
            "search.seeds and the seeds of the rows (`seeds`, --seeds) must have none in common"
        )
    if problem:
        raise UserError(problem)
