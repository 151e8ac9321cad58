import math

import numpy as np
import pytest

from core.seeding import seed_for
from studies.statistics import paired_t_power, smallest_detectable, summarize, t_test


@pytest.mark.parametrize(("effect", "power"), [(0.5, 0.14), (1.0, 0.40), (1.5, 0.71), (2.0, 0.91)])
def test_power_at_five_seeds(effect: float, power: float) -> None:
    assert paired_t_power(5, effect) == pytest.approx(power, abs=0.005)
    assert paired_t_power(5, -effect) == paired_t_power(5, effect)


def test_power_is_the_share_of_simulated_studies_that_find_the_difference() -> None:
    draws = np.random.default_rng(seed_for("power")).standard_normal((4000, 5)) + 1.2
    found = np.mean([t_test(summarize(row)).p < 0.05 for row in draws])
    assert found == pytest.approx(paired_t_power(5, 1.2), abs=0.03)


def test_a_huge_effect_is_always_found() -> None:
    assert paired_t_power(5, 50.0) == pytest.approx(1)
    assert paired_t_power(5, 27.58) == pytest.approx(1)
    assert paired_t_power(2, 16.0) == pytest.approx(0.92416, abs=1e-5)


def test_without_a_difference_power_is_the_level() -> None:
    assert paired_t_power(5, 0.0) == pytest.approx(0.05)
    assert paired_t_power(9, 0.0, alpha=0.01) == pytest.approx(0.01)


def test_the_smallest_detectable_difference_has_the_power_asked_for() -> None:
    found = smallest_detectable(5, 0.2)
    assert paired_t_power(5, found / 0.2) == pytest.approx(0.8)
    assert found == pytest.approx(0.2 * 1.6827, abs=2e-3)
    assert smallest_detectable(10, 0.2) < found < smallest_detectable(5, 0.2, power=0.9)
    assert smallest_detectable(2, 1.0) > 10


def test_what_cannot_be_said_is_nan_and_nonsense_is_refused() -> None:
    assert math.isnan(paired_t_power(1, 1.0))
    assert math.isnan(smallest_detectable(1, 1.0))
    assert math.isnan(smallest_detectable(5, math.nan))
    with pytest.raises(ValueError, match="alpha = 2"):
        paired_t_power(5, 1.0, alpha=2)
    with pytest.raises(ValueError, match=r"power 0\.01"):
        smallest_detectable(5, 1.0, power=0.01)
