"""A search in words: what `engram study list`, `show` and `plan` print of it."""

from collections.abc import Iterator

from core.errors import UserError
from studies.distributions import wandb_sweep
from studies.search_space import SearchSpace
from studies.study import Study


def size_of(study: Study) -> str:
    """How many rows and runs a study has, or axes a search, in the width of two columns."""
    if study.search is not None:
        return f"{f'{len(study.axes)} axes':>10}"
    return f"{len(study.rows):>4}  {len(study.rows) * len(study.seeds):>4}"


def search_lines(study: Study) -> Iterator[str]:
    """What a search would do: space, seeds, rule, and how many runs that can be; nothing for a study of rows."""
    search, base = study.search, study.base
    if search is None or base is None:
        return
    space = SearchSpace(base, study.declared_axes)
    seeds, rungs = ", ".join(map(str, search.shared_seeds)), ", ".join(map(str, search.rungs))
    yield (
        f"search: up to {search.trials} trials over {space.combinations:,} combinations of {len(space.axes)} axes; the "
        f"first {search.startup} at random, then by TPE"
    )
    yield (
        f"a trial gets seeds {seeds} in rungs of {rungs}: the better half goes on after the first, then while it is "
        f"not more than {search.threshold:g} pooled standard errors below the best, paired by seed"
    )
    yield (
        f"{search.trials * search.rungs[0]} to {search.trials * search.rungs[-1]} runs on the search's seeds; then the "
        f"best config and the rows on seeds {', '.join(map(str, study.seeds))}, which no trial uses"
    )


def sweep_of(study: Study, *, profile: str) -> str:
    """The W&B sweep over the axes of a study; a UserError where it has none."""
    if study.base is None:
        raise UserError(f"study {study.name} has no axes, so no sweep: give one with `base` and `axes`")
    return wandb_sweep(study.base, study.declared_axes, name=study.name, metric=study.metric, profile=profile)
