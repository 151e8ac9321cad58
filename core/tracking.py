"""Following a run from outside: a small protocol, the tracker that follows nothing, and W&B.

A tracker mirrors what the run writes into its folder; it is never the source of a number.
"""

import os
from collections.abc import Mapping
from netrc import NetrcParseError, netrc
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from core.config import TrackingConfig
from core.errors import UserError
from core.record import RECORD

STEP_KEY = "global_step"


@runtime_checkable
class Tracker(Protocol):
    """Is told what a run does while it does it."""

    def start(self, config: Mapping[str, Any], *, run_id: str, folder: Path) -> None:
        """The run begins or goes on, with its resolved config."""

    def log(self, row: Mapping[str, Any], *, step: int) -> None:
        """A row of the history: losses, rates or validation measures at an optimiser step."""

    def finish(self, summary: Mapping[str, Any], *, status: str) -> None:
        """The run ends, with its final metrics."""


class NullTracker:
    """Follows nothing."""

    def start(self, config: Mapping[str, Any], *, run_id: str, folder: Path) -> None:
        """Do nothing."""

    def log(self, row: Mapping[str, Any], *, step: int) -> None:
        """Do nothing."""

    def finish(self, summary: Mapping[str, Any], *, status: str) -> None:
        """Do nothing."""


class WandbTracker:
    """Mirrors a run into W&B, online or into offline files under the run folder.

    The W&B id is the run id, so that a resumed run stays itself; offline, each start makes another fragment of that id,
    which `wandb sync` joins. Steps are our own (`global_step`), as W&B counts from 0 in every fragment.
    """

    def __init__(self, settings: TrackingConfig) -> None:
        self.settings = settings
        self.run: Any = None
        self.folder = Path()

    def start(self, config: Mapping[str, Any], *, run_id: str, folder: Path) -> None:
        """Open the W&B run; a failure to do so is one clear line."""
        import wandb

        self.folder = folder
        mode = mode_of(self.settings)
        try:
            self.run = wandb.init(
                project=self.settings.project,
                entity=self.settings.entity,
                group=self.settings.group or run_id.rpartition("-")[0],
                job_type=self.settings.job_type,
                name=f"{config['preset']} {run_id}",
                id=run_id,
                tags=[str(config["preset"]), str(config["profile"]), *tags_of(self.settings)],
                resume="allow",
                mode=mode,
                dir=str(folder),
                config=dict(config),
                reinit="create_new",
                settings=wandb.Settings(
                    x_disable_stats=True,
                    console="off",
                    silent=True,
                    disable_git=True,
                    x_disable_meta=True,
                    save_code=False,
                    init_timeout=60.0,
                    # By default rows wait 15 s: a killed run would lose them all.
                    x_transaction_log_flush_interval=1.0,
                ),
            )
        except wandb.errors.Error as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise UserError(
                f"W&B cannot be reached ({mode}): {reason}; use --tracking.wandb offline, or log in (wandb login)"
            ) from None
        self.run.define_metric("*", step_metric=STEP_KEY)

    def log(self, row: Mapping[str, Any], *, step: int) -> None:
        """Log a row under our own step."""
        self.run.log({**row, STEP_KEY: step})

    def finish(self, summary: Mapping[str, Any], *, status: str) -> None:
        """Write the final metrics as flat summary keys and close the run."""
        if self.run is None:
            return
        self.run.summary.update({**flat(summary), "status": status})
        if self.settings.artifacts and status == "finished":
            import wandb

            artifact = wandb.Artifact(f"run-{self.run.id}", type="run")
            for path in [self.folder / RECORD, *sorted(self.folder.glob("predictions.*.jsonl"))]:
                if path.exists():
                    artifact.add_file(str(path))
            self.run.log_artifact(artifact)
        self.run.finish(exit_code=0 if status == "finished" else 1)
        self.run = None


def build_tracker(settings: TrackingConfig) -> Tracker:
    """The tracker that a run's settings ask for."""
    return NullTracker() if settings.wandb == "disabled" else WandbTracker(settings)


def tags_of(settings: TrackingConfig) -> list[str]:
    """The tags that the settings ask for."""
    return [tag.strip() for tag in settings.tags.split(",") if tag.strip()]


def mode_of(settings: TrackingConfig) -> Literal["online", "offline"]:
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
    host = os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai").split("//")[-1].split("/")[0].split(":")[0]
    try:
        return netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, NetrcParseError):
        return False


def flat(tree: Mapping[str, Any], before: str = "") -> dict[str, float | int | str]:
    """Nested scores as `split/task/measure` keys; lists and per-type tables stay in the record."""
    found: dict[str, float | int | str] = {}
    for name, value in tree.items():
        key = f"{before}{name}"
        if isinstance(value, Mapping):
            if name not in ("extra", "by_relation_type", "counts"):
                found |= flat(value, f"{key}/")
        elif isinstance(value, int | float | str):
            found[key] = value
    return found
