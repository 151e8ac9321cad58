"""A glance at a record: the little of it that says where a run stands, for ten thousand runs at a time.

A record is mostly scores per type; what is not asked for here is skipped as bytes and never becomes an object.

Where the runs of a plan stand, and what they took: the little of a record that a plan reads, ten thousand times.

What reports need of a run's record, and nothing else: the rest of the file is skipped, not built.

A record of real documents holds scores of a hundred relation types on two splits; ten thousand of them are read here in
seconds, each once.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from core.errors import UserError
from core.files import is_locked
from core.records.provenance import Provenance
from core.records.record import KILLED, RECORD, SCORED, RunRecord, Status, standing


class TaskGlance(msgspec.Struct, frozen=True, gc=False):
    """The F1 of a task, in percent."""

    f1: float


class SplitGlance(msgspec.Struct, frozen=True, gc=False):
    """The tasks of a split; None where the record does not have one."""

    mention: TaskGlance | None = None
    coref: TaskGlance | None = None
    entity: TaskGlance | None = None
    relation: TaskGlance | None = None
    relation_strict: TaskGlance | None = None


class Glance(msgspec.Struct, frozen=True, gc=False):
    """What status and driver tell of a run, field by field as in its record."""

    run_id: str
    status: Status
    metrics: dict[str, SplitGlance] = {}
    seconds: float = 0.0
    error: str | None = None

    def score(self, task: str) -> float | None:
        """The F1 of a task on test, or on validation where the run has no test documents; None where it has neither."""
        split = self.metrics.get("test") or self.metrics.get("validation")
        scores: TaskGlance | None = getattr(split, task) if split is not None else None
        return None if scores is None else scores.f1


READER = msgspec.json.Decoder(Glance)


def glance_at(folder: Path) -> Glance | None:
    """A glance at the record of a run folder, None where it has none; a damaged one is one clear line."""
    path = folder / RECORD
    try:
        with open(path, "rb") as file:
            return READER.decode(file.read())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise UserError(f"{path} is damaged: {error}; delete it and run again, or restore it") from None


WAITING, DAMAGED = "waiting", "damaged"
UNCOMMITTED = " with uncommitted changes"


class _Provenance(msgspec.Struct, frozen=True):
    commit: str | None = None
    uncommitted_changes: bool = False
    packages: dict[str, str] = {}
    machine: str = ""
    data: dict[str, str] = {}


class _Model(msgspec.Struct, frozen=True):
    relation_head: str = ""


class _Training(msgspec.Struct, frozen=True):
    epochs: int = 1
    batch_size: int = 1


class _Data(msgspec.Struct, frozen=True):
    train: str | None = None


class _Config(msgspec.Struct, frozen=True):
    profile: str = ""
    data: _Data = _Data()
    encoder: dict[str, Any] = {}
    model: _Model = _Model()
    memory: dict[str, Any] | None = None
    training: _Training = _Training()


class _Record(msgspec.Struct, frozen=True):
    status: str
    run_id: str = ""
    config: _Config = _Config()
    provenance: _Provenance | None = None
    seconds: float = 0.0
    peak_memory_mib: float | None = None
    parameters: int | None = None


class Standing(msgspec.Struct, frozen=True):
    """Where a run stands, and of a run that has a record what made it and what it took."""

    folder: Path
    status: str
    """That of the record; else waiting, cut off, or damaged."""
    record: _Record | None = None

    @property
    def is_done(self) -> bool:
        """Whether nothing of it is left to compute."""
        return self.status in SCORED

    @property
    def is_left(self) -> bool:
        """Whether `study run` goes on with it; what failed or is damaged waits for the user."""
        return self.status in (WAITING, KILLED, "interrupted", "running")

    def is_other_code(self, now: Provenance) -> bool:
        """Whether it was computed by code that is known not to be this process's."""
        return self.record is not None and self.status != "imported" and is_other(self.record.provenance, now)

    @property
    def code(self) -> str:
        """The code that made it, as messages call it."""
        return describe_code(self.record.provenance if self.record is not None else None)


def standing_of(folder: Path) -> Standing:
    """The standing of a run folder; one without a record waits."""
    try:
        record = msgspec.json.decode((folder / RECORD).read_bytes(), type=_Record)
    except (FileNotFoundError, NotADirectoryError):
        return Standing(folder, WAITING)
    except (OSError, msgspec.MsgspecError):
        return Standing(folder, DAMAGED)
    status = KILLED if record.status == "running" and not is_locked(folder) else record.status
    return Standing(folder, status, record)


def others_in(runs: Path, known: Iterable[Standing], profile: str, most: int) -> Iterator[Standing]:
    """A finished run of each cell in a folder of runs, of a profile, less the known cells; so many at most."""
    cells = {standing.folder.parent.name for standing in known}
    seen = 0
    for cell in sorted(runs.iterdir()) if runs.is_dir() else ():
        if cell.name in cells or seen == most:
            continue
        done = (standing for folder in sorted(cell.glob("s*")) if (standing := standing_of(folder)).is_done)
        found = next(done, None)
        seen += found is not None
        if found is not None and found.record is not None and found.record.config.profile == profile:
            yield found


def is_other(made: "_Provenance | Provenance | None", now: Provenance) -> bool:
    """Whether a provenance names code that is not this process's.

    A commit that is not ours; ours with uncommitted changes where we have none; or, where neither is a checkout,
    another version of the package.
    """
    if made is None:
        return now.commit is not None
    if now.commit is None and made.commit is None:
        return made.packages.get("engram") != now.packages.get("engram")
    return made.commit != now.commit or (made.uncommitted_changes and not now.uncommitted_changes)


def describe_code(made: "_Provenance | Provenance | None") -> str:
    """Commit, or the package's version where there is none."""
    if made is None:
        return "unknown"
    if made.commit is None:
        return f"engram {made.packages['engram']}" if "engram" in made.packages else "no commit"
    return made.commit[:12] + (UNCOMMITTED if made.uncommitted_changes else "")


EMPTY = msgspec.Raw(b"{}")


class MemorySettings(msgspec.Struct, frozen=True):
    """Whether a run reads memory."""

    read_mode: str = "none"
    warmup: float = 0.0


class RuntimeSettings(msgspec.Struct, frozen=True):
    """Where it ran."""

    device: str = ""
    threads: int | None = None


class TrackingSettings(msgspec.Struct, frozen=True):
    """Who follows it."""

    wandb: str = ""
    project: str = ""
    entity: str | None = None


class Settings(msgspec.Struct, frozen=True):
    """The settings that notes under a table speak of."""

    preset: str = ""
    profile: str = ""
    data: dict[str, Any] = {}
    memory: MemorySettings | None = None
    runtime: RuntimeSettings = RuntimeSettings()
    tracking: TrackingSettings = TrackingSettings()


class Part(msgspec.Struct, frozen=True):
    """The scores of a part of all relations: of one type, or of one distance."""

    f1: float
    tp: int = 0
    fn: int = 0


class Extra(msgspec.Struct, frozen=True):
    """Breakdowns of a split; those per type stay text until a table wants them."""

    documents: int | None = None
    by_sentence_distance: dict[str, Part] = {}
    by_relation_type: msgspec.Raw = EMPTY

    def parts(self, kind: str) -> dict[str, Part]:
        """The parts of one kind, by name."""
        if kind == "distance":
            return self.by_sentence_distance
        return msgspec.json.decode(self.by_relation_type, type=dict[str, Part])


class PartialRecord(msgspec.Struct, frozen=True):
    """A record as `core.records.record.RunRecord` has it, in part."""

    run_id: str
    status: Status
    config: msgspec.Raw
    provenance: Provenance | None = None
    metrics: dict[str, msgspec.Raw] = {}
    steps: int = 0
    chosen_epoch: int | None = None
    chosen_reading: float | None = None
    seconds: float = 0.0
    peak_memory_mib: float | None = None
    parameters: int | None = None
    error: str | None = None

    @property
    def settings(self) -> Settings:
        """The settings that are spoken of."""
        return msgspec.json.decode(self.config, type=Settings)

    def scores(self, split: str) -> dict[str, Any]:
        """The scores of a split per task as the record has them, `extra` as `Extra`."""
        raw = msgspec.json.decode(self.metrics[split], type=dict[str, msgspec.Raw])
        extra = msgspec.json.decode(raw.pop("extra", EMPTY), type=Extra)
        return {task: msgspec.json.decode(scores) for task, scores in raw.items()} | {"extra": extra}

    def standing(self, folder: Path) -> str:
        """The status as it is now, see `core.records.record.standing`."""
        return standing(folder, RunRecord(self.run_id, self.status, {}))


DECODER = msgspec.json.Decoder(PartialRecord)


def read_partial_record(folder: Path) -> PartialRecord | None:
    """The record of a run folder, None where it has none; a damaged one is one clear line."""
    path = folder / RECORD
    try:
        return DECODER.decode(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise UserError(f"{path} is damaged: {error}; delete it and run again, or restore it") from None
