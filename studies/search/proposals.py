"""Proposals: which config to try next, by TPE as a function of the trials so far; and which axes mattered.

Optuna's sampler keeps its random state and learns of one trial at a time; here it is made for each proposal, with a key
of the trial's number, and given all trials at once. So a search that was killed and resumed proposes what it would have
proposed, and a proposal is complete before it enters the storage.
"""

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from core.seeding import seed_for
from studies.axes import Axis
from studies.search.ranges import is_integer, number_at, range_ends, round_to_range
from studies.search.space import Point, SearchSpace, optuna_distributions, optuna_params, quiet_optuna
from studies.search.spec import Search
from studies.search.trials import SearchTrial

if TYPE_CHECKING:
    from optuna import Study, Trial

TPE_ATTEMPTS = 10
"""How often TPE may propose a config that was tried before another is drawn at random."""
RANDOM_DRAWS = 1_000
"""Random draws without a new config after which a space counts as tried out."""
MIN_SCORED_TRIALS = 10
"""Trials with a score from which importances are computed."""


def propose(
    space: SearchSpace, trials: Sequence[SearchTrial], search: Search, find_signature: Callable[[Point], str]
) -> Point | None:
    """The next config, with a signature that no trial had; None where there is none.

    The first is the base as it stands, where the axes have its values. Trials that still run count as bad ones (a
    constant liar), so that proposals at the same time keep apart.
    """
    import optuna

    tried = {trial.signature for trial in trials}
    number = len(trials)
    if not trials and (base := space.base_point()) is not None:
        return base
    study = build_study(space, trials)
    for attempt in range(TPE_ATTEMPTS):
        seed = seed_for("proposal", search.sampler_seed, number, attempt) % 2**32
        study.sampler = optuna.samplers.TPESampler(
            multivariate=True, group=True, constant_liar=True, n_startup_trials=search.startup, seed=seed
        )
        asked = study.ask()

        def ask(axis: Axis, possible: Sequence[str], asked: "Trial" = asked) -> str:
            return suggest(asked, axis)

        point = space.point(ask)
        if find_signature(point) not in tried:
            return point
        # Out of the way: a failed trial has no part in what is proposed next.
        study.tell(asked, state=optuna.trial.TrialState.FAIL)
    generator = np.random.default_rng(seed_for("draw", search.sampler_seed, number))
    for _ in range(RANDOM_DRAWS):
        point = space.point(partial(draw, generator))
        if find_signature(point) not in tried:
            return point
    return None


def suggest(trial: "Trial", axis: Axis) -> str:
    """The label that Optuna's sampler proposes on an axis."""
    if not axis.is_range:
        return trial.suggest_categorical(axis.name, axis.value_labels)
    low, high = range_ends(axis)
    number: float
    if is_integer(axis):
        number = trial.suggest_int(axis.name, int(low), int(high), step=int(axis.step or 1), log=axis.log)
    else:
        number = trial.suggest_float(axis.name, low, high, step=axis.step, log=axis.log)
    return axis.label(round_to_range(axis, number))


def draw(generator: np.random.Generator, axis: Axis, possible: Sequence[str]) -> str:
    """A label of an axis at random, of a range that of any of its numbers."""
    if axis.is_range:
        return axis.label(number_at(axis, generator.random()))
    return possible[int(generator.integers(len(possible)))]


def build_study(space: SearchSpace, trials: Sequence[SearchTrial]) -> "Study":
    """An Optuna study in memory that has all trials; failed ones are left out, as they have no value."""
    import optuna
    from optuna.trial import TrialState, create_trial

    quiet_optuna()
    study = optuna.create_study(direction="maximize")
    distributions = optuna_distributions(space.axes)
    for trial in trials:
        if trial.state != "failed":
            study.add_trial(
                create_trial(
                    state=TrialState.RUNNING if trial.is_open else TrialState.COMPLETE,
                    params=optuna_params(space.axes, trial.params),
                    distributions={name: distributions[name] for name in trial.params},
                    value=None if trial.is_open else trial.value,
                )
            )
    return study


def importances(space: SearchSpace, trials: Sequence[SearchTrial]) -> dict[str, float]:
    """Axis -> its importance after PED-ANOVA, the most important first; empty below `MIN_SCORED_TRIALS`.

    An axis that is idle in a trial counts as standing at the base's value, which is the same config.
    """
    import optuna

    base = space.base_point()
    scored = [trial for trial in trials if trial.value is not None and not trial.is_open]
    if base is None or len(scored) < MIN_SCORED_TRIALS or len({trial.value for trial in scored}) < 2:
        return {}
    study = build_study(space, [msgspec.structs.replace(trial, params=base.params | trial.params) for trial in scored])
    evaluator = optuna.importance.PedAnovaImportanceEvaluator()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shares = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {axis: float(share) for axis, share in sorted(shares.items(), key=lambda pair: -pair[1])}
