"""A glance at a record: the little of it that says where a run stands, for ten thousand runs at a time.

A record is mostly scores per type; what is not asked for here is skipped as bytes and never becomes an object.
"""

from pathlib import Path

import msgspec

from core.errors import UserError
from core.record import RECORD, Status


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
