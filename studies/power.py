"""What a number of seeds can show: power of the two-sided paired t-test, from noncentral t."""

import math

from studies.statistics import CONFIDENCE

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
