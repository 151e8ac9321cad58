"""Base and axes as a space of configs: which axes matter where, and what combination becomes which settings.

An axis is idle where its values make no difference (how to read, where nothing is read): it is not proposed there, so
that no two proposals are the same cell for that reason. Axes that make others idle come first. A value that cannot be
beside those chosen before is replaced by its nearest neighbour on the axis that can.

Axes as other tools' search spaces: Optuna's distributions, and the parameters of a W&B sweep.
"""

import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING, Any

import yaml

from core.config.presets import Tree, build, difference, leaves, merge, validate
from core.errors import UserError
from studies.axes import Axis, Value
from studies.rows import Base, config_key

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


Path = tuple[tuple[Axis, int], ...]
"""Axes and the places of the values chosen on them, in order."""
Choose = Callable[[Axis, Sequence[Value]], Value]
"""Which value of an axis; told the axis and those of its values that can be."""


@dataclass(frozen=True)
class Point:
    """A config of the space: the labels chosen on the axes that matter there, its settings, and where it stands."""

    params: dict[str, str]
    settings: Tree
    at: dict[str, Value]


class SearchSpace:
    """The configs that base and axes span; raises a UserError for an axis or a value that can never be."""

    def __init__(self, base: Base, axes: Sequence[Axis]) -> None:
        build(base.preset, row=base.settings)
        self.base, self.declared = base, tuple(axes)
        self._preset = difference(base.preset)
        self._cell = lru_cache(maxsize=16_384)(self._cell_at)
        for axis in axes:
            axis.check(base.preset)
            self._refuse_mistakes(axis)
        self.axes = self._in_order()

    def point(self, choose: Choose) -> Point:
        """The point that a choice on every axis that matters leads to."""
        path: Path = ()
        params: dict[str, str] = {}
        at: dict[str, Value] = {}
        for axis in self.axes:
            cells = self._cells(axis, path)
            if not cells:
                told = ", ".join(f"{one.name}={one.label(one.values[place])}" for one, place in path)
                raise UserError(f"axis {axis.name}: none of its values can be beside {told}: give it one that can")
            if len(set(cells.values())) == 1:
                # One cell, whatever is chosen: nothing to choose, unless the base's own value cannot be here.
                if self._cell(path) not in cells.values():
                    path = (*path, (axis, next(iter(cells))))
                continue
            value = choose(axis, [axis.values[place] for place in cells])
            params[axis.name] = axis.label(value)
            wanted = axis.value_labels.index(axis.label(value))
            nearest = min(cells, key=lambda place: (abs(place - wanted), place))
            at[axis.name] = axis.values[nearest]
            path = (*path, (axis, nearest))
        return Point(params, self._settings(path), at)

    def point_from_params(self, params: Mapping[str, str]) -> Point:
        """The point of the labels that were chosen; a UserError where they do not lead to one."""

        def chosen(axis: Axis, possible: Sequence[Value]) -> Value:
            for value in axis.values:
                if axis.label(value) == params.get(axis.name):
                    return value
            raise UserError(
                f"a kept trial has {axis.name} {params.get(axis.name)!r}, which is none of "
                f"{', '.join(axis.value_labels)}: the axes were changed; keep the changed study apart (--name NAME)"
            )

        return self.point(chosen)

    def own(self) -> Point | None:
        """The base as it stands; None where an axis has no value that is the base's."""

        def as_it_is(axis: Axis, possible: Sequence[Value]) -> Value:
            for place, value in enumerate(axis.values):
                if self._cell(((axis, place),)) == self._cell(()):
                    return value
            raise LookupError(axis.name)

        try:
            return self.point(as_it_is)
        except LookupError:
            return None

    @property
    def combinations(self) -> int:
        """How many combinations of values there are, idle ones counted too."""
        return prod(len(axis.values) for axis in self.axes)

    def _in_order(self) -> tuple[Axis, ...]:
        """The axes, those that make others idle before them, else as declared."""
        left = list(self.declared)
        ordered: list[Axis] = []
        while left:
            free = (one for one in left if not any(self._gates(other, one) for other in left if other is not one))
            ordered.append(next(free, left[0]))
            left.remove(ordered[-1])
        return tuple(ordered)

    def _gates(self, gate: Axis, axis: Axis) -> bool:
        """Whether some values of `gate` make `axis` idle, and others do not."""
        beside = (self._cells(axis, ((gate, place),)) for place in self._cells(gate, ()))
        return len({len(set(cells.values())) < 2 for cells in beside if cells}) > 1

    def _cells(self, axis: Axis, path: Path) -> dict[int, str]:
        """Place on the axis -> cell, for those of its values that can be beside a path."""
        found = {place: self._cell((*path, (axis, place))) for place in range(len(axis.values))}
        return {place: cell for place, cell in found.items() if cell is not None}

    def _settings(self, path: Path) -> Tree:
        settings = self.base.settings
        for axis, place in path:
            settings = merge(settings, axis.setting(axis.values[place]))
        return settings

    def _cell_at(self, path: Path) -> str | None:
        try:
            return repr(config_key(validate(merge(self._preset, self._settings(path)))))
        except UserError:
            return None

    def _refuse_mistakes(self, axis: Axis) -> None:
        """Raise a UserError for a value that can be neither on the base nor beside any value of another axis."""
        others = [(one, place) for one in self.declared if one is not axis for place in range(len(one.values))]
        for place, value in enumerate(axis.values):
            own = (axis, place)
            if self._cell((own,)) is None and not any(self._cell((other, own)) for other in others):
                try:
                    build(self.base.preset, row=merge(self.base.settings, axis.setting(value)))
                except UserError as error:
                    raise UserError(f"axis {axis.name}: {error}") from None


def optuna_distributions(axes: Iterable[Axis]) -> dict[str, "BaseDistribution"]:
    """Name -> categorical distribution over the labels of an axis: a value has one name in tables and dashboards."""
    from optuna.distributions import CategoricalDistribution

    return {axis.name: CategoricalDistribution(axis.value_labels) for axis in axes}


def wandb_parameters(axes: Iterable[Axis]) -> dict[str, dict[str, list[Any]]]:
    """Setting -> its values as `engram train` reads them behind `--<setting>=`."""
    return {axis.path: {"values": [_flag_value(value) for value in axis.values]} for axis in axes}


def wandb_sweep(base: Base, axes: Iterable[Axis], *, name: str, metric: str, profile: str) -> str:
    """The YAML that `wandb sweep` takes: over the axes, for validation F1, by agents that run `engram train`."""
    settings = [f"--{path}={_flag_value(value)}" for path, value in leaves(base.settings).items()]
    command = ["engram", "train", base.preset, "--profile", profile, *settings]
    sweep = {
        "name": f"{name}@{profile}",
        "method": "bayes",
        "metric": {"name": f"validation/{metric}/f1", "goal": "maximize"},
        "parameters": wandb_parameters(axes),
        "command": ["${env}", *command, "${args}"],
    }
    opening = f"# wandb sweep FILE; its agents run: {shlex.join(command)} --SETTING=VALUE ...\n"
    return opening + yaml.safe_dump(sweep, sort_keys=False, allow_unicode=True)


def _flag_value(value: Value) -> Any:
    # W&B puts a value into the command by Python's str(): a bare None would depend on how a sweep is stored.
    return "none" if value is None else value
