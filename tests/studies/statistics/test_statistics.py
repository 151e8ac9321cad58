import math
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.seeding import seed_for
from studies.statistics import (
    Interval,
    Summary,
    holm,
    probability_of_improvement,
    summarize,
    t_interval,
    t_test,
    welch,
)

ROOT = Path(__file__).resolve().parents[3]
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
    assert t_interval(summary) == pytest.approx((3 - 1.963243, 3 + 1.963243), abs=1e-6)
    assert t_test(summary).p == pytest.approx(0.013236, abs=1e-6)  # t = 3 * sqrt(2); at 4 df p has a closed form


def test_what_too_few_values_cannot_say_is_nan() -> None:
    one, none = summarize([38.65]), summarize([])
    assert (one.mean, one.n) == (38.65, 1)
    assert math.isnan(one.std)
    assert all(map(math.isnan, t_interval(one)))
    assert t_interval(one).sign == 0
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
    import numpy as np

    draws = np.random.default_rng(seed_for("t coverage")).standard_normal((6000, 5))
    held = [low <= 0 <= high for low, high in (t_interval(summarize(row)) for row in draws)]
    assert 0.93 < sum(held) / len(held) < 0.97


def test_welch_of_the_poster() -> None:
    found = {name: welch(Summary(*row, 5), Summary(*base, 5)) for name, (row, base, _) in POSTER.items()}
    assert {name: test.interval.sign for name, test in found.items()} == {name: s for name, (_, _, s) in POSTER.items()}
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
    assert (found.t, found.p, found.df) == pytest.approx((expected.statistic, expected.pvalue, expected.df))
    assert found.interval == pytest.approx(tuple(expected.confidence_interval(0.95)))


def test_probability_of_improvement_by_hand() -> None:
    # 2 > 1; 2 = 2 (half); 4 > 1; 4 > 2; 0 above neither: 3.5 of 6 pairs.
    assert probability_of_improvement([2, 4, 0], [1, 2]) == pytest.approx(3.5 / 6)
    assert math.isnan(probability_of_improvement([], [1.0]))


@given(VALUES, VALUES)
def test_the_other_way_round_is_the_mirror(row: list[float], baseline: list[float]) -> None:
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
        "import sys; import studies.bootstrap, studies.bootstrap, studies.statistics, studies.statistics; "
        "from studies.statistics import summarize; summarize([1, 2]); "
        "sys.exit(', '.join({'torch', 'scipy', 'pandas'} & sys.modules.keys()) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
