"""Search space: which axes matter where, and what combination of their values becomes which config.

An axis is idle where its values make no difference to a run's signature (how to read, where nothing is read): it is not
proposed there, so that no two proposals are the same config for that reason. Axes that make others idle come first. A
value that does not go with those chosen before is replaced by its nearest neighbour on the axis that does. Of a range
its two ends are tried in place of all the numbers between them.
"""

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from core.config.presets import Tree, build, difference, merge, validate
from core.errors import UserError
from studies.axes import Axis, Value
from studies.rows import Base, config_key, refuse_invalid
from studies.search.ranges import check_range, is_in_range, is_integer, nearest, range_ends, value_from_label

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Choices = tuple[tuple[Axis, Value], ...]
"""Axes and the value chosen on each, in order."""
Choose = Callable[[Axis, Sequence[str]], str]
"""Chooses a label of an axis, from the axis and those of its labels (of a range: of its ends) that go with the choices
before."""


@dataclass(frozen=True)
class Point:
    """A config of the space: the labels chosen on the axes that matter there, its settings and values on the axes."""

    params: dict[str, str]
    settings: Tree
    at: dict[str, Value]


class SearchSpace:
    """The configs that base and axes span; raises a UserError for an axis or a value that can never be."""

    def __init__(self, base: Base, axes: Sequence[Axis]) -> None:
        self._own = build(base.preset, row=base.settings)
        self.base, self.axes = base, tuple(axes)
        self._preset = difference(base.preset)
        self._key = lru_cache(maxsize=16_384)(self._compute_key)
        for axis in axes:
            axis.check(base.preset)
            if axis.is_range:
                check_range(axis)
        values = [(axis, value) for axis in axes for value in candidates(axis)]
        refuse_invalid(base, [(axis, value) for axis, value in values if not self.is_valid(axis, value)])
        self.axes = self._in_order()

    def point(self, choose: Choose) -> Point:
        """The point that a choice on every axis that matters leads to."""
        choices: Choices = ()
        params: dict[str, str] = {}
        at: dict[str, Value] = {}
        for axis in self.axes:
            keys = self._keys(axis, choices)
            if not keys:
                before = ", ".join(f"{other.name}={other.label(value)}" for other, value in choices)
                raise UserError(f"axis {axis.name}: none of its values goes with {before}: give it one that does")
            if len(set(keys.values())) == 1 and (len(keys) > 1 or not axis.is_range):
                # One config, whatever is chosen: nothing to choose, unless the base's own value cannot be here.
                if self._key(choices) not in keys.values():
                    choices = (*choices, (axis, next(iter(keys))))
                continue
            label = params[axis.name] = choose(axis, [axis.label(value) for value in keys])
            value = value_from_label(axis, label)
            if self._key((*choices, (axis, value))) is None:
                value = nearest(axis, value, list(keys))
            at[axis.name] = value
            choices = (*choices, (axis, value))
        return Point(params, self._settings(choices), at)

    def point_from_params(self, params: Mapping[str, str]) -> Point:
        """The point of the labels that were chosen; a UserError where they do not lead to one."""

        def stored(axis: Axis, possible: Sequence[str]) -> str:
            label = params.get(axis.name, "")
            try:
                value_from_label(axis, label)
            except UserError:
                raise UserError(
                    f"a stored trial has {axis.name} {label!r}, which is none of {', '.join(axis.value_labels)}: the "
                    "axes were changed; keep the changed study apart (--name NAME)"
                ) from None
            return label

        return self.point(stored)

    def base_point(self) -> Point | None:
        """The base as it stands; None where an axis has no value that is the base's."""

        def as_it_is(axis: Axis, possible: Sequence[str]) -> str:
            own = axis.value_in(self._own)
            for value in (own,) if axis.is_range and is_in_range(axis, own) else axis.values:
                if self._key(((axis, value),)) == self._key(()):
                    return axis.label(value)
            raise LookupError(axis.name)

        try:
            return self.point(as_it_is)
        except LookupError:
            return None

    def _in_order(self) -> tuple[Axis, ...]:
        """The axes, those that make others idle before them, else as declared."""
        left = list(self.axes)
        ordered: list[Axis] = []
        while left:
            free = (axis for axis in left if not any(self._gates(other, axis) for other in left if other is not axis))
            ordered.append(next(free, left[0]))
            left.remove(ordered[-1])
        return tuple(ordered)

    def _gates(self, gate: Axis, axis: Axis) -> bool:
        """Whether some values of `gate` make `axis` idle, and others do not."""
        keys = (self._keys(axis, ((gate, value),)) for value in self._keys(gate, ()))
        return len({len(set(some.values())) < 2 for some in keys if some}) > 1

    def _keys(self, axis: Axis, choices: Choices) -> dict[Value, str]:
        """Value -> key of the config, for those values of an axis that go with the choices."""
        keys = {value: self._key((*choices, (axis, value))) for value in candidates(axis)}
        return {value: key for value, key in keys.items() if key is not None}

    def _settings(self, choices: Choices) -> Tree:
        settings = self.base.settings
        for axis, value in choices:
            settings = merge(settings, axis.setting(value))
        return settings

    def _compute_key(self, choices: Choices) -> str | None:
        """What the config of some choices shares with all that give the same numbers; None where it cannot be."""
        try:
            return repr(config_key(validate(merge(self._preset, self._settings(choices)))))
        except UserError:
            return None

    def is_valid(self, axis: Axis, value: Value) -> bool:
        """Whether a value goes with the base, or with some value of another axis."""
        own = (axis, value)
        others = [(other, beside) for other in self.axes if other is not axis for beside in candidates(other)]
        return bool(self._key((own,))) or any(self._key((other, own)) for other in others)


def candidates(axis: Axis) -> tuple[Value, ...]:
    """The values of an axis; of a range its ends."""
    return range_ends(axis) if axis.is_range else axis.values


def optuna_distributions(axes: Iterable[Axis]) -> dict[str, "BaseDistribution"]:
    """Name -> distribution over an axis: of labels, as a value has one name in tables and dashboards; or of numbers."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    def distribution(axis: Axis) -> "BaseDistribution":
        if not axis.is_range:
            return CategoricalDistribution(axis.value_labels)
        low, high = range_ends(axis)
        if is_integer(axis):
            return IntDistribution(int(low), int(high), log=axis.log, step=int(axis.step or 1))
        return FloatDistribution(low, high, log=axis.log, step=axis.step)

    return {axis.name: distribution(axis) for axis in axes}


def optuna_params(axes: Iterable[Axis], params: Mapping[str, str]) -> dict[str, Value]:
    """Axis -> what Optuna has for a label: the label itself, of a range its number."""
    return {
        axis.name: value_from_label(axis, params[axis.name]) if axis.is_range else params[axis.name]
        for axis in axes
        if axis.name in params
    }


def quiet_optuna() -> None:
    """Keep Optuna's log lines off the screen, and its warnings of parts that have been experimental for years."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
