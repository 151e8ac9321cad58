"""Following a run from outside: a small protocol, the tracker that follows nothing, and W&B.

A tracker mirrors what the run writes into its folder; it is never the source of a number. What W&B is told, and under
which keys, is in `core.records.tracking`.

What W&B is told of a run, under which keys: all that its record holds, so that the record can be had back from it.

A W&B run is a record: id `<signature>-s<seed>`, group the signature. In W&B's config and summary:

    config    every setting as config.yaml has it, nested: preset, profile, seed, data.train, memory.slot_width, ...
              tracking.study   `<study>@<profile>`; none for a run of its own
              tracking.row     the row of that study
              provenance       commit, uncommitted_changes, packages, python, command, machine, processors, data
    summary   <split>/<task>/<measure>   percent; precision, recall, f1, macro_precision, macro_recall, macro_f1
              <split>/extra/...          every other number of the record (`core.scoring.evaluate.evaluate`)
              status, steps, chosen_epoch, chosen_reading, seconds, peak_memory_mib, parameters, error, notes,
              commit (once more, as a column beside the scores)
              repairs/<split>/<kind>     how often
    history   loss/<task>, validation/<task>/f1, ... at `global_step`, the optimiser step

A name that has a slash is written with %2F. What the record does not know is not there. A summary also holds the last
values of the history: of a run that is not finished these are all the scores there are.
"""

import os
from collections.abc import Iterator, Mapping
from netrc import NetrcParseError, netrc
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import msgspec

from core.config.schema import TrackingConfig
from core.errors import UserError
from core.records.record import RECORD, RunRecord
from core.records.wandb_run import Identity, Mode, WandbRun


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
        mode = wandb_mode(self.settings)
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


def wandb_mode(settings: TrackingConfig) -> Mode:
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


PROVENANCE = "provenance"
FACTS = (
    "status",
    "steps",
    "chosen_epoch",
    "chosen_reading",
    "seconds",
    "peak_memory_mib",
    "parameters",
    "error",
    "notes",
)


def config_of(record: RunRecord) -> dict[str, Any]:
    """W&B's config of a run: its settings, and where it comes from."""
    return {**record.config, PROVENANCE: msgspec.to_builtins(record.provenance)}


def summary_of(record: RunRecord) -> dict[str, Any]:
    """W&B's summary of a run, flat; what the record does not know is left out."""
    facts = {name: getattr(record, name) for name in FACTS}
    told = {name: value for name, value in facts.items() if value is not None and value != []}
    if record.provenance is not None and record.provenance.commit is not None:
        told["commit"] = record.provenance.commit
    # A run that goes on and ends well must not keep the error of its first part.
    told["error"] = record.error or ""
    return dict(flat(record.metrics)) | dict(flat({"repairs": record.repairs})) | told


def flat(tree: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of a nested mapping that are known, each with its path."""
    for name, value in tree.items():
        key = before + str(name).replace("%", "%25").replace("/", "%2F")
        if isinstance(value, Mapping):
            yield from flat(value, f"{key}/")
        elif value is not None:
            yield key, value
