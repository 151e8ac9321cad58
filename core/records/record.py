"""Run records and run folders: the contract between core, studies, sweeps and reports.

`runs/<signature>/s<seed>/` holds config.yaml, history.jsonl, record.json, documents.<split>.json,
predictions.<split>.jsonl and checkpoints/, of a run that reads also documents.test.<knock-out>.json. A record is
written to a temporary file and renamed: whole or not at all.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import msgspec

from core.config.presets import from_yaml, to_yaml
from core.config.schema import RunConfig
from core.errors import UserError
from core.files import (
    atomic_write,
    delete,
    delete_leftovers,
    has_link,
    lock_folder,
    make_folder,
    was_killed,
    write_json,
)
from core.input_files import Amount, Count, Percent, read_json
from core.records.memory_use import MemoryUse
from core.records.provenance import Provenance
from core.scoring.metrics import ExtraScores

Status = Literal["running", "finished", "interrupted", "failed", "diverged", "imported"]
SCORED: tuple[Status, ...] = ("finished", "imported")
"""Statuses of runs whose scores count."""
FINAL: tuple[Status, ...] = (*SCORED, "diverged")
"""Statuses of runs that are not computed again: the same config would give the same."""
CONFIG, RECORD, HISTORY = "config.yaml", "record.json", "history.jsonl"
DAMAGED_WAY_OUT = "delete it and run again, or restore it"
BEST, LAST = "checkpoints/best", "checkpoints/last.pt"
"""The chosen model, and the state from which a run that is not finished is resumed."""


class RunRecord(msgspec.Struct, frozen=True):
    """What is known of a run: all that reports read."""

    run_id: str
    status: Status
    config: dict[str, Any]
    provenance: Provenance | None = None
    metrics: dict[str, dict[str, Any]] = {}
    """Split -> scores as `core.scoring.metrics.Scores` has them."""
    steps: Count = 0
    chosen_epoch: Count | None = None
    chosen_reading: float | None = None
    """How strongly the chosen checkpoint reads memory: 0 is a reading row whose choice fell into the warm-up."""
    seconds: Amount = 0.0
    peak_memory_mib: Amount | None = None
    parameters: Count | None = None
    repairs: dict[str, dict[str, Count]] = {}
    """Split -> kind of data issue or repair -> how often."""
    memory_use: MemoryUse | None = None
    """None where memory is never read."""
    type_names: dict[str, dict[str, str]] = {}
    """`entity` and `relation` -> type -> its readable name, where the types file gives one (P26: spouse)."""
    notes: list[str] = []
    overlaps: list[str] = []
    """A sentence for every two splits that share documents, with their number."""
    url: str | None = None
    """Where W&B shows it, where it was logged online."""
    error: str | None = None
    """The traceback of a failed run, or the reason of a diverged one."""


class _RecordedSplit(msgspec.Struct):
    """The kinds of the scores of a split; which of them are there is a matter of the version that wrote them."""

    mention: dict[str, Percent | None] = {}
    coref: dict[str, Percent | None] = {}
    entity: dict[str, Percent | None] = {}
    relation: dict[str, Percent | None] = {}
    relation_strict: dict[str, Percent | None] = {}
    extra: ExtraScores = {}


def open_run_folder(folder: Path, config: RunConfig) -> None:
    """Make a run folder and write its config; a UserError where that cannot be."""
    make_folder(folder, "give a folder that is yours, on a disk that has room (--runs DIR)")
    # A killed run may have been started where its data lay elsewhere: the paths of today count.
    atomic_write(folder / CONFIG, to_yaml(config).encode())


def write_record(folder: Path, record: RunRecord) -> None:
    """Write record.json whole."""
    write_json(folder / RECORD, record)


def read_record(folder: Path) -> RunRecord | None:
    """The record of a run folder, None where it has none; a damaged one is one clear line."""
    record = read_json(folder / RECORD, RunRecord, DAMAGED_WAY_OUT)
    if record is not None:
        try:
            msgspec.convert(record.metrics, dict[str, _RecordedSplit])
        except msgspec.ValidationError as error:
            raise UserError(f"{folder / RECORD} is damaged: metrics: {error}; {DAMAGED_WAY_OUT}") from None
    return record


def clean_up(folder: Path, *, keep: Literal["best", "none"]) -> None:
    """Delete what a finished run does not keep: the training state, and the chosen weights where `keep` is none."""
    delete(folder / LAST, within=folder)
    if keep == "none":
        delete(folder / BEST, within=folder)
    delete_run_leftovers(folder)


def clean_up_if_killed(folder: Path) -> None:
    """Clean up after a run whose process was killed, also between its last record and its own clean-up."""
    if not was_killed(folder):
        return
    with lock_folder(folder):
        record = read_record(folder)
        if record is not None and record.status == "finished":
            clean_up(folder, keep=from_yaml(folder / CONFIG).training.keep)
        else:
            delete_run_leftovers(folder)


def delete_run_leftovers(folder: Path) -> None:
    """Delete the temporary files of killed processes in a run folder; call it only with the folder locked."""
    delete_leftovers(folder)
    if not has_link((folder / LAST).parent, within=folder):
        delete_leftovers((folder / LAST).parent)


def find_run(reference: str, runs: Path) -> Path:
    """The run folder that a run id, a unique prefix of one, or a path names."""
    path = Path(reference).expanduser()
    if (path / CONFIG).is_file():
        return path
    if path.is_dir():
        raise UserError(f"{path} is a folder but no run: it has no {CONFIG}; give runs/<signature>/s<seed> or a run id")
    folders = {f"{folder.parent.name}-{folder.name}": folder for folder in run_folders(runs)}
    # A whole id is that run, though the id of seed 1 also begins that of seed 10.
    matching = [reference] if reference in folders else [name for name in folders if name.startswith(reference)]
    if len(matching) == 1:
        return folders[matching[0]]
    if matching:
        raise UserError(f"run {reference!r} is ambiguous: it begins {', '.join(matching[:5])}; give more of the id")
    existing = f"its runs are {', '.join(list(folders)[:5])}" if folders else "there is no run there"
    raise UserError(
        f"no run {reference!r} in {runs}/: {existing}; give a run id, a prefix or a run folder (--runs DIR)"
    )


def run_folders(runs: Path) -> Iterable[Path]:
    """Every run folder in a folder of runs, in the order of their names."""
    return (path.parent for path in sorted(runs.glob(f"*/s*/{CONFIG}")))
