"""Study and profile -> the runs, without repeats, every config validated before anything starts.

Whether rows differ from what they are compared with in more than their study says.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from pydantic import BaseModel

from core.config.model_source import encoder_width
from core.config.presets import Tree, build, leaves, merge
from core.config.schema import DataConfig, RunConfig, TrackingConfig
from core.config.signature import deciding_fields, normalise_slot_width, signature
from core.data.datasets import resolve_paths
from core.errors import UserError
from studies.record import RowRuns, StudyRecord, StudyRun, study_label
from studies.study import Row, Study

SAID_BY = {
    "seed": "all rows share the seeds of the study (`seeds`, or --seeds)",
    "preset": "`preset` of the row says it",
    "profile": "--profile says it for all rows",
}
NO_DATA = "profile {profile} names no documents: give --data.train FILE (and --data.test FILE), or --data.name NAME"


@dataclass(frozen=True)
class PlannedRun(StudyRun):
    """One run of a plan, with its config."""

    config: RunConfig


@dataclass(frozen=True)
class Plan:
    """The runs of a study under a profile, seed by seed, so that partial results are comparable early."""

    study: Study
    profile: str
    settings: Tree
    runs: tuple[PlannedRun, ...]
    shared: dict[str, str]
    """Row -> the earlier row that is the same cell; its runs are computed once."""
    configs: dict[str, RunConfig]
    """Row -> its config, whatever the seed."""

    @property
    def label(self) -> str:
        """The name of its study folder."""
        return study_label(self.study.name, self.profile)

    def record(self) -> StudyRecord:
        """What the study folder says of this plan."""
        cells: dict[str, dict[int, str]] = {}
        for run in self.runs:
            cells.setdefault(run.row, {})[run.seed] = run.run_id
        for row, same in self.shared.items():
            cells[row] = cells[same]
        return StudyRecord(
            study=self.study,
            profile=self.profile,
            settings=self.settings,
            row_runs=[
                RowRuns(row, next(iter(cells[row].values())).rpartition("-")[0], cells[row]) for row in self.study.rows
            ],
        )


def plan(
    study: Study,
    *,
    profile: str,
    runs: Path,
    seeds: Sequence[int] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Plan:
    """The runs of a study under a profile, `settings` (flags) on top of every row.

    Settings under `memory` reach only the rows that have a memory. Raises a UserError for a setting that does not exist
    or cannot be, and for documents that are not there.
    """
    settings = dict(settings or {})
    if "seed" in settings:
        raise UserError(f"--seed {settings['seed']}: all rows of a study share its seeds: give --seeds")
    chosen = tuple(study.seeds if seeds is None else seeds)
    resolved: dict[DataConfig, DataConfig] = {}
    planned: dict[str, str] = {}
    configs: dict[str, RunConfig] = {}
    first: dict[str, str] = {}
    shared: dict[str, str] = {}
    left_out: dict[str, str] = {}
    baselines = {study.row_baseline(row) for row in study.rows}
    for name, row in study.rows.items():
        config = row_config(name, row, profile=profile, settings=settings)
        check_position(name, row, study, config)
        data = resolved.get(config.data)
        if data is None:
            data = resolved.setdefault(config.data, resolve_paths(config.data))
        if data.train is None:
            raise UserError(NO_DATA.format(profile=profile))
        tracking = tagged(config, name, study, kind="baseline" if name in baselines else "variant")
        config = normalise_slot_width(config.model_copy(update={"data": data, "tracking": tracking}))
        cell = signature(config)
        same = first.setdefault(cell, name)
        if same != name and study.is_from_axes(name) and name not in baselines:
            left_out[name] = f"the same cell as {same} under profile {profile}"
            continue
        configs[name] = config
        if same != name:
            shared[name] = same
        else:
            planned[name] = cell
    if settings.get("memory") and all(config.memory is None for config in configs.values()):
        raise UserError(
            f"{flag_of(settings, 'memory')} reaches no row: none has a memory (presets memory-*): leave it out"
        )
    ordered = tuple(
        PlannedRun(
            row=name,
            seed=seed,
            run_id=f"{cell}-s{seed}",
            folder=runs / cell / f"s{seed}",
            config=configs[name].model_copy(update={"seed": seed}),
        )
        for seed in chosen
        for name, cell in planned.items()
    )
    rows = {name: placed(study.rows[name], study, config) for name, config in configs.items()}
    study = msgspec.structs.replace(study, rows=rows, left_out=study.left_out | left_out)
    return Plan(study=study, profile=profile, settings=settings, runs=ordered, shared=shared, configs=configs)


def flag_of(settings: Mapping[str, Any], section: str) -> str:
    """The first of the flags that set something in a section, as it was given."""
    return f"--{next(iter(leaves({section: settings[section]})))}".replace("_", "-")


def tagged(config: RunConfig, name: str, study: Study, *, kind: str) -> TrackingConfig:
    """The tracking of a row: its place in the study, its kind as job type; study, row and places on axes as tags.

    A job type that a flag gives stays.
    """
    tags = dict.fromkeys(tag for tag in (config.tracking.tags, *study.row_tags(name)) if tag)
    free = config.tracking.job_type == TrackingConfig.model_fields["job_type"].default
    return config.tracking.model_copy(
        update={
            "study": study_label(study.name, config.profile),
            "row": name,
            "tags": ",".join(tags),
            "job_type": kind if free else config.tracking.job_type,
        }
    )


def row_config(name: str, row: Row, *, profile: str, settings: Mapping[str, Any]) -> RunConfig:
    """The config of a row with flags on top; a mistake names the row."""
    for label in ("seed", "preset", "profile"):
        if label in row.settings:
            raise UserError(
                f"row {name}: leave {label} ({row.settings[label]!r}) out of its settings: {SAID_BY[label]}"
            )
    tree = {key: value for key, value in settings.items() if key != "memory"}
    try:
        config = build(row.preset, profile=profile, row=row.settings)
        if config.memory is not None and "memory" in settings:
            tree["memory"] = settings["memory"]
        return build(row.preset, profile=profile, row=merge(row.settings, tree)) if tree else config
    except UserError as error:
        raise UserError(f"row {name}: {error}") from None


def check_position(name: str, row: Row, study: Study, config: RunConfig) -> None:
    """Raise a UserError for a row that says it stands at a value of an axis where its config has another."""
    for told, value in row.at.items():
        axis = study.axis(told)
        if axis.path.startswith("memory.") and config.memory is None:
            raise UserError(f"row {name}: it says {told}={axis.label(value)}, but it has no memory: correct `at`")
        found = axis.value_in(config)
        if found != value:
            raise UserError(
                f"row {name}: it says {told}={axis.label(value)}, but {axis.path} is {axis.label(found)}: correct "
                f"`at`, or leave {axis.path} out of its settings and the flags"
            )


def placed(row: Row, study: Study, config: RunConfig) -> Row:
    """The row with the encoder's width, where that is known, as the value of an axis of slot widths."""
    width = encoder_width(config.encoder)
    at = {name: width if value is None and study.axis(name).is_width else value for name, value in row.at.items()}
    return msgspec.structs.replace(row, at=at) if at != row.at else row


def differences(one: RunConfig, other: RunConfig) -> dict[str, tuple[Any, Any]]:
    """Every setting, by its path, in which two configs differ and that can change a number."""
    found: dict[str, tuple[Any, Any]] = {}

    def compare(here: BaseModel, there: BaseModel, before: str) -> None:
        for name in deciding_fields(type(here)):
            mine, theirs = getattr(here, name), getattr(there, name)
            if mine == theirs:
                continue
            if isinstance(mine, BaseModel) and isinstance(theirs, BaseModel):
                compare(mine, theirs, f"{before}{name}.")
            else:
                found[before + name] = (told(mine), told(theirs))

    compare(one, other, "")
    found.pop("seed", None)
    return dict(sorted(found.items()))


def told(value: Any) -> Any:
    """A setting, or a whole section, as plain data."""
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else value


Difference = dict[str, tuple[Any, Any]]


def undeclared(plan: Plan) -> dict[str, Difference]:
    """Row -> the settings, by path, in which it differs from its baseline though the study does not say so.

    A study says so by `varies`. Without that, its axes, the presets that rows start from, and a row's own settings say
    so; the settings of its baseline alone do not, nor do those of a product's base. A setting that another one switches
    off can change no number, and is no difference.
    """
    found: dict[str, Difference] = {}
    for name in plan.study.rows:
        baseline = plan.configs[plan.study.row_baseline(name)]
        config = plan.configs[name]
        if config is baseline:
            continue
        said = declared_settings(plan, name)
        rest = {
            path: values
            for path, values in differences(baseline, config).items()
            if not any(path == one or path.startswith(f"{one}.") for one in said)
            and changes_a_number(baseline, config, path)
        }
        if rest:
            found[name] = rest
    return found


def declared_settings(plan: Plan, name: str) -> tuple[str, ...]:
    """The settings and sections in which a study says that a row may differ from its baseline."""
    study = plan.study
    if study.varies:
        return study.varies
    row, baseline = study.rows[name], study.rows[study.row_baseline(name)]
    said = [axis.path for axis in study.declared_axes]
    said += _between_presets(baseline.preset, row.preset)
    if not study.is_from_axes(name):
        said += leaves(row.settings)
    return tuple(said)


@cache
def _between_presets(one: str, other: str) -> tuple[str, ...]:
    return tuple(differences(build(one), build(other)))


def changes_a_number(one: RunConfig, other: RunConfig, path: str) -> bool:
    """Whether taking a setting over from the other config makes either config another run."""
    return any(
        signature(with_value(here, path, value_at(there, path))) != signature(here)
        for here, there in ((one, other), (other, one))
    )


def value_at(config: Any, path: str) -> Any:
    """The value of the setting or section at a path."""
    for step in path.split("."):
        config = getattr(config, step)
    return config


def with_value(config: Any, path: str, value: Any) -> Any:
    """The config with another value at a path, not validated: it is only held against others."""
    step, _, rest = path.partition(".")
    return config.model_copy(update={step: with_value(getattr(config, step), rest, value) if rest else value})


def undeclared_lines(plan: Plan) -> list[str]:
    """A line for every row that differs from its baseline in more than the study says."""
    return [
        f"row {name} differs from {plan.study.row_baseline(name)} in more than the study says: "
        + "; ".join(f"{path} {there!r}, not {here!r}" for path, (here, there) in rest.items())
        + ": make them equal, or name these settings in `varies`"
        for name, rest in undeclared(plan).items()
    ]


def refuse_undeclared(plan: Plan) -> None:
    """Raise a UserError where rows differ in more than the study says: they would answer another question."""
    lines = undeclared_lines(plan)
    if lines:
        raise UserError("\n".join(lines))
