"""The values of a row's seeds: mean, spread, intervals, and the comparison with a row that is only published.

Statistics return numbers only; words and digits are the reports' part. What n values cannot say (a spread of one, a
mean of none) is nan, never 0. The seeds of a study are a sample of all seeds, so every std has ddof 1.

Beside this file: `studies.statistics` (differences seed by seed), `studies.bootstrap` (documents and seeds),
`studies.statistics` (families of tests), `studies.statistics`, `studies.bootstrap` (do the intervals cover?).

Differences seed by seed: two rows that share a seed share the split and the order of documents.

Only rows of this harness are paired: a published row has no seeds (see `studies.statistics.welch`).

Corrections for a family of comparisons: the more one tests, the smaller a p has to be.

What a number of seeds can show: power of the two-sided paired t-test, from noncentral t.
"""

import math
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np

CONFIDENCE = 0.95
"""The confidence of every interval unless a caller says otherwise."""


class Interval(NamedTuple):
    """The two ends of a confidence interval; nan where there are too few values for one."""

    low: float
    high: float

    @property
    def sign(self) -> int:
        """1 where the whole interval lies above 0, -1 where below, 0 where it holds 0 or is unknown."""
        return int(self.low > 0) - int(self.high < 0)


@dataclass(frozen=True, slots=True)
class Summary:
    """Mean, sample standard deviation (ddof 1) and number of a row's values; a published row is given as one.

    No values: mean and std are nan; one value: std is nan.
    """

    mean: float
    std: float
    n: int

    def __post_init__(self) -> None:
        if self.n < 0 or self.std < 0:
            raise ValueError(f"a summary has n >= 0 and std >= 0, not n = {self.n} and std = {self.std}")


@dataclass(frozen=True, slots=True)
class TTest:
    """A t-test of a mean or a difference of means against 0: estimate, interval, degrees of freedom, t, two-sided p."""

    estimate: float
    interval: Interval
    df: float
    t: float
    p: float


def summarize(values: Iterable[float]) -> Summary:
    """Summarise the values of a row's seeds.

    Raises:
        ValueError: a value is not finite. A seed without a value is left out by the caller and so lowers n.
    """
    # Plain floats: a row has a handful of seeds, and a large report has tens of thousands of rows and tasks.
    listed = [float(value) for value in values]
    _all_finite(listed)
    n = len(listed)
    mean = math.fsum(listed) / n if n else math.nan
    std = math.sqrt(math.fsum((value - mean) ** 2 for value in listed) / (n - 1)) if n > 1 else math.nan
    return Summary(mean=mean, std=std, n=n)


def finite(values: Iterable[float]) -> np.ndarray:
    """The values as one float64 axis; ValueError where one is nan or infinite."""
    listed = [float(value) for value in values]
    _all_finite(listed)
    return np.asarray(listed, dtype=np.float64)


def t_interval(summary: Summary, confidence: float = CONFIDENCE) -> Interval:
    """The t-interval of the mean over seeds, on these documents; nan below two values.

    It speaks of other seeds, not of other documents: for those see `studies.bootstrap`.
    """
    return t_test(summary, confidence).interval


def t_test(summary: Summary, confidence: float = CONFIDENCE) -> TTest:
    """Test the mean of a summary against 0; of differences paired by seed this is the paired t-test."""
    if summary.n < 2:
        return _student(summary.mean, math.nan, math.nan, confidence)
    return _student(summary.mean, summary.std / math.sqrt(summary.n), summary.n - 1, confidence)


def welch(row: Summary, baseline: Summary, confidence: float = CONFIDENCE) -> TTest:
    """Welch's test of `row` - `baseline` from mean, std and n alone, for rows that are only published.

    It takes the rows as independent and the std as ddof 1; where the publication does not say so, neither does this.
    Degrees of freedom after Welch and Satterthwaite; nan where a row has fewer than two values.
    """
    difference = row.mean - baseline.mean
    if min(row.n, baseline.n) < 2:
        return _student(difference, math.nan, math.nan, confidence)
    of_row, of_baseline = row.std**2 / row.n, baseline.std**2 / baseline.n
    total = of_row + of_baseline
    # As shares of the total, so that tiny variances cannot underflow when squared.
    shares = (of_row / total, of_baseline / total) if total else (0.5, 0.5)
    df = 1 / (shares[0] ** 2 / (row.n - 1) + shares[1] ** 2 / (baseline.n - 1))
    return _student(difference, math.sqrt(total), df, confidence)


def probability_of_improvement(row: Iterable[float], baseline: Iterable[float]) -> float:
    """The share of all pairs (a seed of `row`, a seed of `baseline`) in which `row` is higher, ties counted half.

    It needs no pairing and says how often one run of `row` beats one of the baseline. nan where a side has no value.
    Source: Agarwal et al. 2021 (arXiv 2108.13264), section 4.
    """
    ours, theirs = finite(row), finite(baseline)
    if not len(ours) or not len(theirs):
        return math.nan
    gaps = ours[:, None] - theirs
    return float((np.count_nonzero(gaps > 0) + np.count_nonzero(gaps == 0) / 2) / gaps.size)


def _all_finite(values: list[float]) -> None:
    for position, value in enumerate(values):
        if not math.isfinite(value):
            raise ValueError(f"value {position} is {value}: leave a seed without a value out")


def _student(estimate: float, error: float, df: float, confidence: float) -> TTest:
    from scipy.special import stdtr, stdtrit  # takes longer to load than quick commands may take

    if not 0 < confidence < 1:
        raise ValueError(f"a confidence lies between 0 and 1, not {confidence}")
    half = float(stdtrit(df, (1 + confidence) / 2)) * error
    if error > 0:
        t = estimate / error
    else:  # equal values have no error; a difference of exactly 0 is no evidence of one
        t = math.copysign(math.inf, estimate) if estimate else 0.0
    t = math.nan if math.isnan(error) else t
    p = float(2 * stdtr(df, -abs(t)))
    return TTest(estimate=estimate, interval=Interval(estimate - half, estimate + half), df=df, t=t, p=p)


MAX_SIGN_FLIPS = 40
"""Above so many differences the exact sign-flip test would need too much memory."""
NO_DIFFERENCE = 1e-9
"""Sums that differ by less than this share of the sum of sizes differ by rounding only."""


@dataclass(frozen=True, slots=True)
class SignFlip:
    """The two-sided p of the sign-flip test, and the smallest p that so many differences can reach (2 / 2^n)."""

    p: float
    floor: float


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """A row less the baseline, seed by seed.

    `mean`, `std` (ddof 1) and the t-interval `interval` are of the differences of the shared seeds; `higher`, `equal`
    and `lower` count those seeds. `p_t` is the paired t-test's p, `p_sign_flip` the sign-flip test's with its floor
    `p_floor`. `improvement` is the probability of improvement over all pairs of shared seeds. `seeds` were used;
    `left_out` have a value in one row only. What the shared seeds are too few for is nan.
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
    p_floor: float
    improvement: float
    seeds: tuple[int, ...]
    left_out: tuple[int, ...]


def paired_difference(
    row: Mapping[int, float], baseline: Mapping[int, float], confidence: float = CONFIDENCE
) -> PairedDifference:
    """Compare two rows, each a mapping of seed -> value, on the seeds that both have.

    Raises:
        ValueError: a value is not finite, or more than `MAX_SIGN_FLIPS` seeds are shared.
    """
    for values in (row, baseline):
        for seed, value in values.items():
            if not math.isfinite(value):
                raise ValueError(f"seed {seed} has the value {value}: leave a seed without a value out")
    seeds = tuple(sorted(row.keys() & baseline.keys()))
    ours, theirs = [row[seed] for seed in seeds], [baseline[seed] for seed in seeds]
    differences = finite(ours) - finite(theirs)
    summary = summarize(differences)
    test = t_test(summary, confidence)
    flipped = sign_flip(differences)
    return PairedDifference(
        mean=summary.mean,
        std=summary.std,
        n=summary.n,
        interval=test.interval,
        higher=int(np.count_nonzero(differences > 0)),
        equal=int(np.count_nonzero(differences == 0)),
        lower=int(np.count_nonzero(differences < 0)),
        p_t=test.p,
        p_sign_flip=flipped.p,
        p_floor=flipped.floor,
        improvement=probability_of_improvement(ours, theirs),
        seeds=seeds,
        left_out=tuple(sorted(row.keys() ^ baseline.keys())),
    )


def sign_flip(differences: Iterable[float]) -> SignFlip:
    """The exact two-sided sign-flip test: the share of the 2^n sign choices whose |sum| is at least the observed one.

    At five differences p cannot be below .0625, whatever they are. No difference at all: nan.

    Raises:
        ValueError: more than `MAX_SIGN_FLIPS` differences, or one that is not finite.
    """
    sizes = np.abs(values := finite(differences))
    n = len(sizes)
    if not n:
        return SignFlip(math.nan, math.nan)
    if n > MAX_SIGN_FLIPS:
        raise ValueError(f"{n} differences are too many for the exact sign-flip test, which takes {MAX_SIGN_FLIPS}")
    reached = abs(values.sum()) - NO_DIFFERENCE * sizes.sum()
    if reached <= 0:
        return SignFlip(p=1.0, floor=2 / 2**n)
    # Every sum is one of the first half's plus one of the second's: two lists of 2^(n/2) stand for all 2^n. Sums lie
    # symmetrically about 0, so those at or above `reached` are half of the extreme ones.
    first, second = _signed_sums(sizes[: n // 2]), np.sort(_signed_sums(sizes[n // 2 :]))
    above = int((len(second) - np.searchsorted(second, reached - first, side="left")).sum())
    return SignFlip(p=2 * above / 2**n, floor=2 / 2**n)


def _signed_sums(sizes: np.ndarray) -> np.ndarray:
    sums = np.zeros(1)
    for size in sizes:
        sums = np.concatenate([sums - size, sums + size])
    return sums


Name = TypeVar("Name", bound=Hashable)


def holm(p_values: Mapping[Name, float]) -> dict[Name, float]:
    """Holm's adjusted p of every comparison of a family, under the same names in the same order.

    The i-th smallest of m p values (from 0) is multiplied by m - i, made no smaller than the one before it, and cut at
    1; comparing the adjusted p with alpha keeps the chance of any false finding in the family below alpha. A nan is a
    test that was not made: it stays nan and does not enlarge the family. Source: Holm 1979.

    Raises:
        ValueError: a p outside 0 to 1.
    """
    for name, p in p_values.items():
        if p < 0 or p > 1:
            raise ValueError(f"{name!r} has p = {p}: a p lies between 0 and 1")
    made = sorted((name for name, p in p_values.items() if not math.isnan(p)), key=p_values.__getitem__)
    adjusted: dict[Name, float] = {}
    reached = 0.0
    for position, name in enumerate(made):
        reached = max(reached, min(1.0, (len(made) - position) * p_values[name]))
        adjusted[name] = reached
    return {name: adjusted.get(name, math.nan) for name in p_values}


POWER = 0.8
"""The chance of seeing a true difference that counts as enough, unless a caller says otherwise."""


def paired_t_power(n: int, effect: float, alpha: float = 1 - CONFIDENCE) -> float:
    """The chance that the paired t-test at level `alpha` finds a true difference.

    `effect` is that difference in units of the standard deviation of the differences, `n` the number of shared seeds;
    nan below two of them. At five seeds and an effect of 1 it is .40.

    Raises:
        ValueError: `alpha` outside 0 to 1, or an effect that is not finite.
    """
    from scipy.special import ncfdtr, stdtrit  # takes longer to load than quick commands may take

    if not 0 < alpha < 1 or not math.isfinite(effect):
        raise ValueError(f"power needs 0 < alpha < 1 and a finite effect, not alpha = {alpha} and effect = {effect}")
    if n < 2:
        return math.nan
    shift = abs(effect) * math.sqrt(n)
    limit = float(stdtrit(n - 1, 1 - alpha / 2))
    # t squared is noncentral F, both tails in one; scipy's noncentral t itself is nan in the far tail.
    missed = float(ncfdtr(1, n - 1, shift**2, limit**2))
    # It is nan for some effects so large that they are never missed (seen above an effect of 7 only).
    return 1.0 if math.isnan(missed) else 1 - missed


def smallest_detectable(n: int, std: float, power: float = POWER, alpha: float = 1 - CONFIDENCE) -> float:
    """The smallest true difference that n shared seeds find with the chance `power`, in the units of `std`.

    `std` is the standard deviation of the differences; nan below two seeds or where it is nan itself.

    Raises:
        ValueError: `power` not between `alpha` and 1, or a negative `std`.
    """
    from scipy.optimize import brentq

    if not alpha < power < 1 or std < 0:
        raise ValueError(f"needs alpha < power < 1 and std >= 0: alpha {alpha}, power {power}, std {std}")
    if n < 2 or math.isnan(std):
        return math.nan
    high = 1.0
    while paired_t_power(n, high, alpha) < power:
        high *= 2
    return std * float(brentq(lambda effect: paired_t_power(n, effect, alpha) - power, 0.0, high))
