"""Following a run from outside: a small protocol, the tracker that follows nothing, and W&B.

A tracker mirrors what the run writes into its folder; it is never the source of a number. What W&B is told, and under
which keys, is in `core.mirrored`.
"""

import os
from collections.abc import Mapping
from netrc import NetrcParseError, netrc
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from core.config import TrackingConfig
from core.errors import UserError
from core.mirrored import config_of, summary_of
from core.record import RECORD, RunRecord
from core.wandb_run import Identity, Mode, WandbRun


@runtime_checkable
class Tracker(Protocol):
    """Is told what a run does while it does it."""

    def start(self, record: RunRecord, folder: Path) -> None:
        """The run begins or goes on; the record has its config and where it comes from."""

    def log(self, row: Mapping[str, Any], *, step: int) -> None:
        """A row of the history: losses, rates or validation measures at an optimiser step."""

    def finish(self, record: RunRecord) -> None:
        """The run ends, as its record says."""


class NullTracker:
    """Follows nothing."""

    def start(self, record: RunRecord, folder: Path) -> None:
        """Do nothing."""

    def log(self, row: Mapping[str, Any], *, step: int) -> None:
        """Do nothing."""

    def finish(self, record: RunRecord) -> None:
        """Do nothing."""


class WandbTracker:
    """Mirrors a run into W&B, online or into offline files under the run folder.

    The W&B id is the run id, so that a resumed run stays itself. Trouble with W&B is a warning and never ends the run.
    """

    def __init__(self, settings: TrackingConfig) -> None:
        self.settings = settings
        self.run: WandbRun | None = None
        self.folder = Path()

    def start(self, record: RunRecord, folder: Path) -> None:
        """Open the W&B run; online without a key is a mistake that is told."""
        self.folder = folder
        mode = mode_of(self.settings)
        preset, profile = str(record.config["preset"]), str(record.config["profile"])
        row, seed = self.settings.row, record.config.get("seed")
        identity = Identity(
            folder=folder,
            run_id=record.run_id,
            name=f"{row} seed {seed}" if row else f"{preset} {record.run_id}",
            job_type=self.settings.job_type,
            group=self.settings.group or record.run_id.rpartition("-")[0],
            tags=[preset, profile, *tags_of(self.settings)],
            config=config_of(record),
        )
        self.run = WandbRun(identity, self.settings, mode=mode)

    def log(self, row: Mapping[str, Any], *, step: int) -> None:
        """Log a row under our own step."""
        if self.run is not None:
            self.run.log(row, step=step)

    def finish(self, record: RunRecord) -> None:
        """Write the record as flat summary keys and close the run."""
        if self.run is None:
            return
        good = record.status == "finished"
        if self.settings.artifacts and good:
            files = [self.folder / RECORD, *sorted(self.folder.glob("predictions.*.jsonl"))]
            named = [(path, path.name) for path in files if path.exists()]
            self.run.attach(f"run-{record.run_id}", "run", named)
        self.run.close(summary_of(record), good=good, goes_on=record.status == "interrupted")
        self.run = None


def build_tracker(settings: TrackingConfig) -> Tracker:
    """The tracker that a run's settings ask for."""
    return NullTracker() if settings.wandb == "disabled" else WandbTracker(settings)


def tags_of(settings: TrackingConfig) -> list[str]:
    """The tags that the settings ask for."""
    return [tag.strip() for tag in settings.tags.split(",") if tag.strip()]


def mode_of(settings: TrackingConfig) -> Mode:
    """online or offline; asking for online without a key is a mistake that is told."""
    if settings.wandb == "offline" or (settings.wandb == "auto" and not logged_in()):
        return "offline"
    if not logged_in():
        raise UserError(
            "tracking.wandb is online, but there is no W&B key: run `wandb login`, set WANDB_API_KEY, or use "
            "--tracking.wandb offline"
        )
    return "online"


def logged_in() -> bool:
    """Whether a W&B key is there: in the environment, or in the user's netrc; WANDB_MODE=offline says no."""
    if os.environ.get("WANDB_MODE", "online") != "online":
        return False
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = address().split("//")[-1].split("/")[0].split(":")[0]
    try:
        return netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, NetrcParseError):
        return False


def address() -> str:
    """Where W&B's server is."""
    return os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")
