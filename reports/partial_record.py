"""What reports need of a run's record, and nothing else: the rest of the file is skipped, not built.

A record of real documents holds scores of a hundred relation types on two splits; ten thousand of them are read here in
seconds, each once.
"""

from pathlib import Path
from typing import Any

import msgspec

from core.errors import UserError
from core.provenance import Provenance
from core.record import RECORD, RunRecord, Status, standing

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
    """A record as `core.record.RunRecord` has it, in part."""

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
        """The status as it is now, see `core.record.standing`."""
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
