"""Commands `study run` and `study status`: compute a study, and show how far it is.

What each `study run` cost, as its driver saw it, is kept in the study folder, a line per command.
"""

import argparse
import shlex
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from core.commands.console import print_json
from core.errors import UserError
from core.files import delete_leftovers, lock_folder, make_folder
from core.progress import say, stop_on_signals
from core.records.record import SCORED
from core.records.wandb_run import wandb_mode
from studies.arguments import StudyParser, positive_int
from studies.checks import check_ready
from studies.commands import describe_external
from studies.estimate import default_jobs
from studies.plan import Plan
from studies.record import StudyRecord, add_earlier_seeds, find_study_record, study_folder, write_study_record
from studies.search.trials import read_search_record
from sweeps.dashboards.sync import mirror_study
from sweeps.display import Screen, describe_states, grid, live_display
from sweeps.engines.engine import DetachedEngine, Engine
from sweeps.engines.options import add_engine_options, build_engine
from sweeps.engines.slurm_queue import describe_queue
from sweeps.launch import ATTEMPTS, Launcher, exit_code
from sweeps.run_states import BAD, WAITING, RunStates, count_statuses

DRIVER_LOG = "driver.log"
DESCRIPTION = """Compute what a study still lacks: finished runs are kept, interrupted and killed ones resume.

Ctrl-C once: start nothing more, and let the running ones save; twice: stop now. The same command resumes the study.
"""


def run(arguments: Sequence[str], *, compute_run: Callable[[Path], str]) -> int:
    """Plan the study, write its record, compute its runs; 0 all finished, 1 some failed, 130 stopped.

    `compute_run` computes a run folder in this process, for `--engine in-process`.
    """
    parser = StudyParser("engram study run", DESCRIPTION)
    add_engine_options(parser)
    parser.add_argument(
        "--attempts",
        type=positive_int,
        metavar="N",
        default=ATTEMPTS,
        help="how often in a row a run may be killed without getting any further before it counts as failed "
        f"(default: {ATTEMPTS})",
    )
    parser.add_argument("--retry", choices=["failed"], help="compute failed runs again too")
    parser.add_argument(
        "--rerun",
        action="store_true",
        help="compute finished runs of other code again too, each when its turn comes; the old ones are kept in "
        "runs/<signature>/earlier",
    )
    parser.add_argument(
        "--detach",
        action="store_true",
        help="submit the runs and leave them to Slurm; `engram study sync` then writes the means of the rows",
    )
    options, planned = parser.parse_plan(arguments)
    if planned.study.search is not None:
        raise UserError(f"study {planned.study.name} is a search: run `engram study search {options.study}`")
    engine = build_engine(
        options,
        default_jobs=lambda: default_jobs(planned, options.devices),
        compute_run=compute_run,
        detach=options.detach,
    )
    here = engine.on_this_machine
    with study_lock(planned, options, jobs=engine.slots, rerun=options.rerun, on_this_machine=here) as again:
        if options.detach and isinstance(engine, DetachedEngine):
            return leave_plan(planned, options, engine, again=again)
        return run_plan(planned, options, arguments, engine, again=again, attempts=options.attempts)


@contextmanager
def study_lock(
    planned: Plan, options: argparse.Namespace, *, jobs: int, rerun: bool = False, on_this_machine: bool = True
) -> Iterator[Collection[str]]:
    """Check that a plan may start, and keep other drivers off its study; yields the ids of runs to compute again."""
    ready = check_ready(planned, options.runs, jobs=jobs, rerun=rerun, on_this_machine=on_this_machine)
    for line in ready.warnings:
        say(f"engram: warning: {line}")
    tracking = planned.runs[0].config.tracking
    if tracking.wandb != "disabled":
        # Every run would refuse for want of a key; say it before anything starts.
        wandb_mode(tracking)
    folder = study_folder(options.runs, planned.record.label)
    make_folder(folder, "give a folder that is yours (--runs DIR)")
    with lock_folder(folder):
        delete_leftovers(folder)
        yield ready.again


def run_plan(
    planned: Plan,
    options: argparse.Namespace,
    arguments: Sequence[str],
    engine: Engine,
    *,
    again: Collection[str] = (),
    attempts: int = ATTEMPTS,
    verb: str = "run",
) -> int:
    """Write the record of a plan, compute its runs, `again` those of other code, and mirror the study in W&B."""
    began = datetime.now(UTC)
    record, run_states = open_plan(planned, options, again)
    stopped = compute(run_states, planned, engine, attempts=attempts)
    print(f"{planned.record.label}: {count_statuses(run_states)}")
    if run_states.ended:
        seconds, run_seconds = (datetime.now(UTC) - began).total_seconds(), run_states.run_seconds
        timing = f"{began:%Y-%m-%d %H:%M:%S} UTC: {run_states.ended} runs in {seconds:.1f} s"
        if engine.at_once is not None:
            # What the driver itself took, and what idle workers waited.
            overhead = 100 * (1.0 - run_seconds / engine.at_once / seconds)
            timing += (
                f", {engine.at_once} at once ({run_seconds:.1f} s in sum; overhead of the driver {overhead:.1f} %)"
            )
        say(timing)
        # No result depends on it, so a full disk is ignored.
        log = study_folder(options.runs, record.label) / DRIVER_LOG
        with suppress(OSError), open(log, "a") as file:
            file.write(timing + "\n")
    command = f"engram study {verb} {shlex.join(arguments)}"
    if stopped:
        say(f"engram: stopped; resume with the same command: {command}")
    elif run_states.with_status("failed"):
        say(f"engram: some runs failed; try them again with: {command}{'' if options.retry else ' --retry failed'}")
    mirror_study(record, options.runs, planned.runs[0].config.tracking, stopped=stopped)
    return exit_code(run_states, stopped=stopped)


def open_plan(planned: Plan, options: argparse.Namespace, again: Collection[str]) -> tuple[StudyRecord, RunStates]:
    """Write the record of a plan; that record, and the states of its runs, those to be computed `again` waiting."""
    record = add_earlier_seeds(planned.record, study_folder(options.runs, planned.record.label))
    write_study_record(options.runs, record)
    run_states = RunStates(planned.study, planned.runs, planned.record.shared, retry_failed=options.retry == "failed")
    run_states.repeat(again)
    return record, run_states


def leave_plan(planned: Plan, options: argparse.Namespace, engine: DetachedEngine, *, again: Collection[str]) -> int:
    """Submit the runs of a plan that are waiting, and leave them to the engine."""
    record, run_states = open_plan(planned, options, again)
    try:
        left = Launcher(run_states, engine, planned).submit()
        engine.detach()
    finally:
        engine.close()
    more = len(run_states.with_status(WAITING))
    print(
        f"{record.label}: {left} runs left to {options.engine}"
        + (f", {more} to submit when there is room: the same command" if more else "")
        + f"; `engram study status {record.label}` shows them, `engram study sync {record.label}` ends the study"
    )
    return 0


def compute(run_states: RunStates, planned: Plan, engine: Engine, *, attempts: int) -> bool:
    """Compute the runs of a plan that are waiting, and close the engine; whether the user stopped it."""
    finished, total = len(run_states.with_status(*SCORED)), len(run_states.by_id)
    screen = Screen(run_states, slots=engine.at_once)
    for line in describe_external(planned.study):
        say(line)
    at_once = engine.at_once or "as many as the scheduler lets"
    say(f"{planned.record.label}: {total} runs, {finished} finished already, {at_once} at once")
    with stop_on_signals() as stop, live_display(screen, plain=engine.in_process):
        for state in run_states.with_status(*BAD):
            screen.show_run(state)
        try:
            Launcher(run_states, engine, planned, on_change=screen.show_run, attempts=attempts).run(stop)
        except KeyboardInterrupt:
            return True
        finally:
            engine.close()
    return stop.asked


def status(study: str, *, profile: str | None = None, runs: Path = Path("runs"), json: bool = False) -> int:
    """Show how far a study is: every row and seed, mean ± std so far, and what is wrong; exit code 1 if a run failed.

    Args:
        study: a study that was run, or <study>@<profile>.
        profile: the profile that it ran under, where there are several.
        runs: the folder of run folders.
        json: one JSON object instead of the grid.
    """
    record = find_study_record(study, runs, profile=profile)
    folder = study_folder(runs, record.label)
    run_states = RunStates(record.study, record.runs_in(runs), record.shared)
    bad, search = run_states.with_status(*BAD), read_search_record(folder)
    if json:
        names = {"study": record.study.name, "profile": record.profile}
        external = {row: [*map(str, files.values())] for row, files in record.study.external.items()}
        queue = describe_queue(runs, [state.run.folder for state in run_states]) or None
        print_json(names | describe_states(run_states) | {"external": external, "search": search, "queue": queue})
        return 1 if bad else 0
    Console().print(grid(run_states))
    print(count_statuses(run_states))
    for line in describe_external(record.study):
        print(line)
    # A full disk may have left an empty file.
    with suppress(OSError, ValueError):
        *_, timing = (folder / DRIVER_LOG).read_text().splitlines()
        print(f"last computed {timing}")
    if queue := describe_queue(runs, [state.run.folder for state in run_states]):
        print(queue)
    if search is not None:
        print(f"search: {search.progress}")
    for state in bad:
        print(f"{state.run.row} seed {state.run.seed} {state.status}: {state.last_error}")
    return 1 if bad else 0
