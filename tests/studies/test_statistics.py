import math
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.seeding import seed_for
from studies.statistics import (
    MAX_SIGN_FLIPS,
    Interval,
    Summary,
    holm,
    paired_difference,
    paired_t_power,
    probability_of_improvement,
    sign_flip,
    smallest_detectable_effect,
    summarize,
    t_test,
    welch,
)

ROOT = Path(__file__).resolve().parents[2]
FAMILY = st.dictionaries(st.text(max_size=3), st.floats(0, 1), max_size=8)
SEED_VALUES = st.dictionaries(st.integers(0, 6), st.integers(-400, 400).map(lambda value: value / 8), max_size=7)
VALUES = st.lists(st.floats(-100, 100), min_size=2, max_size=8)
POSTER = {  # MODEL.md, section 6: row, baseline, whether the interval of the difference excludes 0
    "GRC relation": ((38.91, 0.15), (38.65, 0.13), 1),
    "GRC entity": ((79.72, 0.06), (79.66, 0.26), 0),
    "GRC coref": ((82.43, 0.06), (82.35, 0.25), 0),
    "GRC mention": ((92.63, 0.12), (92.54, 0.13), 0),
    "MRC relation": ((39.89, 0.27), (39.93, 0.47), 0),
    "MRC entity": ((79.71, 0.31), (79.68, 0.20), 0),
    "MRC coref": ((82.42, 0.28), (82.41, 0.17), 0),
    "MRC mention": ((92.77, 0.17), (92.54, 0.12), 1),
}


def test_mean_std_and_interval_by_hand() -> None:
    # 1..5: mean 3, sum of squares 10, ddof 1 -> std sqrt(2.5); half width 2.776445 * sqrt(.5).
    summary = summarize([1, 2, 3, 4, 5])
    assert (summary.mean, summary.n) == (3, 5)
    assert summary.std == pytest.approx(math.sqrt(2.5))
    assert t_test(summary).interval == pytest.approx((3 - 1.963243, 3 + 1.963243), abs=1e-6)
    assert t_test(summary).p == pytest.approx(0.013236, abs=1e-6)  # t = 3 * sqrt(2); at 4 df p has a closed form


def test_what_too_few_values_cannot_say_is_nan() -> None:
    one, none = summarize([38.65]), summarize([])
    assert (one.mean, one.n) == (38.65, 1)
    assert math.isnan(one.std)
    assert all(map(math.isnan, t_test(one).interval))
    assert math.isnan(t_test(one).p)
    assert none.n == 0
    assert math.isnan(none.mean)
    assert math.isnan(welch(one, Summary(1.0, 0.1, 5)).p)


def test_equal_values_have_a_point_for_an_interval() -> None:
    same, zero = t_test(summarize([2.0, 2.0, 2.0])), t_test(summarize([0.0, 0.0]))
    assert (same.interval, same.p) == (Interval(2, 2), 0)
    assert (zero.interval, zero.p) == (Interval(0, 0), 1)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_value_that_is_not_finite_is_named(bad: float) -> None:
    with pytest.raises(ValueError, match="value 1 is"):
        summarize([1.0, bad])


def test_the_t_interval_covers_95_percent() -> None:
    draws = np.random.default_rng(seed_for("t coverage")).standard_normal((6000, 5))
    held = [low <= 0 <= high for low, high in (t_test(summarize(row)).interval for row in draws)]
    assert 0.93 < sum(held) / len(held) < 0.97


def test_welch_of_the_poster() -> None:
    found = {name: welch(Summary(*row, 5), Summary(*base, 5)) for name, (row, base, _) in POSTER.items()}
    signs = {name: (test.interval.low > 0) - (test.interval.high < 0) for name, test in found.items()}
    assert signs == {name: expected for name, (_, _, expected) in POSTER.items()}
    assert found["GRC relation"].estimate == pytest.approx(0.26)
    assert found["GRC relation"].interval == pytest.approx((0.05, 0.47), abs=0.005)
    assert found["MRC mention"].interval == pytest.approx((0.01, 0.45), abs=0.005)
    adjusted = holm({name: test.p for name, test in found.items()})
    assert min(adjusted.values()) > 0.05
    assert min(test.p for test in found.values()) < 0.05


def test_welch_agrees_with_scipy() -> None:
    from scipy.stats import ttest_ind

    row, baseline = [1.0, 2.5, 3.0, 7.0], [0.5, 0.7, 0.4]
    expected = ttest_ind(row, baseline, equal_var=False)
    found = welch(summarize(row), summarize(baseline))
    assert found.p == pytest.approx(expected.pvalue)
    assert found.interval == pytest.approx(tuple(expected.confidence_interval(0.95)))


def test_probability_of_improvement_by_hand() -> None:
    # 2 > 1; 2 = 2 (half); 4 > 1; 4 > 2; 0 above neither: 3.5 of 6 pairs.
    assert probability_of_improvement([2, 4, 0], [1, 2]) == pytest.approx(3.5 / 6)
    assert math.isnan(probability_of_improvement([], [1.0]))


@given(VALUES, VALUES)
def test_welch_and_improvement_the_other_way_round_are_the_mirror(row: list[float], baseline: list[float]) -> None:
    assert probability_of_improvement(row, baseline) + probability_of_improvement(baseline, row) == pytest.approx(1)
    there, back = welch(summarize(row), summarize(baseline)), welch(summarize(baseline), summarize(row))
    assert there.estimate == -back.estimate
    assert there.interval == pytest.approx((-back.interval.high, -back.interval.low))
    assert there.p == pytest.approx(back.p)


@given(VALUES.flatmap(lambda values: st.tuples(st.just(values), st.permutations(values))))
def test_the_order_of_seeds_does_not_matter(pair: tuple[list[float], list[float]]) -> None:
    first, second = map(summarize, pair)
    assert (first.mean, first.std) == pytest.approx((second.mean, second.std), abs=1e-9)


def test_summaries_load_neither_scipy_nor_torch() -> None:
    program = (
        "import sys; import studies.bootstrap, studies.statistics; "
        "from studies.statistics import summarize; summarize([1, 2]); "
        "sys.exit(', '.join({'torch', 'scipy', 'pandas'} & sys.modules.keys()) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr


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
    found = paired_difference({0: 0.1, 1: 0.2, 2: 0.3, 3: 5.0, 4: 0.01}, dict.fromkeys(range(5), 0.0))
    assert (found.p_sign_flip, found.p_floor) == (0.0625, 0.0625)


def test_rounding_does_not_move_the_sign_flip() -> None:
    # .1 + .2 - .3 and its kin are 0 up to rounding: a choice with the same |sum| must count.
    assert sign_flip([0.1, 0.2, -0.3]) == 1
    assert sign_flip([0.1, 0.2, 0.3, -0.3]) == sign_flip([1, 2, 3, -3])


def test_few_and_many_seeds() -> None:
    nothing = paired_difference({1: 1.0}, {2: 1.0})
    assert nothing.n == 0
    assert nothing.left_out == (1, 2)
    assert all(map(math.isnan, (nothing.mean, nothing.p_t, nothing.p_sign_flip, nothing.p_floor, nothing.improvement)))
    one = paired_difference({1: 2.0}, {1: 1.0})
    assert (one.mean, one.higher, one.p_sign_flip, one.p_floor) == (1, 1, 1, 1)
    assert math.isnan(one.std)
    assert sign_flip([1.0] * MAX_SIGN_FLIPS) == 2 / 2**MAX_SIGN_FLIPS
    with pytest.raises(ValueError, match="41 differences are too many"):
        sign_flip([1.0] * 41)
    with pytest.raises(ValueError, match="value 0 is nan"):
        paired_difference({2: math.nan}, {2: 1.0})


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=8))
def test_the_sign_flip_is_the_plain_enumeration(differences: list[int]) -> None:
    sums = [
        sum(s * d for s, d in zip(signs, differences, strict=True))
        for signs in product((-1, 1), repeat=len(differences))
    ]
    assert sign_flip(differences) == sum(abs(x) >= abs(sum(differences)) for x in sums) / len(sums)


@given(SEED_VALUES, SEED_VALUES)
def test_a_paired_difference_the_other_way_round_is_the_mirror(
    row: dict[int, float], baseline: dict[int, float]
) -> None:
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
    rejected = np.mean([sign_flip(row) <= 0.05 for row in draws])
    # Exact at 8 differences: 12 of 256 sign choices lie at or below .05.
    assert rejected == pytest.approx(12 / 256, abs=0.016)


def test_holm_by_hand() -> None:
    # Sorted .01 x 4, .02 x 3, .03 x 2 (raised to the .06 before it), .5 x 1; the names keep their order.
    adjusted = holm({"d": 0.5, "a": 0.01, "c": 0.03, "b": 0.02})
    assert list(adjusted) == ["d", "a", "c", "b"]
    assert [adjusted[name] for name in "abcd"] == pytest.approx([0.04, 0.06, 0.06, 0.5])


def test_a_test_that_was_not_made_does_not_enlarge_the_family() -> None:
    adjusted = holm({"made": 0.02, "not made": math.nan, "also": 0.04})
    assert (adjusted["made"], adjusted["also"]) == (0.04, 0.04)
    assert math.isnan(adjusted["not made"])


@given(FAMILY)
def test_holm_is_monotone_and_between_the_raw_p_and_bonferroni(family: dict[str, float]) -> None:
    adjusted = holm(family)
    assert list(adjusted) == list(family)
    for name, p in family.items():
        assert p <= adjusted[name] <= min(1, len(family) * p) + 1e-12
    ranked = [adjusted[name] for name in sorted(family, key=family.__getitem__)]
    assert ranked == sorted(ranked)


@given(FAMILY)
def test_the_order_of_a_family_does_not_matter(family: dict[str, float]) -> None:
    assert holm(dict(reversed(family.items()))) == holm(family)


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


def test_the_smallest_detectable_effect_has_the_power_asked_for() -> None:
    found = smallest_detectable_effect(5)
    assert paired_t_power(5, found) == pytest.approx(0.8)
    assert found == pytest.approx(1.6827, abs=0.01)
    assert smallest_detectable_effect(10) < found
    assert smallest_detectable_effect(2) > 10


def test_power_of_one_seed_is_nan() -> None:
    assert math.isnan(paired_t_power(1, 1.0))
    assert math.isnan(smallest_detectable_effect(1))
