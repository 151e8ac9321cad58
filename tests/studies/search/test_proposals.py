"""Proposals as a function of the trials so far: nothing else decides, nothing is proposed twice, and they learn."""

import random
from collections.abc import Callable

import msgspec
import numpy as np
import pytest

from studies.axes import find_axis
from studies.rows import Base
from studies.search.proposals import MIN_SCORED_TRIALS, importances, propose
from studies.search.space import Point, SearchSpace
from studies.search.spec import Search
from studies.search.trials import SearchTrial

SPACE = SearchSpace(
    Base("memory-grc"), [find_axis(name) for name in ("slot-width", "warmup", "read-mode", "relation-head")]
)
SEARCH = Search(trials=40, startup=6)
WIDTHS = ["32", "128", "256", "H", "768", "1536"]


def key_of(point: Point) -> str:
    return repr(sorted(point.params.items()))


def hill(params: dict[str, str]) -> float:
    mode = {"write-only": 0, "inverse": 2, "normal": 1, "inverse-normal": 4}[params["read-mode"]]
    width = -abs(WIDTHS.index(params["slot-width"]) - 4)
    return 40 + mode + width - (6 * abs(float(params["warmup"]) - 0.2) if "warmup" in params else 0)


def tried(
    count: int, search: Search = SEARCH, score: Callable[[dict[str, str]], float] = hill, space: SearchSpace = SPACE
) -> list[SearchTrial]:
    """So many trials, each proposed with the scores of those before it."""
    trials: list[SearchTrial] = []
    for number in range(count):
        point = propose(space, trials, search, key_of)
        if point is None:
            break
        trial = SearchTrial(number, point.params, key_of(point), {}, 1, state="stopped")
        trials.append(trial.with_scores({100: score(point.params)}))
    return trials


def test_a_proposal_depends_on_the_trials_and_the_key_alone() -> None:
    trials = tried(12)
    first = propose(SPACE, trials, SEARCH, key_of)
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002 - the state that must not matter
    assert propose(SPACE, trials, SEARCH, key_of) == first
    assert first is not None
    assert propose(SPACE, trials, Search(startup=6, sampler_seed=1), key_of) != first
    assert propose(SPACE, trials[:-1], SEARCH, key_of) != first


def test_nothing_is_proposed_twice_until_nothing_is_left() -> None:
    small = SearchSpace(Base("memory-grc"), [find_axis("read-mode"), find_axis("ramp"), find_axis("relation-head")])
    trials = tried(100, space=small, score=lambda params: float(len(params)))
    cells = [trial.signature for trial in trials]
    assert len(cells) == len(set(cells)) == 2 * (1 + 3 * 2), "write-only has no ramp"


def test_a_failed_config_is_not_proposed_again_and_teaches_nothing() -> None:
    trials = tried(10)
    failed = msgspec.structs.replace(trials[-1], state="failed", scores={}, value=None, n=0)
    for sampler_seed in range(5):
        point = propose(SPACE, [*trials[:-1], failed], Search(startup=6, sampler_seed=sampler_seed), key_of)
        assert point is not None
        assert key_of(point) != failed.signature


def test_running_trials_keep_proposals_apart() -> None:
    trials, proposed = tried(20), []
    for number in range(20, 26):
        point = propose(SPACE, trials, SEARCH, key_of)
        assert point is not None
        proposed.append(key_of(point))
        trials.append(SearchTrial(number, point.params, key_of(point), {}, 1))
    assert len(set(proposed)) == 6


def test_tpe_finds_the_top_of_the_hill_more_often_than_chance() -> None:
    def best_of(startup: int, key: int) -> float:
        return max(trial.value or 0.0 for trial in tried(30, Search(startup=startup, sampler_seed=key)))

    found = [best_of(8, key) for key in range(8)]
    chance = [best_of(1_000, key) for key in range(8)]
    top = hill({"read-mode": "inverse-normal", "slot-width": "768", "warmup": "0.2"})
    assert sum(value == top for value in found) > sum(value == top for value in chance)
    assert np.mean(found) > np.mean(chance)


def test_importances_tell_what_decides() -> None:
    assert importances(SPACE, tried(MIN_SCORED_TRIALS - 1)) == {}
    trials = tried(40, Search(startup=1_000), score=lambda params: 10.0 * WIDTHS.index(params["slot-width"]))
    found = importances(SPACE, trials)
    assert sum(found.values()) == pytest.approx(1.0)
    assert next(iter(found)) == "slot-width"
    assert found["slot-width"] > 0.5
    assert set(found) == {axis.name for axis in SPACE.axes}, "also of axes that are idle in some trials"
    assert importances(SPACE, tried(12, score=lambda params: 1.0)) == {}, "equal scores decide nothing"
