"""Command `study evaluate`: adds knock-outs to the finished runs of a study, from their checkpoints."""

from collections.abc import Callable
from pathlib import Path

from core.errors import UserError
from core.records.summary import read_summary
from studies.record import StudyRun, find_study_record

LACKING = "without knock-outs"


def evaluate(
    study: str,
    *,
    knock_out: bool = False,
    profile: str | None = None,
    runs: Path = Path("runs"),
    device: str | None = None,
    threads: int | None = None,
    add_all_knock_outs: Callable[..., None],
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
    # `add_all_knock_outs` loads torch, which this package does not.
    if not knock_out:
        raise UserError(
            f"nothing to add to study {study}: give --knock-out, which scores its runs on test without their reading"
        )
    record = find_study_record(study, runs, profile=profile)
    study_runs = record.runs_in(runs)
    lacking = [run.folder for run in study_runs if describe_knock_outs(run) == LACKING]
    try:
        if lacking:
            add_all_knock_outs(lacking, device=device, threads=threads)
    finally:
        after = [describe_knock_outs(run) for run in study_runs]
        print(f"{record.label}: {', '.join(f'{after.count(state)} {state}' for state in dict.fromkeys(after))}")
    return 1 if LACKING in after else 0


def describe_knock_outs(run: StudyRun) -> str:
    """Whether a run has knock-outs, lacks them, or cannot have any."""
    summary = read_summary(run.folder)
    if summary.status != "finished":
        return "not finished"
    if not (summary.config.ever_reads and summary.chosen_reading):
        return "without a read memory"
    return "with knock-outs" if summary.memory_use and summary.memory_use.knock_outs else LACKING
