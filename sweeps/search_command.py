"""Command `engram study search`: try configs seed by seed, then run the best one and its baselines."""

import argparse
import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import msgspec

from core.config.presets import Tree, leaves, merge
from core.config.signature import drop_neutral_sections
from core.data.datasets import DATA_FILES
from core.errors import UserError
from core.progress import say, stop_on_signals
from studies.arguments import StudyParser, positive_int
from studies.estimate import default_jobs
from studies.plan import Plan, PlannedRun, differences, plan
from studies.record import RECORD as STUDY_RECORD
from studies.record import read_study_record, study_folder, write_study_record
from studies.rows import Row
from studies.search.proposals import importances
from studies.search.space import Point, SearchSpace
from studies.search.spec import Search, check_search
from studies.search.storage import JOURNAL, TrialStore, without_password
from studies.search.trials import AxisLabels, SearchRecord, SearchTrial, read_search_record, write_search_record
from studies.study import BASE, BEST
from sweeps.commands import run_plan, study_lock
from sweeps.display import live_display
from sweeps.engines.engine import Engine
from sweeps.engines.options import add_engine_options, build_engine
from sweeps.launch import Launcher
from sweeps.run_states import RunStates
from sweeps.search_display import SearchScreen, summarize_search
from sweeps.search_loop import SearchLoop

JOB_TYPE = "trial"
"""What W&B calls the runs of trials."""
DESCRIPTION = """Find the best config over the axes of a study that has a `search` section.

A trial is one config. Optuna's TPE proposes it; its value is the mean validation F1 over the search's own seeds, which
it gets rung by rung as long as it keeps up with the best one. No test score is read. At the end the best config and
the study's rows run on the study's seeds, which no trial used, and `engram report` makes their table.

Ctrl-C once: start nothing more, and let the running ones save; twice: stop now. The same command resumes the search.
"""
EPILOG = """Settings of every run come last (`engram train --help-all` lists them).

  {prog} search --trials 8
  {prog} mine.yaml --profile minilm --jobs 2 --data.train FILE
  optuna-dashboard runs/studies/search@quick/optuna.journal

A search of your own is a YAML file of axes on a base; its seeds must differ from the study's, and an axis may be a
range (log: by orders of magnitude; or step: 0.1):

  question: Which warm-up and width?
  baseline: base
  base: {{preset: memory-grc}}
  axes:
    - warmup
    - slot-width
    - {{name: lr, path: training.lr, low: 1e-5, high: 1e-3, log: true}}
  search: {{trials: 20, rungs: [1, 2, 3], seeds: [100, 101, 102]}}
"""


def search(arguments: Sequence[str], *, compute_run: Callable[[Path], str]) -> int:
    """Search, then run the rows; 0 all done, 1 some failed or the storage was lost, 130 stopped.

    `compute_run` computes a run folder in this process, for `--engine in-process`.
    """
    parser = StudyParser("engram study search", DESCRIPTION, epilog=EPILOG)
    parser.add_argument(
        "--trials",
        type=positive_int,
        metavar="N",
        help="how many configs to try in all, earlier ones included (default: the study's)",
    )
    add_engine_options(parser)
    parser.add_argument(
        "--storage",
        help="where Optuna keeps the trials: sqlite:///FILE, postgresql+psycopg://USER@HOST/NAME, or a journal file "
        f"(default: {JOURNAL} in the study's folder)",
    )
    parser.add_argument("--no-report-runs", action="store_true", help="end with the search: run no row of the table")
    parser.add_argument(
        "--retry", choices=["failed"], help="compute failed runs of the rows again; a failed trial stays failed"
    )
    options, planned = parser.parse_plan(arguments)
    # These words are printed again, and so end up in logs.
    if options.storage:
        arguments = [word.replace(options.storage, without_password(options.storage)) for word in arguments]
    study = planned.study
    if study.search is None:
        raise UserError(
            f"study {study.name} has rows, nothing to search: compute it with `engram study run {study.name}`, or "
            "give a study with a `search` section"
        )
    for axis in study.declared_axes:
        if axis.path in leaves(planned.record.settings):
            raise UserError(f"{axis.path} is an axis of search {study.name}: leave its flag out, or the axis")
    asked = msgspec.structs.replace(study.search, trials=options.trials or study.search.trials)
    check_search(asked, seeds=options.seeds or study.seeds)
    engine = build_engine(options, default_jobs=lambda: default_jobs(planned, options.devices), compute_run=compute_run)
    slots = engine.at_once
    if slots is None:
        raise UserError("a search learns from every trial: say how many runs are computed at once (--slurm.at-once 8)")
    with study_lock(planned, options, jobs=slots, on_this_machine=engine.on_this_machine), closing(engine):
        if read_study_record(study_folder(options.runs, planned.record.label) / STUDY_RECORD) is None:
            write_study_record(options.runs, planned.record)
        record, code = run_search(planned, options, asked, arguments, engine, slots=slots)
        print("\n".join(summarize_search(record)))
        if code or record.best_trial is None or options.no_report_runs:
            return code
        best = plan_with_best(planned, record, record.best_trial, options)
        return run_plan(best, options, arguments, engine, verb="search")


def run_search(
    planned: Plan, options: argparse.Namespace, asked: Search, arguments: Sequence[str], engine: Engine, *, slots: int
) -> tuple[SearchRecord, int]:
    """Bring the search to its end, or as far as it comes; its record and the exit code."""
    folder = study_folder(options.runs, planned.record.label)
    storage = options.storage or str(folder / JOURNAL)
    before, shown_storage = read_search_record(folder), without_password(storage)
    if before is not None and without_password(before.storage) != shown_storage:
        raise UserError(
            f"the trials of {before.label} are kept in {before.storage}, not in {shown_storage}: give that --storage, "
            "or keep this search apart (--name NAME)"
        )
    loop = build_loop(planned, options.runs, asked, storage=storage, slots=slots, retry_failed=bool(options.retry))
    screen = SearchScreen(loop, slots=slots)

    def on_trial(trial: SearchTrial) -> None:
        screen.show_trial(trial)
        write_search_record(folder, loop.record)

    loop.on_trial = on_trial
    say(f"{planned.record.label}: up to {asked.trials} trials over {len(loop.space.axes)} axes, runs at once: {slots}")
    try:
        with stop_on_signals() as stop, live_display(screen, plain=engine.in_process):
            Launcher(loop.run_states, engine, planned, on_change=screen.show_run, feed=loop.feed).run(stop)
    finally:
        loop.store.close()
    record = loop.record
    if record.trials:
        record = msgspec.structs.replace(record, importance=importances(loop.space, record.trials))
        write_search_record(folder, record)
    command = f"engram study search {shlex.join(arguments)}"
    if stop.asked:
        say(f"engram: stopped; resume with the same command: {command}")
        return record, 130
    problem = loop.gave_up_because
    if loop.lost is not None:
        problem = f"{loop.lost}; when it answers, resume with the same command: {command}"
    if problem:
        say(f"engram: {problem}")
    return record, int(problem is not None)


def build_loop(
    planned: Plan, runs: Path, asked: Search, *, storage: str, slots: int, retry_failed: bool = False
) -> SearchLoop:
    """The loop of a search whose trials are in a storage; a UserError where the storage has another search."""
    study, record = planned.study, planned.record
    assert study.base is not None
    preset, space = study.base.preset, SearchSpace(study.base, study.declared_axes)
    identity = {
        "profile": record.profile,
        "settings": drop_neutral_sections(record.settings),
        "metric": study.metric,
        "base": msgspec.to_builtins(study.base),
        "axes": {axis.path: list(axis.value_labels) for axis in study.declared_axes},
        **{name: value for name, value in msgspec.to_builtins(asked).items() if name != "trials"},
    }
    base = space.base_point()
    header = SearchRecord(
        label=record.label,
        question=study.question,
        metric=study.metric,
        search=asked,
        profile=record.profile,
        settings=record.settings,
        axes=[AxisLabels(axis.name, axis.title, list(axis.value_labels)) for axis in study.declared_axes],
        own=base.params if base is not None else {},
        storage=without_password(storage),
    )
    # Files are looked up once, not for every proposal.
    data, varied = planned.configs[BASE].data, {axis.path for axis in study.declared_axes}
    files: Tree = {file: getattr(data, file) for file in ("name", *DATA_FILES) if f"data.{file}" not in varied}
    settings = merge(merge({"tracking": {"job_type": JOB_TYPE}}, record.settings), {"data": files})

    def plan_trial(number: int, point: Point) -> Mapping[int, PlannedRun]:
        """The runs of a trial: a row of its own on every seed of the search."""
        name = f"trial {number}"
        rows = {name: Row(preset, point.settings, at=point.at)}
        alone = msgspec.structs.replace(study, rows=rows, baseline=name)
        trial = plan(alone, profile=record.profile, runs=runs, seeds=asked.shared_seeds, settings=settings)
        return {run.seed: run for run in trial.runs}

    store = TrialStore(storage, name=record.label, axes=space.axes, identity=identity)
    run_states = RunStates(study, (), {}, retry_failed=retry_failed)
    return SearchLoop(header, space, store, run_states, slots=slots, plan_trial=plan_trial)


def plan_with_best(planned: Plan, record: SearchRecord, best: SearchTrial, options: argparse.Namespace) -> Plan:
    """The plan of the table: the study's rows and the best config, on the study's seeds."""
    study, profile = planned.study, planned.record.profile
    assert study.base is not None
    point = SearchSpace(study.base, study.declared_axes).point_from_params(best.params)
    tried = len(record.trials)
    row = Row(study.base.preset, point.settings, title=f"best of {tried} trials", tried=tried)

    def plan_rows(row: Row) -> Plan:
        rows = msgspec.structs.replace(study, rows={**study.rows, BEST: row})
        return plan(rows, profile=profile, runs=options.runs, seeds=options.seeds, settings=planned.record.settings)

    configs = plan_rows(row).configs
    # Of the rows that others are compared with, the one that differs least: the same relation head, say.
    named = [study.baseline, *(row for name in study.rows for row in study.row_baselines(name))]
    candidates = dict.fromkeys(name for name in named if name in configs)
    nearest = min(candidates, key=lambda name: len(differences(configs[name], configs[BEST])))
    return plan_rows(msgspec.structs.replace(row, baseline=nearest))
