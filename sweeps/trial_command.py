"""Command `engram study trial`: one trial of a W&B sweep, which is a row of a study with all its seeds.

W&B's server chooses what is tried, its agent starts this command. The runs are ordinary ones, with the ids and folders
of `engram study plan`; the sweep's own run is told their mean, std and n, so that W&B optimises a mean over seeds and
never a seed. What is finished is told at once, from the records. In a search the row is one config of it.
"""

import argparse
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from core.config.presets import Tree, leaves, merge
from core.errors import UserError, did_you_mean
from core.files import make_folder
from core.progress import say
from core.records.record import SCORED
from core.records.wandb_run import Identity, WandbRun
from studies.arguments import StudyParser
from studies.axes import Axis, Value
from studies.checks import check_ready
from studies.estimate import default_jobs
from studies.plan import Plan, plan
from studies.record import add_earlier_seeds, study_folder, write_study_record
from studies.rows import Row
from studies.search.ranges import value_from_label
from studies.search.space import SearchSpace
from studies.search.spec import check_search
from studies.statistics import Summary
from studies.study import Study
from sweeps.commands import compute
from sweeps.dashboards.study_runs import AGGREGATE, summarize_seeds
from sweeps.engines.options import add_engine_options, build_engine
from sweeps.launch import ATTEMPTS, exit_code
from sweeps.run_states import RunStates
from sweeps.search_command import JOB_TYPE

SWEEP_VARIABLES = ("WANDB_SWEEP_ID", "WANDB_RUN_ID", "WANDB_SWEEP_PARAM_PATH")
"""What W&B's agent tells the process that it starts."""
DESCRIPTION = """Compute one trial of a W&B sweep: a row of a study with all its seeds, or one config of a search.

W&B's agent starts it; it tells the sweep mean, standard deviation and number of the seeds' validation F1. Its runs are
those of `engram study plan`: what is finished is not computed again. Stopped early, the runs save, and resume with the
next trial of that row, or `engram study run`. By hand it does the same and tells nobody.
"""
EPILOG = """Settings of every run come last.

  {prog} paper --row memory-grc
  {prog} warmup --memory.warmup=0.4 --profile quick
  {prog} search --memory.warmup=0.4 --memory.read_mode=normal

Axes of a search that are not given stand as in its base.
"""


def trial(arguments: Sequence[str], *, compute_run: Callable[[Path], str]) -> int:
    """Compute the runs of a trial and tell its sweep; 0 all finished, 1 some failed, 130 stopped.

    `compute_run` computes a run folder in this process, for `--engine in-process`.
    """
    # W&B's client reads these once in a process, and gives every run that is opened after that the sweep's own id.
    variables = {name: os.environ.pop(name, "") for name in SWEEP_VARIABLES}
    parser = StudyParser("engram study trial", DESCRIPTION, epilog=EPILOG)
    parser.add_argument("--row", metavar="ROW", help="a row of the study, instead of a value of each of its axes")
    add_engine_options(parser)
    options, study, settings = parser.parse_study(arguments)
    planned, values = plan_trial(study, options, settings)
    engine = build_engine(options, default_jobs=lambda: default_jobs(planned, options.devices), compute_run=compute_run)
    for line in check_ready(planned, options.runs, jobs=engine.slots).warnings:
        say(f"engram: warning: {line}")
    folder = study_folder(options.runs, planned.record.label)
    make_folder(folder, "give a folder that is yours (--runs DIR)")
    if study.search is None:
        # The record of the whole study: status, report and sync know what its agents compute.
        write_study_record(options.runs, add_earlier_seeds(planned.record, folder))
    name, runs = planned.runs[0].row, {run.seed: run.run_id for run in planned.runs}
    sweep_run = None
    if variables["WANDB_SWEEP_ID"]:
        identity = Identity(
            folder=folder,
            run_id=variables["WANDB_RUN_ID"],
            name=f"{name}: {len(runs)} seed{'s' * (len(runs) > 1)}",
            group=f"{planned.record.label} · sweep",
            job_type=AGGREGATE,
            tags=(study.name, options.profile),
            config=values | {"study": planned.record.label, "row": name, "seeds": list(runs), "runs": [*runs.values()]},
            sweep_id=variables["WANDB_SWEEP_ID"],
        )
        sweep_run = WandbRun(identity, planned.runs[0].config.tracking, mode="online")
    is_whole, summary = False, {}
    try:
        run_states = RunStates(planned.study, planned.runs, planned.record.shared)
        stopped = compute(run_states, planned, engine, attempts=ATTEMPTS)
        is_whole = all(state.status in SCORED for state in run_states)
        if is_whole:
            summary = summarize_seeds(state.summary for state in run_states)
            key = f"validation/{study.metric}/f1"
            score = Summary(summary[key], summary.get(f"{key}_std", math.nan), len(runs))
            print(f"{planned.record.label} {name}: {key} {score} (n {len(runs)})")
    finally:
        if sweep_run is not None:
            if is_whole:
                # Once, at the end: of a history W&B's search may take the best value, which would be that of few seeds.
                sweep_run.log(summary, step=len(runs))
            sweep_run.close(summary, good=is_whole)
    return exit_code(run_states, stopped=stopped)


def plan_trial(study: Study, options: argparse.Namespace, settings: Tree) -> tuple[Plan, dict[str, Value]]:
    """The plan of a trial alone, and its values on the axes by their paths."""
    axes = {} if options.row else {axis.path: axis for axis in study.declared_axes}
    given = {axes[path]: value for path, value in leaves(settings).items() if path in axes}
    values = {axis: read_value(axis, value) for axis, value in given.items()}
    rest: Tree = {}
    for path, value in leaves(settings).items():
        if path not in axes:
            rest = merge(rest, Axis(path, path=path).setting(value))
    where: dict[str, Any] = {"profile": options.profile, "runs": options.runs}
    if study.search is not None:
        check_search(study.search, seeds=options.seeds or study.seeds)
        alone = plan_point(study, {axis.name: axis.label(value) for axis, value in values.items()})
        job = merge({"tracking": {"job_type": JOB_TYPE}}, rest)
        planned = plan(alone, seeds=study.search.shared_seeds, settings=job, **where)
    else:
        whole = plan(study, seeds=options.seeds, settings=rest, **where)
        row = find_row(
            whole, options.row or "+".join(f"{axis.name}={axis.label(value)}" for axis, value in values.items())
        )
        planned = replace(whole, runs=tuple(run for run in whole.runs if run.row == row))
    return planned, {axis.path: value for axis, value in values.items()}


def plan_point(study: Study, labels: Mapping[str, str]) -> Study:
    """The study of one config of a search, as its only row; an axis without a label stands as in the base."""
    assert study.base is not None
    space = SearchSpace(study.base, study.declared_axes)
    base = space.base_point()

    def choose(axis: Axis, possible: Sequence[str]) -> str:
        if axis.name not in labels and (base is None or axis.name not in base.params):
            raise UserError(f"the base has no value of axis {axis.name}: give --{axis.path}=VALUE")
        return labels.get(axis.name) or (base.params[axis.name] if base is not None else "")

    point = space.point(choose)
    name = "+".join(f"{axis}={label}" for axis, label in point.params.items())
    row = Row(study.base.preset, point.settings, at=point.at)
    return msgspec.structs.replace(study, rows={name: row}, baseline=name)


def find_row(planned: Plan, name: str) -> str:
    """The row of a name, or the earlier one that has the same runs; a UserError where no run computes it."""
    if name in planned.configs:
        return planned.record.shared.get(name, name)
    reason = planned.study.left_out.get(name)
    if reason is not None:
        raise UserError(f"row {name} is left out ({reason}): give another")
    axes = "".join(f" --{axis.path}=VALUE" for axis in planned.study.declared_axes)
    raise UserError(
        f"{name!r} is no row that is computed: the rows are {', '.join(planned.configs)}; give --row ROW"
        + (f", or a value of every axis ({axes.strip()})" if axes else "")
        + f".{did_you_mean(name, planned.configs)}"
    )


def read_value(axis: Axis, text: str | None) -> Value:
    """The value of an axis that a flag gives: by its label, or as W&B's agent writes it (None, True, 1e-05)."""
    if axis.is_range:
        return value_from_label(axis, str(text))
    for value in axis.values:
        if str(text) == axis.label(value) or str(text).lower() == str(value).lower():
            return value
        try:
            if type(value) in (int, float) and float(str(text)) == value:
                return value
        except ValueError:
            continue
    return value_from_label(axis, str(text))
