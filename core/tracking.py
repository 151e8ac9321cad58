"""Following a run from outside: a small protocol, the tracker that follows nothing, and W&B.

A tracker mirrors what the run writes into its folder; it is never the source of a number. W&B holds of a run: as id the
run id, as group the signature, as config the resolved config; as summary `<split>/<task>/<measure>` for every score
(`test/relation_strict/f1`), the `FACTS` of its record, `commit` and `status`.
"""

import os
from collections.abc import Mapping, Sequence
from netrc import NetrcParseError, netrc
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from core.config import TrackingConfig
from core.errors import UserError
from core.record import RECORD, RunRecord

STEP_KEY = "global_step"
FACTS = ("steps", "chosen_epoch", "chosen_reading", "seconds", "peak_memory_mib", "parameters")
"""What of a record stands in W&B's summary beside the scores, under the record's own names."""
LONGEST_TAG = 64


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
        self.folder = folder
        self.run = open_wandb(
            self.settings,
            id=run_id,
            name=f"{self.settings.title or config['preset']} {run_id}",
            group=self.settings.group or run_id.rpartition("-")[0],
            job_type=self.settings.job_type,
            tags=[str(config["preset"]), str(config["profile"]), *tags_of(self.settings)],
            config=config,
            folder=folder,
        )
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


def open_wandb(
    settings: TrackingConfig,
    *,
    id: str,
    name: str,
    group: str,
    job_type: str,
    tags: Sequence[str],
    config: Mapping[str, Any],
    folder: Path,
) -> Any:
    """A W&B run, new or gone on with under the same id; its offline files lie in a folder; a failure is one line."""
    import wandb

    mode = mode_of(settings)
    try:
        return wandb.init(
            project=settings.project,
            entity=settings.entity,
            group=group,
            job_type=job_type,
            name=name,
            id=id,
            tags=list(dict.fromkeys(tag[:LONGEST_TAG] for tag in tags)),
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


def summary_of(record: RunRecord) -> dict[str, Any]:
    """What W&B's summary says of a run that ended: scores per split, facts, commit; what is not known is left out."""
    facts = {name: getattr(record, name) for name in FACTS}
    facts["commit"] = record.provenance.commit if record.provenance is not None else None
    return {**record.metrics, **{name: value for name, value in facts.items() if value is not None}}


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
    host = address().split("//")[-1].split("/")[0].split(":")[0]
    try:
        return netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, NetrcParseError):
        return False


def address() -> str:
    """Where W&B's server is."""
    return os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")


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
