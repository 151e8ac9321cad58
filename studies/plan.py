"""Plan: study and profile -> the runs, without repeats, every config validated before anything starts.

Also whether rows differ from the row they are compared with in more than their study declares.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from pydantic import BaseModel

from core.config.model_source import encoder_width
from core.config.presets import build, leaves, merge
from core.config.schema import RunConfig, TrackingConfig
from core.config.signature import active_settings, deciding_fields, normalise_slot_width, signature
from core.data.datasets import resolve_paths
from core.errors import UserError
from studies.record import RowRuns, StudyRecord, StudyRun, study_label
from studies.rows import Row
from studies.study import Study

MAX_LISTED = 6
"""Settings that a sentence lists."""


@dataclass(frozen=True)
class PlannedRun(StudyRun):
    """One run of a plan, with its config."""

    config: RunConfig


@dataclass(frozen=True)
class Plan:
    """The runs of a study under a profile, seed by seed, so that partial results are comparable early."""

    record: StudyRecord
    """The study, the profile, the settings of every row, and which runs each row has."""
    runs: tuple[PlannedRun, ...]
    configs: dict[str, RunConfig]
    """Row -> its config, whatever the seed."""

    @property
    def study(self) -> Study:
        """The study, as it is under the profile."""
        return self.record.study


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
    or is invalid, and for documents that are not there.
    """
    settings = dict(settings or {})
    if "seed" in settings:
        raise UserError(f"--seed {settings['seed']}: all rows of a study share its seeds: give --seeds")
    seeds = study.seeds if seeds is None else seeds
    resolve = cache(resolve_paths)
    row_runs: list[RowRuns] = []
    configs: dict[str, RunConfig] = {}
    first: dict[str, str] = {}
    left_out: dict[str, str] = {}
    baselines = {study.baseline, *(name for row in study.rows for name in study.row_baselines(row))}
    check_row_files(study)
    for name, row in study.rows.items():
        if row.predictions:
            continue
        config = row_config(name, row, profile=profile, settings=settings)
        check_position(name, row, study, config)
        data = resolve(config.data)
        if data.train is None:
            raise UserError(
                f"profile {profile} names no documents: give --data.train FILE (and --data.test FILE), or --data.name "
                "NAME"
            )
        tracking = _tracking(config, name, study, job_type="baseline" if name in baselines else "variant")
        config = normalise_slot_width(config.model_copy(update={"data": data, "tracking": tracking}))
        row_signature = signature(config)
        same = first.setdefault(row_signature, name)
        if same != name and study.is_from_axes(name) and name not in baselines:
            left_out[name] = f"the same runs as {same} under profile {profile}"
            continue
        configs[name] = config
        row_runs.append(RowRuns(name, row_signature, {seed: f"{row_signature}-s{seed}" for seed in seeds}))
    if settings.get("memory") and all(config.memory is None for config in configs.values()):
        flag = next(iter(leaves({"memory": settings["memory"]}))).replace("_", "-")
        raise UserError(f"--{flag} reaches no row: none has a memory (presets memory-*): leave it out")
    rows = {
        name: _with_encoder_width(row, study, configs[name]) if name in configs else row
        for name, row in study.rows.items()
        if name not in left_out
    }
    study = msgspec.structs.replace(study, rows=rows, left_out=study.left_out | left_out)
    record = StudyRecord(study, profile, settings, row_runs)
    planned = (
        PlannedRun(run.row, run.seed, run.run_id, run.folder, configs[run.row].model_copy(update={"seed": run.seed}))
        for run in record.runs_in(runs)
    )
    return Plan(record, tuple(planned), configs)


def check_row_files(study: Study) -> None:
    """Raise a UserError for a file of an external row that is not there."""
    for name, files in study.external.items():
        for path in (*files.values(), Path(study.rows[name].gold)):
            if not os.path.isfile(path):
                raise UserError(f"row {name}: {path} is not there: correct `predictions` and `gold`")


def _tracking(config: RunConfig, name: str, study: Study, *, job_type: str) -> TrackingConfig:
    """The tracking of a row: its place in the study; study, row and values on axes as tags.

    Tags and a job type that flags give stay.
    """
    tracking = config.tracking
    tags = dict.fromkeys(tag for tag in (tracking.tags, *study.row_tags(name)) if tag)
    if tracking.job_type != TrackingConfig.model_fields["job_type"].default:
        job_type = tracking.job_type
    label = study_label(study.name, config.profile)
    return tracking.model_copy(update={"study": label, "row": name, "tags": ",".join(tags), "job_type": job_type})


def row_config(name: str, row: Row, *, profile: str, settings: Mapping[str, Any]) -> RunConfig:
    """The config of a row with flags on top; a mistake names the row."""
    for setting in ("seed", "preset", "profile"):
        if setting in row.settings:
            raise UserError(
                f"row {name}: leave {setting} ({row.settings[setting]!r}) out of its settings: a row has its own "
                "`preset`, all share the seeds of the study (`seeds`, or --seeds) and --profile"
            )
    flags = {key: value for key, value in settings.items() if key != "memory"}
    try:
        config = build(row.preset, profile=profile, row=row.settings)
        if config.memory is not None and "memory" in settings:
            flags["memory"] = settings["memory"]
        return build(row.preset, profile=profile, row=merge(row.settings, flags)) if flags else config
    except UserError as error:
        raise UserError(f"row {name}: {error}") from None


def check_position(name: str, row: Row, study: Study, config: RunConfig) -> None:
    """Raise a UserError for a row whose `at` has a value of an axis where its config has another."""
    for axis_name, value in row.at.items():
        axis = study.axis(axis_name)
        at = f"row {name}: `at` has {axis_name}={axis.label(value)}"
        if axis.path.startswith("memory.") and config.memory is None:
            raise UserError(f"{at}, but the row has no memory: correct `at`")
        actual = axis.value_in(config)
        if actual != value:
            raise UserError(
                f"{at}, but {axis.path} is {axis.label(actual)}: correct `at`, or leave {axis.path} out of the row's "
                "settings and the flags"
            )


def _with_encoder_width(row: Row, study: Study, config: RunConfig) -> Row:
    """The row with the encoder's width, where that is known, as its value on an axis of slot widths."""
    width = encoder_width(config.encoder)
    at = {name: width if value is None and study.axis(name).is_width else value for name, value in row.at.items()}
    return msgspec.structs.replace(row, at=at)


Difference = dict[str, tuple[Any, Any]]
"""Path of a setting -> its values in two configs."""


def differences(one: BaseModel, other: BaseModel, before: str = "") -> Difference:
    """Every setting but the seed in which two configs (or sections, named by `before`) differ in what counts."""
    different: Difference = {}
    for name in deciding_fields(type(one)):
        path, mine, its = before + name, getattr(one, name), getattr(other, name)
        if isinstance(mine, BaseModel) and isinstance(its, BaseModel):
            different |= differences(mine, its, f"{path}.")
        elif mine != its and path != "seed":
            different[path] = mine, its
    return different


def undeclared(plan: Plan) -> dict[tuple[str, str], Difference]:
    """(row, its baseline) -> the settings in which they differ though the study does not declare it.

    A study declares it by `varies`. Without that, its axes, the presets that rows start from, and a row's own settings
    declare it; the settings of its baseline alone do not, nor do those of the axes' base. A setting that another one
    switches off can change no number, and is no difference.
    """
    pairs: dict[tuple[str, str], Difference] = {}
    named = [(row, other) for row in plan.configs for other in plan.study.row_baselines(row)]
    # An external row has no settings to differ in.
    for name, baseline in [pair for pair in named if pair[1] in plan.configs]:
        config, other = plan.configs[name], plan.configs[baseline]
        declared = declared_settings(plan.study, name, baseline)
        rest = {
            path: values
            for path, values in differences(other, config).items()
            if not any(path == setting or path.startswith(f"{setting}.") for setting in declared)
            and changes_a_number(other, config, path)
        }
        if rest:
            pairs[name, baseline] = rest
    return pairs


def declared_settings(study: Study, name: str, baseline: str) -> tuple[str, ...]:
    """The settings and sections in which a study declares that a row may differ from a baseline."""
    if study.varies:
        return study.varies
    row = study.rows[name]
    own = () if study.is_from_axes(name) else leaves(row.settings)
    axes = (axis.path for axis in study.declared_axes)
    return (*axes, *differences(build(study.rows[baseline].preset), build(row.preset)), *own)


def changes_a_number(one: RunConfig, other: RunConfig, path: str) -> bool:
    """Whether taking a setting over from the other config makes either config another run."""
    pairs = ((one, other), (other, one))
    return any(signature(_with_value_from(there, here, path)) != signature(here) for here, there in pairs)


def _with_value_from(source: Any, config: Any, path: str) -> Any:
    """The config with the source's value at a path, not validated: only its signature is compared."""
    step, _, rest = path.partition(".")
    value = getattr(source, step)
    return config.model_copy(update={step: _with_value_from(value, getattr(config, step), rest) if rest else value})


def undeclared_lines(plan: Plan) -> list[str]:
    """A line for every row that differs from its baseline in more than the study declares."""
    return [
        f"row {name} differs from {baseline} in more than the study declares: "
        + "; ".join(f"{path} {there!r}, not {here!r}" for path, (here, there) in rest.items())
        + ": make them equal, or name these settings in `varies`"
        for (name, baseline), rest in undeclared(plan).items()
    ]


def refuse_undeclared(plan: Plan) -> None:
    """Raise a UserError where rows differ in more than the study declares: they would answer another question."""
    lines = undeclared_lines(plan)
    if lines:
        raise UserError("\n".join(lines))


def joint_differences(study: Study, configs: Mapping[str, RunConfig]) -> list[str]:
    """A sentence per row that differs from its baseline in several settings at once, which `varies` does not declare.

    `configs` are those of the rows. Where one has no memory, all of memory is one setting; what axes make is declared.
    """
    sentences = []
    for name in () if study.varies else configs:
        for baseline in study.row_baselines(name):
            if baseline not in configs or study.is_from_axes(name):
                continue
            mine, its = active_settings(configs[name]), active_settings(configs[baseline])
            # A setting that only one of them uses follows from another that differs.
            paths = [path for path in mine if path in its and mine[path] != its[path]]
            if ("memory" in mine) != ("memory" in its):
                paths.insert(0, "memory")
            if len(paths) > 1:
                listed = ", ".join(paths[:MAX_LISTED]) + " and others" * (len(paths) > MAX_LISTED)
                sentences.append(
                    f"{name} differs from {baseline} in {len(paths)} settings: {listed}; which of them makes a "
                    "difference cannot be told."
                )
    return sentences
