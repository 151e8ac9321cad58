"""`engram study run | status`: bring a study to its records, and how far it is.

What each `study run` cost, as its driver saw it: a line per run of the command, in the study folder.
"""

import argparse
import shlex
import sys
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import tyro
from rich.console import Console

from core.errors import UserError
from core.files import hold, make_folder, sweep
from core.progress import say, stop_on_signals
from core.records.record import SCORED
from core.records.tracking import wandb_mode
from studies.arguments import StudyParser, positive_int
from studies.checks import check_ready
from studies.estimate import default_jobs
from studies.plan import Plan
from studies.record import add_earlier_seeds, find_study_record, study_folder, write_study_record
from studies.search.trials import read_search_record
from sweeps.dashboards.sync import told
from sweeps.display import grid, screen
from sweeps.engines.engine import Engine
from sweeps.engines.in_process import InProcessEngine
from sweeps.engines.local import LocalEngine, parse_devices
from sweeps.launch import ATTEMPTS, Launcher, exit_code
from sweeps.run_states import BAD, RunStates

LAUNCH_TIMINGS = "driver.jsonl"


class LaunchTiming(msgspec.Struct, frozen=True):
    """One `study run` from its start to its end; one that was killed leaves none.

    `run_seconds` sums, over the runs that ended here, the time from being handed to a worker (for its first run: from
    the worker's start, the loading of torch included) to the end that the driver saw.
    """

    started: str
    """When, in UTC."""
    seconds: float
    """Wall time of the command: planning, runs, closing."""
    jobs: int
    ended: int
    """How many runs ended in it, however they ended."""
    run_seconds: float

    @property
    def overhead(self) -> float | None:
        """The share of the wall time beyond `run_seconds / jobs`: the driver's own, and what idle workers waited."""
        return 1.0 - self.run_seconds / self.jobs / self.seconds if self.ended else None

    def told(self) -> str:
        """The account in a line."""
        told = f"{self.seconds:.1f} s, {self.ended} runs of together {self.run_seconds:.1f} s, {self.jobs} at once"
        return told + (f": {100 * self.overhead:.1f} % overhead of the driver" if self.overhead is not None else "")


def append_timing(folder: Path, account: LaunchTiming) -> None:
    """Append an account to those of a study; no result hangs on it, so a full disk is passed over."""
    with suppress(OSError), open(folder / LAUNCH_TIMINGS, "ab") as file:
        file.write(msgspec.json.encode(account) + b"\n")


def read_last_timing(folder: Path) -> LaunchTiming | None:
    """The latest account of a study, None where there is none."""
    try:
        lines = (folder / LAUNCH_TIMINGS).read_bytes().split(b"\n")
    except OSError:
        return None
    for line in reversed(lines):
        # What comes after the last line, or a line that a full disk cut off, is no account.
        with suppress(msgspec.MsgspecError):
            return msgspec.json.decode(line, type=LaunchTiming)
    return None


LOCAL, IN_PROCESS = "local", "in-process"
DESCRIPTION = """Compute what is missing of a study: finished runs are kept, cut-off ones go on where they were.

Ctrl-C once: start nothing more, let the running ones save; twice: stop now. The same command goes on.
"""


def run(arguments: Sequence[str], *, here: Callable[[Path], str] | None = None) -> int:
    """Plan the study, write its record, compute its runs; 0 all finished, 1 some failed, 130 stopped.

    `here` computes a run folder in this process, for `--engine in-process`.
    """
    watch = Stopwatch()
    parser = StudyParser("engram study run", DESCRIPTION)
    parser.add_argument(
        "--jobs", type=positive_int, help="runs at once (default: what the processors or devices allow)"
    )
    parser.add_argument("--devices", type=parse_devices, default=(), help="cpu, or cuda:0,cuda:1: a run each, in turn")
    parser.add_argument(
        "--engine",
        choices=[LOCAL, IN_PROCESS],
        default=LOCAL,
        help="local: worker processes on this machine (default); in-process: one run after another in this very "
        "process, what they say on the screen: to debug",
    )
    parser.add_argument(
        "--attempts",
        type=positive_int,
        default=ATTEMPTS,
        help="how often in a row a run may be killed without getting any further, before it counts as failed "
        f"(default: {ATTEMPTS})",
    )
    parser.add_argument("--retry", choices=["failed"], help="also compute again what failed before")
    parser.add_argument(
        "--rerun",
        action="store_true",
        help="also compute again the finished runs of other code, each when its turn comes; the old ones are kept in "
        "runs/<signature>/earlier",
    )
    given, planned = parser.parse_plan(arguments)
    if planned.study.search is not None:
        raise UserError(f"study {planned.study.name} is a search: `engram study search {given.study}` runs it")
    engine = build_engine(planned, given, here)
    ready = check_ready(planned, given.runs, jobs=engine.slots, rerun=given.rerun)
    for line in ready.warnings:
        print(f"engram: warning: {line}", file=sys.stderr)
    tracking = planned.runs[0].config.tracking
    if tracking.wandb != "disabled":
        # Every run would refuse for want of a key; say it before anything starts.
        wandb_mode(tracking)
    folder = study_folder(given.runs, planned.label)
    make_folder(folder, "give a folder that is yours (--runs DIR)")
    with hold(folder):
        sweep(folder)
        return run_plan(planned, given, arguments, engine, watch=watch, again=ready.again, attempts=given.attempts)


def run_plan(
    planned: Plan,
    given: argparse.Namespace,
    arguments: Sequence[str],
    engine: Engine,
    *,
    watch: "Stopwatch",
    again: Collection[str] = (),
    attempts: int = ATTEMPTS,
    verb: str = "run",
) -> int:
    """Write the record of a plan, compute its runs, `again` those of other code, and tell W&B of the study."""
    record = add_earlier_seeds(planned.record(), study_folder(given.runs, planned.label))
    write_study_record(given.runs, record)
    run_states = RunStates(planned.study, planned.runs, planned.shared, retry_failed=given.retry == "failed")
    run_states.recompute(again)
    stopped = compute(run_states, planned, engine, attempts=attempts)
    print(f"{planned.label}: {', '.join(f'{count} {status}' for status, count in sorted(run_states.counts().items()))}")
    if run_states.ended:
        account = watch.account(run_states, engine.slots)
        say(account.told())
        append_timing(study_folder(given.runs, planned.label), account)
    same = f"engram study {verb} {shlex.join(arguments)}"
    if stopped:
        say(f"engram: stopped; the same command goes on: {same}")
    elif run_states.with_status("failed"):
        say(f"engram: some runs failed; try them again with: {same}{'' if given.retry else ' --retry failed'}")
    told(record, given.runs, planned.runs[0].config.tracking, stopped=stopped)
    return exit_code(run_states, stopped=stopped)


def status(study: tyro.conf.Positional[str], *, profile: str | None = None, runs: Path = Path("runs")) -> int:
    """Print how far a study is: every row and seed, mean ± std so far, and what is wrong; 1 where some run failed.

    Args:
        study: the name of a study that was run, or <study>@<profile>.
        profile: the profile that it ran under, where there are several.
        runs: where run folders lie.
    """
    record = find_study_record(study, runs, profile=profile)
    run_states = RunStates(record.study, record.runs_in(runs), record.shared)
    Console().print(grid(run_states))
    print(", ".join(f"{count} {status}" for status, count in sorted(run_states.counts().items())))
    account = read_last_timing(study_folder(runs, record.label))
    if account is not None:
        print(f"last computed {account.started}: {account.told()}")
    searched = read_search_record(study_folder(runs, record.label))
    if searched is not None:
        best = f", best trial {searched.best}: {searched.best_trial.told()}" if searched.best_trial else ""
        print(f"search: {len(searched.trials)} of {searched.search.trials} trials begun{best}")
    for state in run_states.with_status(*BAD):
        last = (state.error or "").strip().splitlines()[-1:]
        print(f"{state.run.row} seed {state.run.seed} {state.status}: {' '.join(last)}")
    return 1 if run_states.with_status(*BAD) else 0


def compute(run_states: RunStates, planned: Plan, engine: Engine, *, attempts: int) -> bool:
    """Compute what a board says is missing of a plan, and close the engine; whether the user stopped it."""
    done, total = len(run_states.with_status(*SCORED)), len(run_states.by_id)
    plain = isinstance(engine, InProcessEngine)
    with stop_on_signals() as stop, screen(run_states, slots=engine.slots, plain=plain) as shown:
        shown.note(f"{planned.label}: {total} runs, {done} finished already, {engine.slots} at once")
        for state in run_states.with_status(*BAD):
            shown.tell(state)
        try:
            Launcher(run_states, engine, planned, tell=shown.tell, attempts=attempts).run(stop)
        except KeyboardInterrupt:
            return True
        finally:
            engine.close()
    return stop.asked


class Stopwatch:
    """Measures one `study run`, from when it is made."""

    def __init__(self) -> None:
        self._started, self._from = datetime.now(UTC), time.monotonic()

    def account(self, run_states: RunStates, jobs: int) -> LaunchTiming:
        """What it cost so far."""
        return LaunchTiming(
            started=f"{self._started:%Y-%m-%d %H:%M:%S} UTC",
            seconds=time.monotonic() - self._from,
            jobs=jobs,
            ended=run_states.ended,
            run_seconds=run_states.busy_seconds,
        )


def build_engine(planned: Plan, given: argparse.Namespace, here: Callable[[Path], str] | None) -> Engine:
    """The engine that is asked for."""
    if given.engine == LOCAL:
        return LocalEngine(jobs=given.jobs or default_jobs(planned, given.devices), devices=given.devices)
    if (given.jobs or 1) > 1 or given.devices:
        raise UserError(
            "--engine in-process computes one run at a time in this process: leave out --jobs and --devices"
        )
    if here is None:
        raise UserError("--engine in-process is there for `engram study run` alone: use --engine local")
    return InProcessEngine(here)
