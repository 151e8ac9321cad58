"""`engram study run | status`: bring a study to its records, and how far it is."""

import argparse
import shlex
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

import tyro
from rich.console import Console

from core.errors import UserError
from core.lock import hold
from core.record import SCORED
from core.replacing import make_folder
from core.stopping import stop_on_signals
from core.tracking import mode_of
from studies.arguments import parse, parser, positive
from studies.estimate import jobs_for
from studies.plan import Plan
from studies.readiness import made_ready
from studies.search_record import read_search_record
from studies.study_record import find_study_record, joined, study_folder, write_study_record
from sweeps.board import BAD, Board
from sweeps.devices import devices_of
from sweeps.launch import Launch, exit_code
from sweeps.local import LocalEngine
from sweeps.mirror import mirrored
from sweeps.screen import grid, screen

STOPPED = 130
DESCRIPTION = """Compute what is missing of a study: finished runs are kept, cut-off ones go on where they were.

Ctrl-C once: start nothing more, let the running ones save; twice: stop now. The same command goes on.
"""


def run(arguments: Sequence[str]) -> int:
    """Plan the study, write its record, compute its runs; 0 all finished, 1 some failed, 130 stopped."""
    wanted = parser("engram study run", DESCRIPTION)
    wanted.add_argument("--jobs", type=positive, help="runs at once (default: what the processors or devices allow)")
    wanted.add_argument("--devices", type=devices_of, default=(), help="cpu, or cuda:0,cuda:1: a run each, in turn")
    wanted.add_argument("--retry", choices=["failed"], help="also compute again what failed before")
    wanted.add_argument(
        "--rerun",
        action="store_true",
        help="also compute again the finished runs of other code, each when its turn comes; the old ones are kept in "
        "runs/<signature>/earlier",
    )
    given, planned = parse(wanted, arguments)
    if planned.study.search is not None:
        raise UserError(f"study {planned.study.name} is a search: `engram study search {given.study}` runs it")
    jobs = given.jobs or jobs_for(planned, given.devices)
    ready = made_ready(planned, given.runs, jobs=jobs, rerun=given.rerun)
    for line in ready.warnings:
        print(f"engram: warning: {line}", file=sys.stderr)
    tracking = planned.runs[0].config.tracking
    if tracking.wandb != "disabled":
        # Every run would refuse for want of a key; say it before anything starts.
        mode_of(tracking)
    folder = study_folder(given.runs, planned.label)
    make_folder(folder, "give a folder that is yours (--runs DIR)")
    with hold(folder):
        return carry_out(planned, given, arguments, again=ready.again)


def carry_out(
    planned: Plan,
    given: argparse.Namespace,
    arguments: Sequence[str],
    *,
    again: Collection[str] = (),
    verb: str = "run",
) -> int:
    """Write the record of a plan, compute its runs, and tell W&B of the study."""
    record = joined(planned.record(), study_folder(given.runs, planned.label))
    write_study_record(given.runs, record)
    code = compute(planned, given, arguments, again=again, verb=verb)
    # Whoever stopped it wants to be gone; the next run of the study, or its sync, tells W&B.
    problem = mirrored(record, given.runs, planned.runs[0].config.tracking) if code != STOPPED else ""
    if problem:
        print(f"engram: warning: {problem}", file=sys.stderr)
    return code


def status(study: tyro.conf.Positional[str], *, profile: str | None = None, runs: Path = Path("runs")) -> int:
    """Print how far a study is: every row and seed, mean ± std so far, and what is wrong; 1 where some run failed.

    Args:
        study: the name of a study that was run, or <study>@<profile>.
        profile: the profile that it ran under, where there are several.
        runs: where run folders lie.
    """
    record = find_study_record(study, runs, profile=profile)
    board = Board(record.study, record.runs_in(runs), record.shared)
    Console().print(grid(board))
    print(", ".join(f"{count} {status}" for status, count in sorted(board.counts().items())))
    searched = read_search_record(study_folder(runs, record.label))
    if searched is not None:
        best = f", best trial {searched.best}: {searched.best_trial.told()}" if searched.best_trial else ""
        print(f"search: {len(searched.trials)} of {searched.search.trials} trials begun{best}")
    for state in board.of(*BAD):
        last = (state.error or "").strip().splitlines()[-1:]
        print(f"{state.run.row} seed {state.run.seed} {state.status}: {' '.join(last)}")
    return 1 if board.of(*BAD) else 0


def compute(
    planned: Plan, given: argparse.Namespace, arguments: Sequence[str], *, again: Collection[str], verb: str
) -> int:
    """Compute the runs of a plan, `again` those that are finished by other code, and say how it ended."""
    board = Board(planned.study, planned.runs, planned.shared, retry_failed=given.retry == "failed")
    board.recompute(again)
    jobs = given.jobs or jobs_for(planned, given.devices)
    done = len(board.of(*SCORED))
    total = len(board.states)
    with stop_on_signals() as stop, screen(board, slots=jobs) as shown:
        shown.note(f"{planned.label}: {total} runs, {done} finished already, {jobs} at once")
        for state in board.of(*BAD):
            shown.tell(state)
        engine = LocalEngine(jobs=jobs, devices=given.devices)
        try:
            Launch(board, engine, planned, tell=shown.tell).run(stop)
        finally:
            engine.close()
    counts = ", ".join(f"{count} {status}" for status, count in sorted(board.counts().items()))
    print(f"{planned.label}: {counts}")
    again = f"engram study {verb} {shlex.join(arguments)}"
    retry = "" if given.retry else " --retry failed"
    if stop.asked:
        print(f"engram: stopped; the same command goes on: {again}", file=sys.stderr)
    elif board.of("failed"):
        print(f"engram: some runs failed; try them again with: {again}{retry}", file=sys.stderr)
    return exit_code(board, stopped=stop.asked)
