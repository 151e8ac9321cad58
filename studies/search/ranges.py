"""Ranges: axes of a search that are all numbers between two ends; which numbers they have, and their labels.

A number that is proposed has four significant digits, or lies on the axis's steps, so that its label in tables is the
very number that ran.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import get_args

from core.config.presets import find_section
from core.errors import UserError
from studies.axes import Axis, Value

SIGNIFICANT_DIGITS = 4
STEP_TOLERANCE = 1e-6
"""By how much of a step a number may miss the steps of its axis."""


def check_range(axis: Axis) -> None:
    """Raise a UserError for a range that has no numbers, or whose setting is none; limits are the config's matter."""
    low, high, step = axis.low, axis.high, axis.step
    problem = None
    if axis.values or axis.labels:
        problem = "it has `low` or `high` and also `values` or `labels`: give a range or values"
    elif low is None or high is None:
        problem = f"`{'low' if low is None else 'high'}` is missing: a range needs both ends (or give `values`)"
    elif not (math.isfinite(low) and math.isfinite(high) and low < high):
        problem = f"low {low:g} must be below high {high:g}, both finite"
    elif axis.log and step is not None:
        problem = f"log and step {step:g} do not go together: leave one out"
    elif axis.log and low <= 0:
        problem = f"low {low:g} must be above 0 with log: raise it, or leave `log` out"
    elif step is not None and not STEP_TOLERANCE <= step / (high - low) <= 1:
        problem = f"step {step:g} must be above 0 and at most {high - low:g}, with up to a million steps"
    elif step is not None and not is_whole_number((high - low) / step):
        reached = low + math.floor((high - low) / step) * step
        problem = f"steps of {step:g} from {low:g} do not reach {high:g}: give high {axis.label(reached)}, say"
    elif not number_types(axis):
        problem = f"{axis.path} is no number: give `values`"
    elif is_integer(axis) and not all(float(number).is_integer() for number in (low, high, step or 1)):
        problem = f"{axis.path} is a whole number: give low, high and step as whole numbers"
    if problem:
        raise UserError(f"axis {axis.name}: {problem}")


def number_types(axis: Axis) -> set[object]:
    """Which of int and float the setting of an axis may be; both where there is no such setting, a mistake of its own.

    A switch is no number.
    """
    *sections, name = axis.path.split(".")
    section = find_section(sections)
    field = section.model_fields.get(name) if section is not None else None
    return set(_types_in(field.annotation)) & {int, float} if field is not None else {int, float}


def _types_in(annotation: object) -> Iterator[object]:
    yield annotation
    for inner in get_args(annotation):
        yield from _types_in(inner)


def is_integer(axis: Axis) -> bool:
    """Whether the numbers of a range are whole."""
    return number_types(axis) == {int}


def range_ends(axis: Axis) -> tuple[int | float, int | float]:
    """The ends of a range, in the type of its setting."""
    assert axis.low is not None
    assert axis.high is not None
    kind = int if is_integer(axis) else float
    return kind(axis.low), kind(axis.high)


def round_to_range(axis: Axis, number: float) -> int | float:
    """The number of a range that is nearest."""
    low, high = range_ends(axis)
    if axis.step is not None:
        number = float(f"{low + round((number - low) / axis.step) * axis.step:.12g}")
    elif not is_integer(axis):
        number = float(f"{number:.{SIGNIFICANT_DIGITS}g}")
    return min(max(type(low)(round(number) if is_integer(axis) else number), low), high)


def number_at(axis: Axis, share: float) -> int | float:
    """The number of a range at a share of the way from its low to its high end."""
    low, high = range_ends(axis)
    return round_to_range(axis, low * (high / low) ** share if axis.log else low + (high - low) * share)


def is_in_range(axis: Axis, value: Value) -> bool:
    """Whether a value is a number of a range: between its ends and on its steps."""
    low, high = range_ends(axis)
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        return False
    return axis.step is None or is_whole_number((value - low) / axis.step)


def is_whole_number(steps: float) -> bool:
    """Whether a number of steps is whole, as far as floats show."""
    return abs(steps - round(steps)) < STEP_TOLERANCE


def value_from_label(axis: Axis, label: str) -> Value:
    """The value of an axis that has this label; a UserError where there is none."""
    if not axis.is_range:
        if label not in axis.value_labels:
            raise UserError(f"axis {axis.name} has no {label!r}: its values are {', '.join(axis.value_labels)}")
        return axis.values[axis.value_labels.index(label)]
    number = float("nan")
    with suppress(ValueError):
        number = float(label)
    if not is_in_range(axis, number) or (is_integer(axis) and not number.is_integer()):
        raise UserError(f"axis {axis.name} has no {label!r}: it is {axis.value_labels[0]}")
    return int(number) if is_integer(axis) else number


def nearest(axis: Axis, value: Value, candidates: Sequence[Value]) -> Value:
    """The candidate that stands nearest to a value of an axis; of two the first."""

    def position(other: Value) -> float:
        return float(other) if axis.is_range and other is not None else axis.values.index(other)

    return min(candidates, key=lambda other: abs(position(other) - position(value)))
