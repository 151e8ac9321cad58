"""Command `study evaluate`: adds knock-outs to the finished runs of a study, from their checkpoints."""

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from core.errors import UserError
from core.progress import stop_on_signals
from core.records.summary import read_summary
from studies.record import StudyRun, find_study_record

PROGRAM = (sys.executable, "-m", "core.run.knock_out")
WAIT_SECONDS = 0.2
LACKING = "without knock-outs"


def evaluate(
    study: str,
    *,
    knock_out: bool = False,
    profile: str | None = None,
    runs: Path = Path("runs"),
    device: str | None = None,
    threads: int | None = None,
) -> int:
    """Add to finished runs, without retraining, what earlier versions did not measure; exit code 1 if a run failed.

    Runs that have it are skipped, so that the same command resumes what was stopped.

    Args:
        study: a study that was run, or <study>@<profile>.
        knock_out: test scores of the same weights with reading taken away, for the runs that read memory.
        profile: the profile that it ran under, where there are several.
        runs: the folder of run folders.
        device: auto, cpu, cuda or cuda:N (default: each run's own).
        threads: processor threads.
    """
    if not knock_out:
        raise UserError(
            f"nothing to add to study {study}: give --knock-out, which scores its runs on test without their reading"
        )
    record = find_study_record(study, runs, profile=profile)
    study_runs = record.runs_in(runs)
    lacking = [run for run in study_runs if describe_knock_outs(run) == LACKING]
    code = compute_knock_outs(lacking, device=device, threads=threads) if lacking else 0
    after = [describe_knock_outs(run) for run in study_runs]
    print(f"{record.label}: {', '.join(f'{after.count(state)} {state}' for state in dict.fromkeys(after))}")
    if code == 130:
        raise KeyboardInterrupt
    return 1 if LACKING in after else 0


def describe_knock_outs(run: StudyRun) -> str:
    """Whether a run has knock-outs, lacks them, or cannot have any."""
    summary = read_summary(run.folder)
    if summary.status != "finished":
        return "not finished"
    if not (summary.config.ever_reads and summary.chosen_reading):
        return "without a read memory"
    return "with knock-outs" if summary.memory_use and summary.memory_use.knock_outs else LACKING


def compute_knock_outs(runs: Sequence[StudyRun], *, device: str | None, threads: int | None) -> int:
    """Compute the knock-outs of runs in a process that loads torch; its exit code."""
    options = [f"--{name}={value}" for name, value in (("device", device), ("threads", threads)) if value is not None]
    with stop_on_signals() as stop:
        process = subprocess.Popen([*PROGRAM, *options, *(str(run.folder) for run in runs)])
        while process.poll() is None:
            time.sleep(WAIT_SECONDS)
            if stop.asked:
                # A scheduler's signal reaches this process alone; the other one stops after the documents at hand.
                process.terminate()
    return 130 if stop.asked else process.returncode
