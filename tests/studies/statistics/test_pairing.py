import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.seeding import seed_for
from studies.statistics import MAX_SIGN_FLIPS, paired_difference, sign_flip

SEED_VALUES = st.dictionaries(st.integers(0, 6), st.integers(-400, 400).map(lambda value: value / 8), max_size=7)


def test_only_shared_seeds_are_compared_and_the_rest_is_said() -> None:
    found = paired_difference({1: 3.0, 2: 5.0, 3: 4.0, 9: 99.0}, {3: 4.0, 2: 3.0, 1: 2.0, 7: -99.0})
    assert (found.seeds, found.left_out, found.n) == ((1, 2, 3), (7, 9), 3)
    assert (found.mean, found.std) == pytest.approx((1.0, 1.0))  # differences 1, 2, 0
    assert (found.higher, found.equal, found.lower) == (2, 1, 0)
    # t at 2 degrees of freedom: 4.302653 * 1 / sqrt(3)
    assert found.interval == pytest.approx((1 - 2.484138, 1 + 2.484138), abs=1e-6)
    assert found.p_t == pytest.approx(0.225403, abs=1e-6)
    assert (found.p_sign_flip, found.p_floor) == (0.5, 0.25)  # |sum| 3 is reached by 4 of 8 sign choices
    assert found.improvement == pytest.approx(7 / 9)  # 1.5 + 3 + 2.5 pairs


def test_five_of_five_seeds_reach_the_floor_and_no_less() -> None:
    found = sign_flip([0.1, 0.2, 0.3, 5.0, 0.01])
    assert (found.p, found.floor) == (0.0625, 0.0625)


def test_rounding_does_not_move_the_sign_flip() -> None:
    # .1 + .2 - .3 and its kin are 0 up to rounding: a choice with the same |sum| must count.
    assert sign_flip([0.1, 0.2, -0.3]).p == 1
    assert sign_flip([0.1, 0.2, 0.3, -0.3]).p == sign_flip([1, 2, 3, -3]).p


def test_few_and_many_seeds() -> None:
    nothing = paired_difference({1: 1.0}, {2: 1.0})
    assert nothing.n == 0
    assert nothing.left_out == (1, 2)
    assert all(map(math.isnan, (nothing.mean, nothing.p_t, nothing.p_sign_flip, nothing.p_floor, nothing.improvement)))
    one = paired_difference({1: 2.0}, {1: 1.0})
    assert (one.mean, one.higher, one.p_sign_flip, one.p_floor) == (1, 1, 1, 1)
    assert math.isnan(one.std)
    assert sign_flip([1.0] * MAX_SIGN_FLIPS).p == 2 / 2**MAX_SIGN_FLIPS
    with pytest.raises(ValueError, match="41 differences are too many"):
        sign_flip([1.0] * 41)
    with pytest.raises(ValueError, match="seed 2 has the value nan"):
        paired_difference({2: math.nan}, {2: 1.0})


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=8))
def test_the_sign_flip_is_the_plain_enumeration(differences: list[int]) -> None:
    sums = [
        sum(s * d for s, d in zip(signs, differences, strict=True))
        for signs in product((-1, 1), repeat=len(differences))
    ]
    assert sign_flip(differences).p == sum(abs(x) >= abs(sum(differences)) for x in sums) / len(sums)


@given(SEED_VALUES, SEED_VALUES)
def test_the_baseline_against_the_row_is_the_mirror(row: dict[int, float], baseline: dict[int, float]) -> None:
    there, back = paired_difference(row, baseline), paired_difference(baseline, row)
    assert (there.higher, there.equal, there.lower) == (back.lower, back.equal, back.higher)
    assert (there.seeds, there.left_out) == (back.seeds, back.left_out)
    assert there.mean == pytest.approx(-back.mean, nan_ok=True)
    assert there.interval == pytest.approx((-back.interval.high, -back.interval.low), nan_ok=True)
    assert (there.p_sign_flip, there.p_t) == pytest.approx((back.p_sign_flip, back.p_t), nan_ok=True)
    if there.n:
        assert there.p_floor <= there.p_sign_flip <= 1


def test_the_sign_flip_keeps_its_level() -> None:
    draws = np.random.default_rng(seed_for("sign flip level")).standard_normal((3000, 8))
    rejected = np.mean([sign_flip(row).p <= 0.05 for row in draws])
    # Exact at 8 differences: 12 of 256 sign choices lie at or below .05.
    assert rejected == pytest.approx(12 / 256, abs=0.016)
