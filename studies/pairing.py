"""Differences seed by seed: two rows that share a seed share the split and the order of documents.

Only rows of this harness are paired: a published row has no seeds (see `studies.statistics.welch`).
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from studies.statistics import CONFIDENCE, Interval, finite, probability_of_improvement, summarize, t_test

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
