"""Run summaries: where a run stands, and the part of its record that is read of thousands of runs.

A record is mostly scores per relation type. What `RunSummary` does not name is skipped as bytes and never becomes an
object, so that status, plans and reports read ten thousand records in seconds.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from core.config.memory import MemoryConfig
from core.errors import UserError
from core.files import is_locked
from core.input_files import Amount, Count, Percent, read_json
from core.records.memory_use import MemoryUse
from core.records.provenance import Provenance, is_other_code
from core.records.record import DAMAGED_WAY_OUT, FINAL, RECORD, SCORED, Status

RunStatus = Literal[Status, "waiting", "killed", "damaged"]
WAITING: Final = "waiting"
KILLED: Final = "killed"
DAMAGED: Final = "damaged"


class TaskSummary(msgspec.Struct, frozen=True, gc=False):
    """Scores of one task in percent, as `core.scoring.metrics.TaskScores`; None where the record lacks one."""

    precision: Percent | None = None
    recall: Percent | None = None
    f1: Percent | None = None
    macro_precision: Percent | None = None
    macro_recall: Percent | None = None
    macro_f1: Percent | None = None


class PartScores(msgspec.Struct, frozen=True, gc=False):
    """Strict relation scores of a part of all relations: of one type, or of one sentence distance."""

    f1: Percent
    tp: Count = 0
    fn: Count = 0


class ExtraSummary(msgspec.Struct, frozen=True):
    """The diagnostics of a split that most readers want."""

    documents: Count | None = None
    by_sentence_distance: dict[str, PartScores] = {}


class SplitSummary(msgspec.Struct, frozen=True):
    """The scores of a split."""

    mention: TaskSummary = TaskSummary()
    coref: TaskSummary = TaskSummary()
    entity: TaskSummary = TaskSummary()
    relation: TaskSummary = TaskSummary()
    relation_strict: TaskSummary = TaskSummary()
    extra: ExtraSummary = ExtraSummary()


class ModelSettings(msgspec.Struct, frozen=True, gc=False):
    """Which relation head it has."""

    relation_head: str = ""


class TrainingSettings(msgspec.Struct, frozen=True, gc=False):
    """How long it trains."""

    epochs: Count = 1
    batch_size: Count = 1


class Settings(msgspec.Struct, frozen=True):
    """The settings of a run that plans compare and reports name."""

    preset: str = ""
    profile: str = ""
    data: dict[str, Any] = {}
    encoder: dict[str, Any] = {}
    model: ModelSettings = ModelSettings()
    memory: dict[str, Any] | None = None
    training: TrainingSettings = TrainingSettings()
    runtime: dict[str, Any] = {}
    tracking: dict[str, Any] = {}

    @property
    def ever_reads(self) -> bool:
        """Whether memory is read at any step."""
        return self.memory is not None and MemoryConfig.model_construct(**self.memory).ever_reads


class RunSummary(msgspec.Struct, frozen=True):
    """A run as its folder shows it: its status now, and of its record the fields that are read of many runs.

    Fields have the names and values of `core.records.record.RunRecord`; `config` and `metrics` hold a part of theirs.
    """

    run_id: str
    status: RunStatus
    config: Settings = Settings()
    provenance: Provenance | None = None
    metrics: dict[str, SplitSummary] = {}
    steps: Count = 0
    chosen_epoch: Count | None = None
    chosen_reading: float | None = None
    seconds: Amount = 0.0
    peak_memory_mib: Amount | None = None
    parameters: Count | None = None
    memory_use: MemoryUse | None = None
    overlaps: list[str] = []
    url: str | None = None
    error: str | None = None
    """The record's; of a damaged record what is wrong with it."""
    folder: Path = Path()

    @property
    def is_done(self) -> bool:
        """Whether nothing of it is left to compute and its scores count."""
        return self.status in SCORED

    @property
    def is_left(self) -> bool:
        """Whether `study run` starts or resumes it; what failed or is damaged waits for the user."""
        return self.status in (WAITING, KILLED, "interrupted", "running")

    def is_of_other_code(self, now: Provenance) -> bool:
        """Whether it was computed by code that is known not to be this process's; nothing computed an imported run."""
        return self.status != "imported" and is_other_code(self.provenance, now)

    def f1(self, task: str, *, splits: Sequence[str] = ("test", "validation")) -> float | None:
        """The F1 of a task in percent on the first of some splits that the run was scored on; None without one."""
        return next((getattr(self.metrics[name], task).f1 for name in splits if name in self.metrics), None)


def read_summary(folder: Path) -> RunSummary:
    """The summary of a run folder, whatever it holds: a damaged record is a status, not an error."""
    try:
        summary = read_json(folder / RECORD, RunSummary, DAMAGED_WAY_OUT, check_keys=False)
    except UserError as error:
        return RunSummary("", DAMAGED, error=str(error), folder=folder)
    summary = summary or RunSummary("", WAITING)
    status = summary.status
    # Whoever computes a run holds its folder's lock; a killed process leaves "running".
    if status not in FINAL:
        status = "running" if is_locked(folder) else KILLED if status == "running" else status
    return msgspec.structs.replace(summary, status=status, folder=folder)
