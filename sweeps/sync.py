"""`engram study sync`: what a study wrote offline for W&B goes up."""

import sys
from pathlib import Path
from typing import Literal

import tyro

from core.config import TrackingConfig
from core.errors import UserError
from core.tracking import mode_of
from studies.study_record import StudyRecord, find_study_record, study_folder
from sweeps.mirror import WANDB, mirrored
from sweeps.tracked import tracking_of
from sweeps.upload import check_reachable, upload, waiting


def sync(
    study: tyro.conf.Positional[str],
    *,
    profile: str | None = None,
    runs: Path = Path("runs"),
    wandb: Literal["auto", "online", "offline", "disabled"] = "online",
) -> int:
    """Upload to W&B what a study wrote offline: its runs, the aggregate of every cell, the study's table and report.

    What was uploaded before is not uploaded again, and after a Ctrl-C the same command goes on. 1 where some failed.

    Args:
        study: a study that was run, or <study>@<profile>.
        profile: the profile it was run under, where it was run under several.
        runs: where run folders lie.
        wandb: online uploads, auto where you are logged in; offline brings aggregates and table up to date and lists
            what waits, disabled only lists.
    """
    record = find_study_record(study, runs, profile=profile)
    online = wandb == "online" or (wandb == "auto" and mode_of(TrackingConfig()) == "online")
    if online:
        check_reachable()
    tracking = tracking_of(record, runs)
    problem = mirrored(record, runs, tracking) if wandb != "disabled" else ""
    if problem:
        print(f"engram: warning: {problem}", file=sys.stderr)
    files = list(waiting(record, runs))
    if not files:
        why = "; it was run with --wandb disabled" if tracking.wandb == "disabled" else ""
        print(f"{record.label}: nothing waits to be uploaded{why}")
        return 1 if problem else 0
    if not online:
        print("\n".join(str(path.parent) for path in files))
        print(f"{record.label}: {len(files)} files wait; `engram study sync` uploads them")
        return 1 if problem else 0
    failed = upload(files, logs=study_folder(runs, record.label) / WANDB)
    print(f"{record.label}: {len(files) - len(failed)} of {len(files)} files uploaded")
    for path, reason in failed.items():
        print(f"engram: {path}: {reason}", file=sys.stderr)
    return 1 if failed or problem else 0


def told(record: StudyRecord, runs: Path, tracking: TrackingConfig, *, stopped: bool) -> None:
    """Tell W&B of a study whose runs have just ended: trouble is a warning line.

    Whoever stopped it wants to be gone: what is written then goes up with the next run of the study, or its sync.
    """
    if tracking.wandb == "disabled":
        return
    problem = mirrored(record, runs, tracking)
    try:
        if not stopped and mode_of(tracking) == "online" and (files := list(waiting(record, runs))):
            check_reachable()
            failed = upload(files, logs=study_folder(runs, record.label) / WANDB)
            if failed:
                problem = f"W&B did not take {len(failed)} of {len(files)} files ({next(iter(failed.values()))})"
    except (UserError, OSError) as error:
        problem = str(error).splitlines()[0]
    if problem:
        print(f"engram: warning: {problem}; `engram study sync {record.label}` tries again", file=sys.stderr)
