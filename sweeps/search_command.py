"""`engram study search`: try configs seed by seed, keep every trial, then run the best one and its baselines."""

import argparse
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from core.config.presets import Tree, leaves, merge
from core.config.signature import drop_neutral_sections
from core.data.datasets import PARTS
from core.errors import UserError
from core.progress import stop_on_signals
from studies.arguments import StudyParser, positive_int
from studies.estimate import default_jobs
from studies.plan import Plan, PlannedRun, differences, plan
from studies.record import RECORD as STUDY_RECORD
from studies.record import read_study_record, study_folder, write_study_record
from studies.search.proposals import importances
from studies.search.space import Point, SearchSpace
from studies.search.spec import Search, check_search
from studies.search.trials import (
    JOURNAL,
    AxisLabels,
    SearchRecord,
    SearchTrial,
    TrialStore,
    read_search_record,
    without_password,
    write_search_record,
)
from studies.study import BASE, BEST, Row, Study
from sweeps.commands import add_job_options, run_plan, study_lock
from sweeps.engines.local import LocalEngine
from sweeps.launch import Launcher
from sweeps.run_states import RunStates
from sweeps.search import SearchLoop
from sweeps.search_display import search_screen, summary_of

JOB_TYPE = "trial"
"""What W&B calls the runs of trials."""
DESCRIPTION = """Find the best config over the axes of a study that has a `search` section.

A trial is one config. Optuna's TPE proposes it; its value is the mean validation F1 over the search's own seeds, which
it gets rung by rung as long as it keeps up with the best one. Test is never looked at. At the end the best config and
the study's rows run on the study's seeds, which no trial used, and `engram report` makes their table.

Ctrl-C once: start nothing more, let the running runs save; twice: stop now. The same command resumes the search.
"""
EPILOG = """Settings of every run go behind: --training.epochs 3 --data.train train.json (`engram train --help` lists
them).

  {prog} search --profile quick --trials 8      all axes, the generated corpus
  {prog} mine.yaml --profile minilm --jobs 2 --data.train train.json --data.test test.json
  optuna-dashboard runs/studies/search@quick/optuna.journal

A search of your own is a YAML file of axes on a base; its seeds are none of the study's:

  question: Which warm-up and width?
  baseline: base
  base: {{preset: memory-grc}}
  axes: [warmup, slot-width, {{name: lr, path: training.lr, values: [1e-4, 5e-5]}}]
  search: {{trials: 20, rungs: [1, 2, 3, 5], seeds: [100, 101, 102, 103, 104]}}
"""


def search(arguments: Sequence[str]) -> int:
    """Search, then run the rows; 0 all done, 1 some failed or the storage was lost, 130 stopped."""
    parser = StudyParser("engram study search", DESCRIPTION, epilog=EPILOG)
    parser.add_argument(
        "--trials", type=positive_int, help="configs tried in all, earlier ones counted (default: its own)"
    )
    add_job_options(parser)
    parser.add_argument(
        "--storage",
        help="where Optuna keeps the trials: sqlite:///FILE, postgresql+psycopg://USER@HOST/NAME, or a journal file "
        f"(default: {JOURNAL} in the study's folder)",
    )
    parser.add_argument("--no-report-runs", action="store_true", help="end with the search: run no row of the table")
    parser.add_argument(
        "--retry", choices=["failed"], help="compute failed runs of the rows again; a failed trial stays so"
    )
    given, planned = parser.parse_plan(arguments)
    # Words that are printed again, and so end up in logs.
    arguments = [without_password(word) for word in arguments]
    asked = read_search_flags(planned.study, given, planned.settings)
    jobs = given.jobs or default_jobs(planned, given.devices)
    with study_lock(planned, given, jobs=jobs):
        if read_study_record(study_folder(given.runs, planned.label) / STUDY_RECORD) is None:
            write_study_record(given.runs, planned.record())
        record, code = searched(planned, given, asked, arguments)
        print("\n".join(summary_of(record)))
        if code or record.best_trial is None or given.no_report_runs:
            return code
        engine = LocalEngine(jobs=jobs, devices=given.devices)
        return run_plan(plan_with_best(planned, record, given), given, arguments, engine, verb="search")


def read_search_flags(study: Study, given: argparse.Namespace, settings: Tree) -> Search:
    """The search that a study and the flags ask for, checked against the rows' seeds and the settings of every run."""
    if study.search is None:
        raise UserError(
            f"study {study.name} has rows, nothing to search: compute it with `engram study run {study.name}`, or "
            "give a study with a `search` section"
        )
    for axis in study.declared_axes:
        if axis.path in leaves(settings):
            raise UserError(f"{axis.path} is an axis of search {study.name}: leave its flag out, or the axis")
    asked = msgspec.structs.replace(study.search, trials=given.trials or study.search.trials)
    check_search(asked, seeds=given.seeds or study.seeds, where=study.name)
    return asked


def searched(
    planned: Plan, given: argparse.Namespace, asked: Search, arguments: Sequence[str]
) -> tuple[SearchRecord, int]:
    """Bring the search to its end, or as far as it comes; its record and the exit code."""
    study = planned.study
    assert study.base is not None
    folder = study_folder(given.runs, planned.label)
    space = SearchSpace(study.base, study.declared_axes)
    storage = given.storage or str(folder / JOURNAL)
    refuse_other_storage(read_search_record(folder), storage)
    store = TrialStore(storage, name=planned.label, axes=space.axes, about=about(planned, asked))
    trial_runs = TrialRuns(planned, given.runs, asked)
    run_states = RunStates(study, (), {}, retry_failed=given.retry == "failed")
    jobs = given.jobs or default_jobs(planned, given.devices)
    engine = LocalEngine(jobs=jobs, devices=given.devices)
    loop = SearchLoop(asked, space, store, run_states, slots=jobs, runs=trial_runs)
    blank = SearchRecord(
        label=planned.label,
        question=study.question,
        metric=study.metric,
        search=asked,
        profile=planned.profile,
        settings=planned.settings,
        axes=[AxisLabels(axis.name, axis.title, list(axis.value_labels)) for axis in space.declared],
        own=own.params if (own := space.own()) is not None else {},
        storage=store.shown,
    )

    def record() -> SearchRecord:
        best = loop.best
        return msgspec.structs.replace(
            blank, trials=list(loop.trials), best=best.number if best else None, ended=loop.is_ended
        )

    try:
        with stop_on_signals() as stop, search_screen(loop, slots=jobs) as shown:

            def hear(trial: SearchTrial) -> None:
                shown.hear(trial)
                write_search_record(folder, record())

            launch = Launcher(run_states, engine, planned, tell=shown.tell, feed=loop.feed)
            loop.wire(add=launch.add, hear=hear, reached=shown.reached)
            shown.note(f"{planned.label}: up to {asked.trials} trials of {len(space.axes)} axes, {jobs} runs at once")
            launch.run(stop)
    finally:
        engine.close()
        store.close()
    found = record()
    if found.trials:
        found = msgspec.structs.replace(found, importance=importances(space, found.trials))
        write_search_record(folder, found)
    again = f"engram study search {shlex.join(arguments)}"
    if stop.asked:
        print(f"engram: stopped; resume with the same command: {again}", file=sys.stderr)
        return found, 130
    if loop.lost is not None:
        print(
            f"engram: {loop.lost}; when it answers, resume with the same command: {again}",
            file=sys.stderr,
        )
        return found, 1
    if loop.gave_up_because is not None:
        print(f"engram: {loop.gave_up_because}", file=sys.stderr)
        return found, 1
    return found, 0


class TrialRuns:
    """The runs of a point of the space: a row of its own on every seed of the search."""

    def __init__(self, planned: Plan, runs: Path, asked: Search) -> None:
        self._planned, self._runs, self._seeds = planned, runs, asked.shared_seeds
        # Files are looked up once, not for every proposal.
        data, varied = planned.configs[BASE].data, {axis.path for axis in planned.study.declared_axes}
        files: Tree = {part: getattr(data, part) for part in ("name", *PARTS) if f"data.{part}" not in varied}
        followed: Tree = {"tracking": {"job_type": JOB_TYPE}}
        self._settings = merge(merge(followed, planned.settings), {"data": files})

    def __call__(self, number: int, point: Point) -> Mapping[int, PlannedRun]:
        """Seed -> run."""
        study = self._planned.study
        assert study.base is not None
        name = f"trial {number}"
        row = Row(study.base.preset, point.settings, at=point.at)
        alone = msgspec.structs.replace(study, rows={name: row}, baseline=name)
        made = plan(alone, profile=self._planned.profile, runs=self._runs, seeds=self._seeds, settings=self._settings)
        return {run.seed: run for run in made.runs}


def about(planned: Plan, asked: Search) -> Tree:
    """What must be equal for a search to go on: everything but how many trials."""
    study = planned.study
    assert study.base is not None
    return {
        "profile": planned.profile,
        "settings": drop_neutral_sections(planned.settings),
        "metric": study.metric,
        "base": msgspec.to_builtins(study.base),
        "axes": {axis.path: list(axis.value_labels) for axis in study.declared_axes},
        **{name: value for name, value in msgspec.to_builtins(asked).items() if name != "trials"},
    }


def refuse_other_storage(before: SearchRecord | None, storage: str) -> None:
    """Raise a UserError where the trials of this search were kept elsewhere."""
    shown = without_password(storage)
    if before is not None and before.storage != shown:
        raise UserError(
            f"the trials of {before.label} are kept in {before.storage}, not in {shown}: give that --storage, "
            "or keep this search apart (--name NAME)"
        )


def plan_with_best(planned: Plan, record: SearchRecord, given: argparse.Namespace) -> Plan:
    """The plan of the table: the study's rows and the best config, on the study's seeds."""
    study, trial = planned.study, record.best_trial
    assert study.base is not None
    assert trial is not None
    point = SearchSpace(study.base, study.declared_axes).point_from_params(trial.params)
    row = Row(study.base.preset, point.settings, title=f"best of {len(record.trials)} trials", tried=len(record.trials))

    def planned_with(row: Row) -> Plan:
        rows = msgspec.structs.replace(study, rows={**study.rows, BEST: row})
        return plan(rows, profile=planned.profile, runs=given.runs, seeds=given.seeds, settings=planned.settings)

    found = planned_with(row)
    # Of the rows that others are compared with, the one that differs least: the same relation head, say.
    candidates = dict.fromkeys([study.baseline, *(study.row_baseline(name) for name in study.rows)])
    nearest = min(candidates, key=lambda name: len(differences(found.configs[name], found.configs[BEST])))
    return planned_with(msgspec.structs.replace(row, baseline=nearest))
