"""Upload of a study to W&B (`engram study sync`): offline files, each once, through W&B's own command."""

import sys
from pathlib import Path
from typing import Literal

from core.config.presets import from_yaml
from core.config.schema import TrackingConfig
from core.errors import UserError
from core.records.record import CONFIG
from core.records.wandb_run import FILES, is_disabled, logged_in, wandb_mode
from core.records.wandb_upload import (
    broken_artifacts,
    check_reachable,
    describe_broken,
    pending_files,
    prepare_runs,
    report_upload,
    upload,
)
from studies.record import StudyRecord, find_study_record, study_folder
from sweeps.dashboards.study_runs import write_study_runs
from sweeps.dashboards.workspace import sync_views


def prepare_study(record: StudyRecord, runs: Path) -> tuple[list[Path], list[str]]:
    """The W&B files of a study that are to be uploaded, and a line for every run that would not arrive whole."""
    files, problems = prepare_runs(run.folder for run in record.runs_in(runs))
    pending = pending_files(study_folder(runs, record.label))
    if broken := broken_artifacts(pending):
        return files, [*problems, describe_broken(broken)]
    return [*files, *pending], problems


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
    disabled = wandb == "disabled" or is_disabled(tracking)
    if not disabled:
        write_study_runs(record, runs, tracking)
    files, problems = prepare_study(record, runs)
    code = 0
    if online or not (files or problems):
        code = report_upload(record.label, files, problems, logs=study_folder(runs, record.label) / FILES)
    else:
        print("\n".join([*(str(path.parent) for path in files), *problems]))
        print(f"{record.label}: {len(files)} files to upload with `engram study sync`")
    if code or disabled:
        return code
    return 0 if sync_views(record, runs, tracking, online=online) else 1


def read_tracking(record: StudyRecord, runs: Path) -> TrackingConfig:
    """The tracking settings of the first run that was started; the default where none was."""
    configs = (run.folder / CONFIG for run in record.runs_in(runs))
    return next((from_yaml(path).tracking for path in configs if path.is_file()), TrackingConfig())


def mirror_study(record: StudyRecord, runs: Path, tracking: TrackingConfig, *, stopped: bool) -> None:
    """Bring a study whose runs have just ended to W&B; trouble with W&B is a warning line.

    A user who stopped the study does not wait for an upload: it comes with the next `study run`, or `study sync`.
    """
    if is_disabled(tracking):
        return
    problem = ""
    try:
        online = wandb_mode(tracking) == "online"
        write_study_runs(record, runs, tracking, alert=online)
        if online and not stopped:
            files, problems = prepare_study(record, runs)
            problem = "; ".join(problems)
            if files:
                check_reachable()
                problem = upload(files, logs=study_folder(runs, record.label) / FILES) or problem
    except (UserError, OSError) as error:
        problem = str(error).splitlines()[0]
    if problem:
        print(f"engram: warning: {problem}; `engram study sync {record.label}` tries again", file=sys.stderr)
