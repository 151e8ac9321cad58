"""Statistics of a row's seeds: mean, std, t-intervals, paired and Welch tests, sign-flip test, Holm, power.

Functions return numbers; `write_mean` alone writes them. What n values cannot show (a std of one value, a mean
of none) is nan, never 0. The seeds of a study are a sample of all seeds, so every std has ddof 1. For other documents
than those that were scored see `studies.bootstrap`.
"""

import math
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple, TypeVar

import numpy as np

CONFIDENCE = 0.95
"""The confidence of every interval; tests are at the level 1 - CONFIDENCE."""
POWER = 0.8
"""The chance of finding a true difference that counts as enough."""
MAX_SIGN_FLIPS = 40
"""Above so many differences the exact sign-flip test would need too much memory."""
ROUNDING = 1e-9
"""Sums that differ by less than this share of the sum of sizes differ by rounding only."""


class Interval(NamedTuple):
    """The two ends of a confidence interval; nan where there are too few values for one."""

    low: float
    high: float


DASH = "–"
"""What stands where there is no number."""


def write_mean(mean: float, std: float, decimals: int = 2) -> str:
    """`34.20 ± 0.51`; `34.20` where there is no std, `–` where there is no mean. Thousands are set apart."""
    if not math.isfinite(mean):
        return DASH
    spread = f" ± {std:.{decimals}f}" if math.isfinite(std) else ""
    return f"{mean:,.{decimals}f}{spread}".replace(",", " ")


@dataclass(frozen=True, slots=True)
class Summary:
    """Mean, sample standard deviation (ddof 1) and number of a row's values, measured or published.

    No values: mean and std are nan; one value: std is nan.
    """

    mean: float
    std: float
    n: int

    def __str__(self) -> str:
        """The mean and std as `write_mean` has them."""
        return write_mean(self.mean, self.std)


@dataclass(frozen=True, slots=True)
class TTest:
    """A t-test of a mean or a difference of means against 0: estimate, confidence interval, two-sided p."""

    estimate: float
    interval: Interval
    p: float


def summarize(values: Iterable[float]) -> Summary:
    """Summarise the values of a row's seeds; a ValueError for one that is not finite.

    A seed without a value is left out by the caller and so lowers n.
    """
    # Plain floats: a row has a handful of seeds, and a large report has tens of thousands of rows and tasks.
    numbers = _finite(values)
    n = len(numbers)
    mean = math.fsum(numbers) / n if n else math.nan
    std = math.sqrt(math.fsum((value - mean) ** 2 for value in numbers) / (n - 1)) if n > 1 else math.nan
    return Summary(mean=mean, std=std, n=n)


def t_test(summary: Summary) -> TTest:
    """Test the mean of a summary against 0; of differences paired by seed this is the paired t-test."""
    error = summary.std / math.sqrt(summary.n) if summary.n > 1 else math.nan
    return _student_test(summary.mean, error, summary.n - 1)


def welch(row: Summary, baseline: Summary) -> TTest:
    """Welch's test of `row` - `baseline` from mean, std and n alone, for rows that are only published.

    It takes the rows as independent and the std as ddof 1. Degrees of freedom after Welch and Satterthwaite; nan where
    a row has fewer than two values.
    """
    difference = row.mean - baseline.mean
    if min(row.n, baseline.n) < 2:
        return _student_test(difference, math.nan, math.nan)
    row_variance, baseline_variance = row.std**2 / row.n, baseline.std**2 / baseline.n
    total = row_variance + baseline_variance
    # As shares of the total, so that tiny variances cannot underflow when squared.
    shares = (row_variance / total, baseline_variance / total) if total else (0.5, 0.5)
    df = 1 / (shares[0] ** 2 / (row.n - 1) + shares[1] ** 2 / (baseline.n - 1))
    return _student_test(difference, math.sqrt(total), df)


def _student_test(estimate: float, error: float, df: float) -> TTest:
    from scipy.special import stdtr, stdtrit  # takes longer to load than quick commands may take

    half = float(stdtrit(df, (1 + CONFIDENCE) / 2)) * error
    # Equal values have no error: then a difference of exactly 0 is no evidence of one, any other is certain.
    t = (math.inf if estimate else 0.0) if error == 0 else abs(estimate) / error
    return TTest(estimate, Interval(estimate - half, estimate + half), p=float(2 * stdtr(df, -t)))


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """A row minus its baseline, seed by seed: two rows that share a seed share the split and the order of documents.

    `mean`, `std` (ddof 1) and the t-interval `interval` are of the differences of the shared seeds; `higher`, `equal`
    and `lower` count those seeds. `p_t` is the paired t-test's p, `p_sign_flip` the sign-flip test's. `improvement` is
    the probability of improvement over all pairs of shared seeds. `seeds` were used; `left_out` have a value in one row
    only. What the shared seeds are too few for is nan.
    """

    mean: float
    std: float
    n: int
    interval: Interval
    higher: int
    equal: int
    lower: int
    p_t: float
    p_sign_flip: float
    improvement: float
    seeds: tuple[int, ...]
    left_out: tuple[int, ...]

    @property
    def p_floor(self) -> float:
        """The smallest p that the sign-flip test can reach with so many seeds: .0625 with five."""
        return 2 / 2**self.n if self.n else math.nan


def paired_difference(row: Mapping[int, float], baseline: Mapping[int, float]) -> PairedDifference:
    """Compare two rows, each a mapping of seed -> value, on the seeds that both have.

    Raises a ValueError for a value that is not finite, and for more than `MAX_SIGN_FLIPS` shared seeds.
    """
    seeds = tuple(sorted(row.keys() & baseline.keys()))
    ours, theirs = [row[seed] for seed in seeds], [baseline[seed] for seed in seeds]
    differences = np.array(ours, dtype=np.float64) - np.array(theirs, dtype=np.float64)
    summary = summarize(differences)
    test = t_test(summary)
    return PairedDifference(
        mean=summary.mean,
        std=summary.std,
        n=summary.n,
        interval=test.interval,
        higher=int(np.count_nonzero(differences > 0)),
        equal=int(np.count_nonzero(differences == 0)),
        lower=int(np.count_nonzero(differences < 0)),
        p_t=test.p,
        p_sign_flip=sign_flip(differences),
        improvement=probability_of_improvement(ours, theirs),
        seeds=seeds,
        left_out=tuple(sorted(row.keys() ^ baseline.keys())),
    )


def sign_flip(differences: Iterable[float]) -> float:
    """The exact two-sided sign-flip test's p: the share of the 2^n sign choices whose |sum| reaches the observed one.

    nan for no difference at all. Raises a ValueError for more than `MAX_SIGN_FLIPS` differences, or one not finite.
    """
    values = np.array(_finite(differences))
    sizes, n = np.abs(values), len(values)
    if not n:
        return math.nan
    if n > MAX_SIGN_FLIPS:
        raise ValueError(f"{n} differences are too many for the exact sign-flip test, which takes {MAX_SIGN_FLIPS}")
    observed = abs(values.sum()) - ROUNDING * sizes.sum()
    if observed <= 0:
        return 1.0
    # Every sum is one of the first half's plus one of the second's: two lists of 2^(n/2) stand for all 2^n. Sums lie
    # symmetrically about 0, so those at or above the observed one are half of the extreme ones.
    first, second = _signed_sums(sizes[: n // 2]), np.sort(_signed_sums(sizes[n // 2 :]))
    above = int((len(second) - np.searchsorted(second, observed - first, side="left")).sum())
    return 2 * above / 2**n


def _signed_sums(sizes: np.ndarray) -> np.ndarray:
    sums = np.zeros(1)
    for size in sizes:
        sums = np.concatenate([sums - size, sums + size])
    return sums


def probability_of_improvement(row: Iterable[float], baseline: Iterable[float]) -> float:
    """The share of all pairs (a seed of `row`, a seed of `baseline`) in which `row` is higher, ties counted half.

    It says how often one run of `row` beats one of the baseline. nan where a side has no value.
    Source: Agarwal et al. 2021 (arXiv 2108.13264), section 4.
    """
    ours, theirs = np.array(_finite(row)), np.array(_finite(baseline))
    if not len(ours) or not len(theirs):
        return math.nan
    gaps = ours[:, None] - theirs
    return float((np.count_nonzero(gaps > 0) + np.count_nonzero(gaps == 0) / 2) / gaps.size)


def _finite(values: Iterable[float]) -> list[float]:
    numbers = [float(value) for value in values]
    for position, value in enumerate(numbers):
        if not math.isfinite(value):
            raise ValueError(f"value {position} is {value}: leave a seed without a value out")
    return numbers


Name = TypeVar("Name", bound=Hashable)


def holm(p_values: Mapping[Name, float]) -> dict[Name, float]:
    """Holm's adjusted p of every comparison of a family, under the same names in the same order.

    The i-th smallest of m p values (from 0) is multiplied by m - i, made no smaller than the one before it, and cut at
    1; comparing the adjusted p with alpha keeps the chance of any false finding in the family below alpha. A nan is a
    test that was not made: it stays nan and does not enlarge the family. Source: Holm 1979.
    """
    made = sorted((name for name, p in p_values.items() if not math.isnan(p)), key=p_values.__getitem__)
    adjusted: dict[Name, float] = {}
    smallest = 0.0
    for position, name in enumerate(made):
        smallest = max(smallest, min(1.0, (len(made) - position) * p_values[name]))
        adjusted[name] = smallest
    return {name: adjusted.get(name, math.nan) for name in p_values}


def paired_t_power(n: int, effect: float) -> float:
    """The chance that the paired t-test at the level 1 - CONFIDENCE finds a true difference; nan below two seeds.

    `effect` is that difference in units of the standard deviation of the differences, `n` the number of shared seeds.
    At five seeds and an effect of 1 it is .40.
    """
    from scipy.special import ncfdtr, stdtrit  # takes longer to load than quick commands may take

    if n < 2:
        return math.nan
    shift = abs(effect) * math.sqrt(n)
    limit = float(stdtrit(n - 1, 1 - (1 - CONFIDENCE) / 2))
    # t squared is noncentral F, both tails in one; scipy's noncentral t itself is nan in the far tail.
    missed = float(ncfdtr(1, n - 1, shift**2, limit**2))
    # It is nan for some effects so large that they are never missed (seen above an effect of 7 only).
    return 1.0 if math.isnan(missed) else 1 - missed


@cache
def smallest_detectable_effect(n: int) -> float:
    """The smallest effect that the paired t-test finds with the chance `POWER` on n shared seeds; nan below two.

    In units of the standard deviation of the differences: times that std it is a difference in points.
    """
    from scipy.optimize import brentq

    if n < 2:
        return math.nan
    high = 1.0
    while paired_t_power(n, high) < POWER:
        high *= 2
    return float(brentq(lambda effect: paired_t_power(n, effect) - POWER, 0.0, high))
