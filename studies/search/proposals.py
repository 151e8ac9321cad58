"""What to try next: TPE's proposal as a function of the trials so far, and which axes mattered.

Optuna's sampler keeps its random state and is told one trial at a time; here it is made anew for each proposal, with a
key of the trial's number, and told all trials at once. So a search that was killed and gone on with proposes what it
would have proposed, and a proposal is known whole before any storage hears of it.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from core.seeding import seed_for
from studies.axes import Axis, Value
from studies.search.space import Point, SearchSpace, optuna_distributions
from studies.search.spec import Search
from studies.search.trials import SearchTrial

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.samplers import BaseSampler

REPEATS = 10
"""How often TPE may propose a cell that was tried before another is drawn at random."""
DRAWS = 1_000
"""Random draws without a new cell after which a space counts as tried out."""
ENOUGH = 10
"""Trials with a score from which importances are told."""


def propose(
    space: SearchSpace, trials: Sequence[SearchTrial], search: Search, signature_of: Callable[[Point], str]
) -> Point | None:
    """The next config, of a cell that no trial had; None where there is none.

    The first is the base as it stands, where the axes have its values. Trials that still run count as bad ones (a
    constant liar), so that proposals at the same time keep apart.
    """
    tried = {trial.signature for trial in trials}
    if not trials and (own := space.own()) is not None:
        return own
    from optuna.trial import TrialState

    number = len(trials)
    study = told(space, trials)
    for attempt in range(REPEATS):
        study.sampler = sampler(search, seed_for("proposal", search.sampler_seed, number, attempt))
        asked = study.ask()

        def suggested(axis: Axis, possible: Sequence[Value], asked: "Trial" = asked) -> Value:
            label = asked.suggest_categorical(axis.name, axis.value_labels)
            return next(value for value in axis.values if axis.label(value) == label)

        point = space.point(suggested)
        if signature_of(point) not in tried:
            return point
        # Out of the way: a failed trial has no part in what is proposed next.
        study.tell(asked, state=TrialState.FAIL)
    drawn = np.random.default_rng(seed_for("draw", search.sampler_seed, number))
    for _ in range(DRAWS):
        point = space.point(lambda axis, possible: possible[int(drawn.integers(len(possible)))])
        if signature_of(point) not in tried:
            return point
    return None


def sampler(search: Search, seed: int) -> "BaseSampler":
    """TPE with a random state of its own."""
    import optuna

    with warnings.catch_warnings():
        # Grouping axes that are proposed together has been experimental for years.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(
            multivariate=True, group=True, constant_liar=True, n_startup_trials=search.startup, seed=seed % 2**32
        )


def told(space: SearchSpace, trials: Sequence[SearchTrial]) -> "Study":
    """A study in memory that knows all trials; failed ones are left out, as they have no value."""
    import optuna
    from optuna.trial import TrialState, create_trial

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="maximize")
    known = optuna_distributions(space.axes)
    for trial in trials:
        if trial.state == "failed":
            continue
        study.add_trial(
            create_trial(
                state=TrialState.RUNNING if trial.is_open else TrialState.COMPLETE,
                params=trial.params,
                distributions={name: known[name] for name in trial.params},
                value=None if trial.is_open else trial.value,
            )
        )
    return study


def importances(space: SearchSpace, trials: Sequence[SearchTrial]) -> dict[str, float]:
    """Axis -> its importance after PED-ANOVA, the most important first; empty below `ENOUGH` trials with a score.

    An axis that is idle in a trial counts as standing at the base's value, which is the same cell.
    """
    import optuna

    own = space.own()
    if own is None or sum(trial.value is not None for trial in trials) < ENOUGH:
        return {}
    known = [trial for trial in trials if trial.value is not None and not trial.is_open]
    filled = [msgspec.structs.replace(trial, params=own.params | trial.params) for trial in known]
    if len({trial.value for trial in filled}) < 2:
        return {}
    study = told(space, filled)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = optuna.importance.get_param_importances(
            study, evaluator=optuna.importance.PedAnovaImportanceEvaluator()
        )
    return {name: float(share) for name, share in sorted(found.items(), key=lambda pair: -pair[1])}
