"""Upload of a study to W&B (`engram study sync`): offline files, each once, through W&B's own command."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

import requests

from core.config.presets import from_yaml
from core.config.schema import TrackingConfig
from core.errors import UserError
from core.files import is_locked
from core.progress import progress_bar
from core.records.record import CONFIG
from core.records.wandb_run import SYNCED, UPLOAD_INCOMPLETE, address, logged_in, wandb_mode
from studies.record import StudyRecord, find_study_record, study_folder
from sweeps.dashboards.study_runs import WANDB, write_study_runs
from sweeps.dashboards.workspace import sync_views

LOG = "upload.log"
"""The output of W&B's command, in the study's folder for W&B."""
PARALLEL_UPLOADS = 4
ANSWER_SECONDS, SILENT_SECONDS, POLL_SECONDS = 10.0, 90.0, 0.3
"""How long W&B may take to answer, how long an upload may print and finish nothing, and how often it is checked."""


def check_reachable() -> None:
    """Raise a UserError where nobody is logged in or W&B does not answer: its client would try again for days."""
    if not logged_in():
        raise UserError(
            "there is no W&B key: run `wandb login`, or set WANDB_API_KEY (and no WANDB_MODE); nothing was uploaded"
        )
    try:
        requests.get(address(), timeout=ANSWER_SECONDS)
    except requests.RequestException as error:
        raise UserError(
            f"W&B at {address()} does not answer ({type(error).__name__}): try again later, or set WANDB_BASE_URL; "
            "nothing was uploaded"
        ) from None


def pending_files(record: StudyRecord, runs: Path) -> list[Path]:
    """The files of a study that are still to be uploaded, those of one run in the order in which they were begun.

    A run that is being computed is left out, as its file is not complete. Of runs that were logged online, those whose
    upload was given up are here; what W&B has of them already is sent again.
    """
    folders = [run.folder for run in record.runs_in(runs) if not is_locked(run.folder)]
    return [
        path
        for folder in (*folders, study_folder(runs, record.label))
        for path in sorted((folder / WANDB).glob("*run-*/run-*.wandb"))
        if not has_mark(path, SYNCED) and (path.parent.name.startswith("offline-") or has_mark(path, UPLOAD_INCOMPLETE))
    ]


def has_mark(path: Path, ending: str) -> bool:
    """Whether the file that marks a W&B file lies next to it."""
    return path.with_name(path.name + ending).exists()


def upload(files: Sequence[Path], *, logs: Path) -> str:
    """Upload files with `wandb sync`, until it ends or hangs; why W&B did not take all of them, else empty.

    It uploads the fragments of one run one after another, by the time at which they were begun. `logs` is the folder in
    which it leaves its own.
    """
    program = [sys.executable, "-m", "wandb", "sync", "--yes", "--include-online", "-n", str(PARALLEL_UPLOADS)]
    environment = os.environ | {"WANDB_DIR": str(logs.parent)}
    output, before, moved = logs / LOG, (0, 0), time.monotonic()
    with progress_bar("uploading to W&B", len(files)) as progress, output.open("w") as log:
        process = subprocess.Popen([*program, *map(str, files)], stdout=log, stderr=log, env=environment)
        try:
            while process.poll() is None and time.monotonic() - moved <= SILENT_SECONDS:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(POLL_SECONDS)
                now = sum(has_mark(path, SYNCED) for path in files), output.stat().st_size
                if now != before:
                    progress.advance(now[0] - before[0])
                    before, moved = now, time.monotonic()
            if process.poll() is None:
                log.write(f"error: W&B took nothing for {SILENT_SECONDS:.0f} s\n")
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    missing = [path for path in files if not has_mark(path, SYNCED)]
    if not missing:
        return ""
    errors = [line.strip() for line in output.read_text(errors="replace").splitlines() if "error" in line.lower()]
    reason = errors[-1] if errors else "`wandb sync` gave no reason"
    return f"W&B did not take {len(missing)} of {len(files)} files, {missing[0]} for one ({reason}); see {output}"


def sync(
    study: str,
    *,
    profile: str | None = None,
    runs: Path = Path("runs"),
    wandb: Literal["auto", "online", "offline", "disabled"] = "online",
) -> int:
    """Upload to W&B what a study wrote offline: its runs, the mean and spread of every row, its table and its report.

    With engram[workspaces] W&B also gets a workspace of the study's curves, and a report with the answer and the tables
    that `engram report` wrote; later calls update the same two. What was uploaded before is not uploaded again; after a
    Ctrl-C the same command resumes. Exit code 1 if some failed.

    Args:
        study: a study that was run, or <study>@<profile>.
        profile: the profile that it ran under, where there are several.
        runs: the folder of run folders.
        wandb: online uploads, auto where you are logged in; offline updates means and table and lists what is to be
            uploaded, disabled only lists.
    """
    record = find_study_record(study, runs, profile=profile)
    online = wandb == "online" or (wandb == "auto" and logged_in())
    if online:
        check_reachable()
    tracking = read_tracking(record, runs)
    if "disabled" not in (wandb, tracking.wandb):
        write_study_runs(record, runs, tracking)
    files = pending_files(record, runs)
    if not files:
        print(f"{record.label}: there is nothing to upload")
    elif not online:
        print("\n".join(str(path.parent) for path in files))
        print(f"{record.label}: {len(files)} files to upload with `engram study sync`")
    elif problem := upload(files, logs=study_folder(runs, record.label) / WANDB):
        print(f"engram: {problem}", file=sys.stderr)
        return 1
    else:
        print(f"{record.label}: {len(files)} files uploaded")
    if "disabled" in (wandb, tracking.wandb):
        return 0
    return 0 if sync_views(record, runs, tracking, online=online) else 1


def read_tracking(record: StudyRecord, runs: Path) -> TrackingConfig:
    """The tracking settings of the first run that was started; the default where none was."""
    configs = (run.folder / CONFIG for run in record.runs_in(runs))
    return next((from_yaml(path).tracking for path in configs if path.is_file()), TrackingConfig())


def mirror_study(record: StudyRecord, runs: Path, tracking: TrackingConfig, *, stopped: bool) -> None:
    """Bring a study whose runs have just ended to W&B; trouble with W&B is a warning line.

    A user who stopped the study does not wait for an upload: it comes with the next `study run`, or `study sync`.
    """
    if tracking.wandb == "disabled":
        return
    problem = ""
    try:
        write_study_runs(record, runs, tracking)
        if not stopped and wandb_mode(tracking) == "online" and (files := pending_files(record, runs)):
            check_reachable()
            problem = upload(files, logs=study_folder(runs, record.label) / WANDB)
    except (UserError, OSError) as error:
        problem = str(error).splitlines()[0]
    if problem:
        print(f"engram: warning: {problem}; `engram study sync {record.label}` tries again", file=sys.stderr)
