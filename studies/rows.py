"""Rows of a study, and how axes become rows: every combination of their values on a base that is valid and new."""

from collections.abc import Sequence
from itertools import product
from pathlib import Path

import msgspec

from core.config.presets import Tree, build, merge
from core.config.schema import DataConfig, RunConfig
from core.config.signature import signature
from core.errors import UserError
from studies.axes import AXES, Axis, Value, find_axis


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row of a study's table: a preset and the settings that make the row; or what another program predicted."""

    preset: str = ""
    """What its runs start from; empty for a row of prediction files, an external one."""
    settings: Tree = {}
    title: str = ""
    """What the table calls it; empty: its name."""
    group: str = ""
    """The part of the table that it stands in; the best of a group is set in bold."""
    baseline: str | tuple[str, ...] = ""
    """The row that it is compared with, or several; empty: the study's baseline."""
    at: dict[str, Value] = {}
    """Axis -> the value that the row stands at, for curves along an axis."""
    tried: int = 1
    """Configs of which this one was chosen, on other seeds than the row's."""
    predictions: tuple[str, ...] = ()
    """Prediction files, ours or JEREX's, of a row that no run computes: in the order of the study's seeds."""
    gold: str = ""
    """The documents that the prediction files are scored on."""


class Base(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the rows that axes make have in common."""

    preset: str
    settings: Tree = {}


def resolve_files(row: Row, folder: Path) -> Row:
    """A row with the files of an external one by their whole paths; relative ones lie in the study's folder."""
    if not row.predictions:
        return row
    predictions = tuple(str(folder / Path(file).expanduser()) for file in row.predictions)
    gold = str(folder / Path(row.gold).expanduser()) if row.gold else ""
    return msgspec.structs.replace(row, predictions=predictions, gold=gold)


def check_source(name: str, row: Row, seeds: int) -> None:
    """Raise a UserError for a row that is neither a preset nor prediction files with their gold, a file a seed."""
    given = [field for field in ("preset", "settings", "at") if getattr(row, field)]
    if not row.predictions:
        if not row.preset or row.gold:
            raise UserError(
                f"row {name}: give `preset` for a row that is computed, or `predictions` and `gold` for one that is "
                "scored from files"
            )
    elif given or not row.gold:
        wrong = f"has `predictions`, so leave `{given[0]}` out" if given else "needs `gold`, the annotated documents"
        raise UserError(f"row {name} {wrong}: it is scored from files, and no run computes it")
    elif len(row.predictions) > seeds:
        raise UserError(
            f"row {name} has {len(row.predictions)} prediction files, one a seed, but the study has {seeds} "
            f"seed{'s' * (seeds > 1)}: leave files out, or name more `seeds`"
        )


def resolve_axes(chosen: Sequence[str | Axis]) -> tuple[Axis, ...]:
    """The axes that a study names, in full: declared ones, maybe with some of their values, and those of its own."""
    axes = tuple(find_axis(axis) if isinstance(axis, str) else complete_axis(axis) for axis in chosen)
    for field in ("name", "path"):
        values = [getattr(axis, field) for axis in axes]
        repeated = [value for value in values if values.count(value) > 1]
        if repeated:
            raise UserError(f"two axes have the {field} {repeated[0]}: give it once")
    return axes


def complete_axis(axis: Axis) -> Axis:
    """An axis of a study with what it leaves out: of the declared axis, or of any where it has a path of its own."""
    own = Axis(axis.name, title=axis.name, path=axis.path, sentence="An axis of this study's own.")
    known = own if axis.path else find_axis(axis.name)
    values = axis.values or (() if axis.is_range else known.values)
    return Axis(
        axis.name,
        title=axis.title or known.title,
        path=known.path,
        values=values,
        sentence=axis.sentence or known.sentence,
        # Values without labels label themselves: a plan of thousands of values asks for its axes at every row.
        labels=axis.labels or (tuple(known.label(value) for value in values) if known.labels else ()),
        low=axis.low,
        high=axis.high,
        log=axis.log,
        step=axis.step,
    )


def rows_from_axes(base: Base, axes: Sequence[Axis]) -> tuple[dict[str, Row], dict[str, str]]:
    """The rows of all combinations by name, and the combinations that are left out with the reason.

    Raises a UserError for a base that is invalid, and for a value of an axis that is valid in no combination (a path
    that is misspelt, a number past its limit): these are mistakes, a single combination that is invalid is none.
    """
    build(base.preset, row=base.settings)
    for axis in axes:
        if axis.is_range:
            raise UserError(
                f"axis {axis.name} is a range ({axis.value_labels[0]}), and every row needs a value: give `values`, or "
                "a `search` section"
            )
        axis.check(base.preset)
    rows: dict[str, Row] = {}
    left_out: dict[str, str] = {}
    first: dict[tuple[str, DataConfig], str] = {}
    valid: set[tuple[str, str]] = set()
    for values in product(*(axis.values for axis in axes)):
        row = _combine(base, axes, values)
        labels = [(axis.name, axis.label(value)) for axis, value in zip(axes, values, strict=True)]
        name = "+".join(f"{axis}={label}" for axis, label in labels)
        try:
            config = build(base.preset, row=row.settings)
        except UserError as error:
            left_out[name] = f"invalid: {error}"
            continue
        valid.update(labels)
        same = first.setdefault(config_key(config), name)
        if same == name:
            rows[name] = row
        else:
            left_out[name] = f"the same runs as {same}"
    refuse_invalid(base, [(axis, v) for axis in axes for v in axis.values if (axis.name, axis.label(v)) not in valid])
    return rows, left_out


def _combine(base: Base, axes: Sequence[Axis], values: Sequence[Value]) -> Row:
    settings, labels = base.settings, []
    for axis, value in zip(axes, values, strict=True):
        settings = merge(settings, axis.setting(value))
        labels.append(axis.label(value))
    first = f"{axes[0].title} {labels[0]}"
    return Row(
        preset=base.preset,
        settings=settings,
        title=", ".join(labels[1:]) or first,
        group=first if len(axes) > 1 else "",
        at={axis.name: value for axis, value in zip(axes, values, strict=True)},
    )


def refuse_invalid(base: Base, values: Sequence[tuple[Axis, Value]]) -> None:
    """Raise a UserError for the first of some values of axes that are valid in no combination.

    A value that the axis of this name is declared with is no misspelling: under this base it is only left out.
    """
    declared = {(axis.name, axis.path, value) for axis in AXES for value in axis.values}
    mistakes = [(axis, value) for axis, value in values if (axis.name, axis.path, value) not in declared]
    # Those that are invalid by themselves first: they also spoil the values of other axes.
    for axis, value in mistakes:
        try:
            build(base.preset, row=merge(base.settings, axis.setting(value)))
        except UserError as error:
            raise UserError(f"axis {axis.name}: {error}") from None
    if mistakes:
        axis, value = mistakes[0]
        raise UserError(
            f"axis {axis.name}: {axis.label(value)} is valid with no values of the other axes: leave it out"
        )


def config_key(config: RunConfig) -> tuple[str, DataConfig]:
    """Equal for two configs that are the same runs on the same documents."""
    # Which documents is the profile's matter: what is compared here needs none on the disk.
    return signature(config.model_copy(update={"data": DataConfig()})), config.data
