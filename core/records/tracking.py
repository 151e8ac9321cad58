"""Trackers: following a run from outside, in W&B or not at all; and the names under which W&B has a record's numbers.

A tracker mirrors what the run writes into its folder; it is never the source of a number. All that the record holds is
in W&B, so that the record can be had back from it. A W&B run has the id `<signature>-s<seed>` and as its group the
signature. In W&B's config, summary and history:

    config    every setting as config.yaml has it, nested: preset, profile, seed, data.train, memory.slot_width, ...
              tracking.study   `<study>@<profile>`; none for a run of its own
              tracking.row     the row of that study
              provenance       commit, uncommitted_changes, packages, python, command, machine, processors, data
              type_names       entity, relation: type -> readable name, of the types that have one
    summary   <split>/<task>/<measure>   percent; precision, recall, f1, macro_precision, macro_recall, macro_f1
              <split>/extra/...          every other number of the record (`core.scoring.evaluate.evaluate`)
              status, steps, chosen_epoch, chosen_reading, seconds, peak_memory_mib, parameters, error, notes,
              commit (once more, as a column next to the scores)
              repairs/<split>/<kind>     how often
              memory_use/...             whether memory is used: by the fields of `core.records.memory_use.MemoryUse`,
                                         as in memory_use/reads/test/mentions/factor
    history   loss/<task>, validation/<task>/f1, validation/memory/<place>/<field>, ... at `global_step`, the optimiser
              step

A name that has a slash is written with %2F. What the record does not know is not there. A summary also holds the last
values of the history: of a run that is not finished these are all the scores there are.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from core.config.schema import TrackingConfig
from core.records.record import RECORD, RunRecord
from core.records.wandb_run import Identity, WandbRun, wandb_mode

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
"""Fields of a record that are in the summary under their own names."""


class Tracker:
    """Mirrors a run into W&B, online or into offline files under the run folder; nowhere if its settings say disabled.

    The W&B id is the run id, so that a resumed run stays itself.
    """

    def __init__(self, settings: TrackingConfig) -> None:
        self.settings = settings
        self.run: WandbRun | None = None
        self.folder = Path()

    def start(self, record: RunRecord, folder: Path) -> None:
        """Open the W&B run; a UserError where it is to be online and there is no key."""
        if self.settings.wandb == "disabled":
            return
        self.folder = folder
        preset, profile = str(record.config["preset"]), str(record.config["profile"])
        row, seed = self.settings.row, record.config.get("seed")
        identity = Identity(
            folder=folder,
            run_id=record.run_id,
            name=f"{row} seed {seed}" if row else f"{preset} {record.run_id}",
            job_type=self.settings.job_type,
            group=self.settings.group or record.run_id.rpartition("-")[0],
            tags=[preset, profile, *(tag.strip() for tag in self.settings.tags.split(","))],
            config={
                **record.config,
                "provenance": msgspec.to_builtins(record.provenance),
                "type_names": record.type_names,
            },
        )
        self.run = WandbRun(identity, self.settings, mode=wandb_mode(self.settings))

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
            self.run.log_artifact(f"run-{record.run_id}", "run", [path for path in files if path.exists()])
        self.run.close(wandb_summary(record), good=good, resumable=record.status == "interrupted")
        self.run = None


def wandb_summary(record: RunRecord) -> dict[str, Any]:
    """W&B's summary of a run, flat; what the record does not know is left out."""
    facts = {name: value for name in FACTS if (value := getattr(record, name)) not in (None, [])}
    if record.provenance is not None and record.provenance.commit is not None:
        facts["commit"] = record.provenance.commit
    # A run that is resumed and ends well must not keep the error of its first part.
    facts["error"] = record.error or ""
    trees = {"repairs": record.repairs, "memory_use": msgspec.to_builtins(record.memory_use)}
    return dict(flatten(record.metrics | trees)) | facts


def flatten(tree: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of a nested mapping that are known, each with its path."""
    for name, value in tree.items():
        key = before + str(name).replace("%", "%25").replace("/", "%2F")
        if isinstance(value, Mapping):
            yield from flatten(value, f"{key}/")
        elif value is not None:
            yield key, value
