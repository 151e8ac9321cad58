"""The values of a row's seeds: mean, spread, intervals, and the comparison with a row that is only published.

Statistics return numbers only; words and digits are the reports' part. What n values cannot say (a spread of one, a
mean of none) is nan, never 0. The seeds of a study are a sample of all seeds, so every std has ddof 1.

Beside this file: `studies.pairing` (differences seed by seed), `studies.bootstrap` (documents and seeds),
`studies.corrections` (families of tests), `studies.power`, `studies.calibration` (do the intervals cover?).
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

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
