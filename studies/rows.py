"""Axes into rows: the product of their values on a base, less what does not type and what is the same cell."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import product
from math import prod

import msgspec

from core.config.presets import Tree, build, merge
from core.config.schema import DataConfig, RunConfig
from core.config.signature import signature
from core.errors import UserError
from studies.axes import Axis, Value, find_axis

JOIN = "+"


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row of a study's table: a preset and the settings that make the row."""

    preset: str
    settings: Tree = {}
    title: str = ""
    """What the table calls it; empty: its name."""
    group: str = ""
    """The part of the table that it stands in; the best of a group is set in bold."""
    baseline: str = ""
    """The row it is compared with; empty: the study's baseline."""
    at: dict[str, Value] = {}
    """Axis -> the value that the row stands at, for curves along an axis."""
    tried: int = 1
    """Configs of which this one was chosen, on other seeds than the row's."""


class Base(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the rows of a product have in common."""

    preset: str
    settings: Tree = {}


class Choice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An axis of a study: a declared one with some of its values, or with a `path` one of the study's own."""

    name: str
    values: tuple[Value, ...] = ()
    path: str = ""
    title: str = ""
    sentence: str = ""
    labels: tuple[str, ...] = ()

    def axis(self) -> Axis:
        """The axis that it stands for."""
        if self.path:
            return Axis(
                name=self.name,
                title=self.title or self.name,
                path=self.path,
                values=self.values,
                sentence=self.sentence or "An axis of this study's own.",
                labels=self.labels,
            )
        known = find_axis(self.name)
        values = self.values or known.values
        return msgspec.structs.replace(
            known,
            title=self.title or known.title,
            sentence=self.sentence or known.sentence,
            values=values,
            labels=self.labels or tuple(known.label(value) for value in values),
        )


def resolve_axes(choices: Sequence[str | Choice]) -> tuple[Axis, ...]:
    """The axes that a study names."""
    axes = tuple(find_axis(choice) if isinstance(choice, str) else choice.axis() for choice in choices)
    for part in ("name", "path"):
        told = [getattr(axis, part) for axis in axes]
        if len(set(told)) < len(told):
            raise UserError(
                f"two axes have the {part} {next(one for one in told if told.count(one) > 1)}: give it once"
            )
    return axes


def rows_of(base: Base, axes: Sequence[Axis]) -> tuple[dict[str, Row], dict[str, str]]:
    """The rows of a product by name, and the combinations that are left out with the reason.

    Raises a UserError for a base that cannot be, and for a value of an axis with which no combination can be (a path
    that is misspelt, a number past its limit): these are mistakes, a single combination that cannot be is none.
    """
    build(base.preset, row=base.settings)
    for axis in axes:
        axis.check(base.preset)
    rows: dict[str, Row] = {}
    left_out: dict[str, str] = {}
    first: dict[tuple[str, DataConfig], str] = {}
    failed: dict[tuple[Value, ...], str] = {}
    for values in product(*(axis.values for axis in axes)):
        row = _row(base, axes, values)
        name = JOIN.join(f"{axis.name}={axis.label(value)}" for axis, value in zip(axes, values, strict=True))
        try:
            config = build(base.preset, row=row.settings)
        except UserError as error:
            left_out[name] = f"cannot be: {error}"
            failed[values] = str(error)
            continue
        same = first.setdefault(config_key(config), name)
        if same != name:
            left_out[name] = f"the same cell as {same}"
        else:
            rows[name] = row
    _refuse_mistakes(base, axes, failed)
    return rows, left_out


def _row(base: Base, axes: Sequence[Axis], values: Sequence[Value]) -> Row:
    settings = base.settings
    for axis, value in zip(axes, values, strict=True):
        settings = merge(settings, axis.setting(value))
    labels = [axis.label(value) for axis, value in zip(axes, values, strict=True)]
    first = f"{axes[0].title} {labels[0]}"
    return Row(
        preset=base.preset,
        settings=settings,
        title=", ".join(labels[1:]) or first,
        group=first if len(axes) > 1 else "",
        at={axis.name: value for axis, value in zip(axes, values, strict=True)},
    )


def _refuse_mistakes(base: Base, axes: Sequence[Axis], failed: Mapping[tuple[Value, ...], str]) -> None:
    """Raise a UserError where every combination with a value of an axis failed: that value is the mistake."""
    of_value = Counter(pair for values in failed for pair in enumerate(values))
    combinations = prod(len(axis.values) for axis in axes)
    for values, reason in failed.items():
        never = [
            (axis, value)
            for number, (axis, value) in enumerate(zip(axes, values, strict=True))
            if of_value[number, value] == combinations // len(axis.values)
        ]
        if never:
            alone = (axis for axis, value in never if not _builds(base, axis.setting(value)))
            raise UserError(f"axis {next(alone, never[0][0]).name}: {reason}")


def _builds(base: Base, settings: Tree) -> bool:
    try:
        build(base.preset, row=merge(base.settings, settings))
    except UserError:
        return False
    return True


def config_key(config: RunConfig) -> tuple[str, DataConfig]:
    """What two configs share that are the same cell on the same documents."""
    # Which documents is the profile's matter: what is compared here needs none on the disk.
    return signature(config.model_copy(update={"data": DataConfig()})), config.data
