"""`engram study sync`: what a study wrote offline for W&B goes up, each fragment once, fragments of a run in order."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import requests
import tyro

from core.errors import UserError
from core.progress import meter
from core.tracking import address, logged_in
from studies.study_record import StudyRecord, find_study_record, study_folder
from sweeps.mirror import WANDB, mirrored
from sweeps.tracked import tracking_of

OFFLINE = "offline-run-"
AT_ONCE, PARALLEL = 24, 4
"""Fragments that one `wandb sync` is given, and how many of them it uploads side by side."""
ANSWER_SECONDS = 10.0


def sync(study: tyro.conf.Positional[str], *, profile: str | None = None, runs: Path = Path("runs")) -> int:
    """Upload to W&B what a study wrote offline: its runs, the aggregate of every cell, the study's table and report.

    What was uploaded before is not uploaded again, and after a Ctrl-C the same command goes on. 1 where some failed.

    Args:
        study: a study that was run, or <study>@<profile>.
        profile: the profile it was run under, where it was run under several.
        runs: where run folders lie.
    """
    record = find_study_record(study, runs, profile=profile)
    reachable()
    problem = mirrored(record, runs, tracking_of(record, runs))
    if problem:
        print(f"engram: warning: {problem}", file=sys.stderr)
    waiting = list(fragments(record, runs))
    failed = upload(waiting)
    print(f"{record.label}: {len(waiting) - len(failed)} of {len(waiting)} offline fragments uploaded")
    for path, reason in failed.items():
        print(f"engram: {path}: {reason}", file=sys.stderr)
    return 1 if failed or problem else 0


def reachable() -> None:
    """Raise a UserError where nobody is logged in or W&B does not answer: its client would try again for minutes."""
    if not logged_in():
        raise UserError("there is no W&B key: run `wandb login`, or set WANDB_API_KEY; nothing was uploaded")
    try:
        requests.get(address(), timeout=ANSWER_SECONDS)
    except requests.RequestException as error:
        raise UserError(
            f"W&B at {address()} does not answer ({type(error).__name__}): try again later, or set WANDB_BASE_URL; "
            "nothing was uploaded"
        ) from None


def fragments(record: StudyRecord, runs: Path) -> Iterator[Path]:
    """The offline folders of a study that were not uploaded yet, those of one run in the order in which they began."""
    folders = [run.folder for run in record.runs_in(runs)]
    for folder in (*folders, study_folder(runs, record.label)):
        for path in sorted((folder / WANDB).glob(f"{OFFLINE}*")):
            if not is_uploaded(path) and list(path.glob("run-*.wandb")):
                yield path


def is_uploaded(path: Path) -> bool:
    """Whether W&B's client has marked an offline folder as uploaded."""
    return bool(list(path.glob("run-*.wandb.synced")))


def upload(waiting: Sequence[Path]) -> dict[Path, str]:
    """Upload offline folders through W&B's own command; those that failed and why.

    The command uploads fragments of one run one after another, by the time at which they began; so they must be in one
    call together.
    """
    failed: dict[Path, str] = {}
    with meter("uploading to W&B", len(waiting)) as progress:
        for batch in batches(waiting):
            program = [sys.executable, "-m", "wandb", "sync", "--yes", "-n", str(PARALLEL), *map(str, batch)]
            done = subprocess.run(program, capture_output=True, text=True, check=False)
            said = [line for line in (done.stdout + done.stderr).splitlines() if "rror" in line]
            reason = said[-1].strip() if said else f"`wandb sync` ended with exit code {done.returncode}"
            failed |= {path: reason for path in batch if not is_uploaded(path)}
            progress.advance(len(batch))
    return failed


def batches(waiting: Sequence[Path]) -> Iterator[list[Path]]:
    """Folders in groups for one call each, never parting those of one run, which lie behind one another."""
    batch: list[Path] = []
    for path in waiting:
        if len(batch) >= AT_ONCE and path.parent != batch[-1].parent:
            yield batch
            batch = []
        batch.append(path)
    if batch:
        yield batch
