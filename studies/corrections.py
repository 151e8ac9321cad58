"""Corrections for a family of comparisons: the more one tests, the smaller a p has to be."""

import math
from collections.abc import Hashable, Mapping
from typing import TypeVar

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
