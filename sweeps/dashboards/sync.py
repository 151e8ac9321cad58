"""Offline files of W&B -> its server, through W&B's own command: each once, fragments of one run in order.

`engram study sync`: what a study wrote offline for W&B goes up.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

import requests
import tyro

from core.config.schema import TrackingConfig
from core.errors import UserError
from core.files import is_locked
from core.progress import meter
from core.records.tracking import address, logged_in, wandb_mode
from core.records.wandb_run import SYNCED, UPLOAD_INCOMPLETE
from studies.record import StudyRecord, find_study_record, study_folder
from sweeps.dashboards.study_runs import WANDB, mirrored, read_tracking

SAID = "upload.log"
"""What W&B's command said, in the study's folder for W&B."""
AT_ONCE, PARALLEL = 200, 4
"""Files that one `wandb sync` is given, and how many of them it uploads side by side."""
ANSWER_SECONDS, SILENT_SECONDS, LOOK_SECONDS = 10.0, 90.0, 0.3
"""How long W&B may take to answer, how long an upload may say and finish nothing, and how often that is looked at."""


def check_reachable() -> None:
    """Raise a UserError where nobody is logged in or W&B does not answer: its client would try again for days."""
    if os.environ.get("WANDB_MODE", "online") != "online":
        raise UserError(f"WANDB_MODE is {os.environ['WANDB_MODE']}: unset it to upload; nothing was uploaded")
    if not logged_in():
        raise UserError("there is no W&B key: run `wandb login`, or set WANDB_API_KEY; nothing was uploaded")
    try:
        requests.get(address(), timeout=ANSWER_SECONDS)
    except requests.RequestException as error:
        raise UserError(
            f"W&B at {address()} does not answer ({type(error).__name__}): try again later, or set WANDB_BASE_URL; "
            "nothing was uploaded"
        ) from None


def waiting(record: StudyRecord, runs: Path) -> Iterator[Path]:
    """The files of a study that are to be uploaded, those of one run in the order in which they were begun.

    A run that is computed now is left out: its file is not complete. Of runs that were followed online, those whose
    upload had to be given up: what W&B has of them already it is told again.
    """
    folders = [run.folder for run in record.runs_in(runs) if not is_locked(run.folder)]
    for folder in (*folders, study_folder(runs, record.label)):
        for path in sorted((folder / WANDB).glob("*run-*/run-*.wandb")):
            offline = path.parent.name.startswith("offline-")
            if not beside(path, SYNCED).exists() and (offline or beside(path, UPLOAD_INCOMPLETE).exists()):
                yield path


def upload(files: Sequence[Path], *, logs: Path) -> dict[Path, str]:
    """Upload files; those that W&B did not take, and why. `logs` is where W&B's command leaves its own.

    The command uploads fragments of one run one after another, by the time at which they were begun; so they must be in
    one call together.
    """
    failed: dict[Path, str] = {}
    with meter("uploading to W&B", len(files)) as progress:
        for batch in batches(files):
            left = set(batch)
            for done in taken(batch, left, logs=logs):
                progress.advance(done)
            if left:
                reason = last_error(logs / SAID)
                failed |= dict.fromkeys((path for path in batch if path in left), reason)
    return failed


def taken(batch: Sequence[Path], left: set[Path], *, logs: Path) -> Iterator[int]:
    """Upload one batch, and yield how many files were taken since; those leave `left`."""
    program = [sys.executable, "-m", "wandb", "sync", "--yes", "--include-online", "-n", str(PARALLEL)]
    environment = os.environ | {"WANDB_DIR": str(logs.parent)}
    with (logs / SAID).open("w") as said:
        process = subprocess.Popen([*program, *map(str, batch)], stdout=said, stderr=said, env=environment)
        try:
            size, moved = 0, time.monotonic()
            running = True
            while running:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(LOOK_SECONDS)
                    running = False
                now_done = {path for path in left if beside(path, SYNCED).exists()}
                left -= now_done
                yield len(now_done)
                now = (logs / SAID).stat().st_size
                if now_done or now != size:
                    size, moved = now, time.monotonic()
                if running and time.monotonic() - moved > SILENT_SECONDS:
                    said.write(f"error: W&B took nothing for {SILENT_SECONDS:.0f} s\n")
                    running = False
        finally:
            end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """End W&B's command where it has not ended itself."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def last_error(log: Path) -> str:
    """The last line of W&B's command that speaks of an error."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if "error" in line.lower()]
    return lines[-1] if lines else f"`wandb sync` did not upload it; what it said is in {log}"


def batches(files: Sequence[Path]) -> Iterator[list[Path]]:
    """Files in groups for one call each, never parting those of one run, which lie behind one another."""
    batch: list[Path] = []
    for path in files:
        if len(batch) >= AT_ONCE and path.parent.parent != batch[-1].parent.parent:
            yield batch
            batch = []
        batch.append(path)
    if batch:
        yield batch


def beside(path: Path, ending: str) -> Path:
    """The mark beside a file."""
    return path.with_name(path.name + ending)


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
    online = wandb == "online" or (wandb == "auto" and wandb_mode(TrackingConfig()) == "online")
    if online:
        check_reachable()
    tracking = read_tracking(record, runs)
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
        if not stopped and wandb_mode(tracking) == "online" and (files := list(waiting(record, runs))):
            check_reachable()
            failed = upload(files, logs=study_folder(runs, record.label) / WANDB)
            if failed:
                problem = f"W&B did not take {len(failed)} of {len(files)} files ({next(iter(failed.values()))})"
    except (UserError, OSError) as error:
        problem = str(error).splitlines()[0]
    if problem:
        print(f"engram: warning: {problem}; `engram study sync {record.label}` tries again", file=sys.stderr)
