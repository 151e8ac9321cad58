"""Trackers: following a run from outside, in W&B or not at all; and the names under which W&B has a record's numbers.

A tracker mirrors what the run writes into its folder; it is never the source of a number. All that the record holds is
in W&B, so that the record can be had back from it. A W&B run has the id `<signature>-s<seed>`, and its group is
`<preset> · <signature>`, of the seeds of a search `<preset> · <signature> · search`. In W&B's config, summary and
history:

    config    every setting as config.yaml has it, nested: preset, profile, seed, data.train, memory.slot_width, ...
              study            `<study>@<profile>` that asked for the run first; none for a run of its own
              row              the row of that study
              signature, run_id
              provenance       commit, uncommitted_changes, packages, python, command, machine, processors, and data:
                               train, validation, test, types -> content hash
              type_names       entity, relation: pairs of a type and its readable name, of the types that have one
    summary   <split>/<task>/<measure>   percent; precision, recall, f1, macro_precision, macro_recall, macro_f1
              <split>/extra/...          every other number of the record (`core.scoring.evaluate.evaluate`), but
              <split>/types_table        table: the scores of every relation type; `<split>/types` is their bar chart
              <split>/predictions_table  table: a document a row (`core.records.document_table`)
              status, steps, chosen_epoch, chosen_reading, seconds, peak_memory_mib, parameters, error, notes,
              overlaps, commit (once more, as a column next to the scores)
              repairs/<split>/<kind>     how often
              memory_use/...             whether memory is used: by the fields of `core.records.memory_use.MemoryUse`,
                                         as in memory_use/reads/test/mentions/factor
    history   train/loss, train/loss_<task>, train/lr, ..., validation/loss, validation/<task>/f1,
              validation/memory/<place>/<field>, ... and epoch, at `global_step`, the optimiser step

A name that has a slash is written with %2F. What the record does not know is not there. A summary also holds the last
values of the history: of a run that is not finished these are all the scores there are.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from core.config.presets import from_yaml
from core.config.schema import TrackingConfig
from core.errors import UserError
from core.progress import say
from core.records.document_table import COLUMNS, read_document_table
from core.records.history import STEP
from core.records.record import BEST, CONFIG, RECORD, RunRecord, read_record
from core.records.wandb_run import Identity, Mode, WandbRun, wandb_mode

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
    "overlaps",
)
"""Fields of a record that are in the summary under their own names."""
BY_TYPE = "by_relation_type"
"""The scores of a split that are in a table: in the summary they would be hundreds of columns."""
ROLES = ("train", "validation", "test", "types")
TRIAL = "trial"
"""The job type of runs that a search asked for."""


class Tracker:
    """Mirrors a run into W&B, online or into offline files under the run folder; nowhere if its settings say disabled.

    The W&B id is the run id, so that a resumed run stays itself.
    """

    def __init__(self, settings: TrackingConfig) -> None:
        self.settings = settings
        self.run: WandbRun | None = None
        self.folder = Path()

    @property
    def url(self) -> str | None:
        """Where W&B shows the run; None where it does not."""
        return self.run.url if self.run is not None else None

    def start(self, record: RunRecord, folder: Path, *, mode: Mode | None = None) -> None:
        """Open the W&B run, in the mode that the settings say; a UserError where that is online without a key."""
        mode = mode or wandb_mode(self.settings)
        if mode == "disabled":
            return
        self.folder = folder
        preset, profile = str(record.config["preset"]), str(record.config["profile"])
        row, seed = self.settings.row, record.config.get("seed")
        signature = record.run_id.rpartition("-")[0]
        searched = " · search" if self.settings.job_type == TRIAL else ""
        identity = Identity(
            folder=folder,
            run_id=record.run_id,
            name=f"{row} seed {seed}" if row else f"{preset} {record.run_id}",
            job_type=self.settings.job_type,
            group=self.settings.group or f"{preset} · {signature}{searched}",
            tags=[preset, profile, *(tag.strip() for tag in self.settings.tags.split(","))],
            config={
                **record.config,
                "study": self.settings.study,
                "row": row,
                "signature": signature,
                "run_id": record.run_id,
                "provenance": provenance_by_role(record),
                "type_names": {kind: list(names.items()) for kind, names in record.type_names.items()},
            },
        )
        self.run = WandbRun(identity, self.settings, mode=mode)
        if self.url is not None:
            say(f"W&B: {self.url}")

    def log(self, row: Mapping[str, Any], *, kind: str, step: int) -> None:
        """Log a row of the history under our own step."""
        if self.run is not None:
            self.run.log({history_name(name, kind): value for name, value in row.items()}, step=step)

    def finish(self, record: RunRecord) -> None:
        """Write the record as flat summary keys, its tables and artifacts, and close the run."""
        if self.run is None:
            return
        good = record.status == "finished"
        if good:
            self._log_tables(self.run, record)
            self._log_artifacts(self.run, record)
        elif record.status in ("failed", "diverged"):
            error = (record.error or "").strip().rpartition("\n")[2]
            if self.run.mode == "online":  # offline it would come when it is old
                self.run.alert(f"{self.run.identity.name} {record.status}", f"{record.run_id}: {error}")
        self.run.close(wandb_summary(record), good=good, resumable=record.status == "interrupted")
        self.run = None

    def _log_tables(self, run: WandbRun, record: RunRecord) -> None:
        for split, scores in record.metrics.items():
            if by_type := scores.get("extra", {}).get(BY_TYPE):
                columns = list(next(iter(by_type.values())))
                rows = [[name, *(of_type.get(column) for column in columns)] for name, of_type in by_type.items()]
                run.log_table(f"{split}/types", ["type", *columns], rows, bars="f1")
            if not (self.folder / f"predictions.{split}.jsonl").is_file():
                continue
            try:
                rows = read_document_table(record, self.folder, split=split)
            except UserError as error:
                say(f"engram: warning: {record.run_id}: W&B gets no table of {split} predictions ({error})")
            else:
                run.log_table(f"{split}/predictions", COLUMNS, rows)

    def _log_artifacts(self, run: WandbRun, record: RunRecord) -> None:
        if self.settings.artifacts == "none":
            return
        files = [self.folder / RECORD, *sorted(self.folder.glob("predictions.*.jsonl"))]
        run.log_artifact(f"run-{record.run_id}", "run", {path.name: path for path in files if path.is_file()})
        best = self.folder / BEST
        # Weights that are deleted at the end of the run can only be uploaded while it waits for that.
        kept = run.mode == "online" or record.config.get("training", {}).get("keep") != "none"
        weights = {str(path.relative_to(best)): path for path in sorted(best.rglob("*")) if path.is_file()}
        if self.settings.artifacts == "model" and kept and weights:
            run.log_artifact(f"model-{record.run_id}", "model", weights, aliases=["best"])


def mirror_again(folder: Path) -> None:
    """Write what W&B has of a run at its end, with tables and artifacts, into another offline file of that run."""
    record = read_record(folder)
    if record is not None:
        tracker = Tracker(from_yaml(folder / CONFIG).tracking)
        tracker.start(record, folder, mode="offline")
        tracker.finish(record)


def history_name(name: str, kind: str) -> str:
    """The key in W&B of a number in a row of history.jsonl."""
    train = "train/" if kind == STEP else "validation/"
    name = name.removeprefix(train)
    if name == "epoch":
        return name
    return train + name.replace("loss/total", "loss").replace("loss/", "loss_")


def provenance_by_role(record: RunRecord) -> dict[str, Any]:
    """The provenance of a run, the hashes of what it read by what the files are for: a path is no name of a column."""
    if record.provenance is None:
        return {}
    data, hashes = record.config.get("data") or {}, record.provenance.data
    by_role = {role: hashes[path] for role in ROLES if (path := data.get(role)) in hashes}
    return msgspec.to_builtins(record.provenance) | {"data": by_role}


def wandb_summary(record: RunRecord) -> dict[str, Any]:
    """W&B's summary of a run, flat, without what is in tables; what the record does not know is left out."""
    facts = {name: value for name in FACTS if (value := getattr(record, name)) not in (None, [])}
    if record.provenance is not None and record.provenance.commit is not None:
        facts["commit"] = record.provenance.commit
    # A run that is resumed and ends well must not keep the error of its first part.
    facts["error"] = record.error or ""
    trees = {"repairs": record.repairs, "memory_use": msgspec.to_builtins(record.memory_use)}
    for split, scores in record.metrics.items():
        extra = {name: value for name, value in scores.get("extra", {}).items() if name != BY_TYPE}
        trees[split] = scores | {"extra": extra}
    return dict(flatten(trees)) | facts


def flatten(tree: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of a nested mapping that are known, each with its path."""
    for name, value in tree.items():
        key = before + str(name).replace("%", "%25").replace("/", "%2F")
        if isinstance(value, Mapping):
            yield from flatten(value, f"{key}/")
        elif value is not None:
            yield key, value
