"""The study folder: which runs a study consists of, as `study run` wrote it and status and report read it."""

from dataclasses import dataclass
from pathlib import Path

import msgspec

from core.errors import UserError
from core.presets import Tree
from core.replacing import make_folder, replace_file
from studies.study import Study

STUDIES, RECORD = "studies", "study.json"


class Cell(msgspec.Struct, frozen=True):
    """A row's runs, as the study record names them."""

    row: str
    signature: str
    runs: dict[int, str]
    """Seed -> run id."""


class StudyRecord(msgspec.Struct, frozen=True):
    """What `study run` writes and status and report read: the study, on what it ran, and its runs."""

    study: Study
    profile: str
    settings: Tree
    """What flags changed in every row."""
    cells: list[Cell]

    @property
    def label(self) -> str:
        """The name of the study folder."""
        return label_of(self.study.name, self.profile)


@dataclass(frozen=True)
class RecordedRun:
    """A run as a study record names it."""

    row: str
    seed: int
    run_id: str
    folder: Path


@dataclass(frozen=True)
class RecordedStudy:
    """The runs of a study record, seed by seed, each once, as a plan has them."""

    study: Study
    runs: tuple[RecordedRun, ...]
    shared: dict[str, str]
    """Row -> the earlier row that is the same cell."""

    @classmethod
    def of(cls, record: StudyRecord, runs: Path) -> "RecordedStudy":
        """The runs of a record, their folders in a folder of runs."""
        first: dict[str, str] = {}
        shared = {cell.row: first[cell.signature] for cell in record.cells if known(first, cell)}
        found = [
            RecordedRun(cell.row, seed, run_id, runs / cell.signature / f"s{seed}")
            for cell in record.cells
            if cell.row not in shared
            for seed, run_id in cell.runs.items()
        ]
        return cls(record.study, tuple(sorted(found, key=lambda run: run.seed)), shared)


def known(first: dict[str, str], cell: Cell) -> bool:
    """Whether an earlier row is the same cell; the first one is remembered."""
    return first.setdefault(cell.signature, cell.row) != cell.row


def label_of(name: str, profile: str) -> str:
    """`<study>@<profile>`."""
    return f"{name}@{profile}"


def study_folder(runs: Path, label: str) -> Path:
    """Where the record of a study lies."""
    return runs / STUDIES / label


def write_study_record(runs: Path, record: StudyRecord) -> Path:
    """Write study.json whole; its path."""
    path = study_folder(runs, record.label) / RECORD
    make_folder(path.parent, "give a folder that is yours (--runs DIR)")
    replace_file(path, msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n")
    return path


def read_study_record(path: Path) -> StudyRecord | None:
    """The study record of a file, None where there is none; a damaged one is one clear line."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=StudyRecord)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise UserError(f"{path} is damaged: {error}; delete it, `engram study run` writes it again") from None


def find_study_record(name: str, runs: Path, *, profile: str | None = None) -> StudyRecord:
    """The record of a study that was run, under the one profile it was run under or the one that is given."""
    folder = runs / STUDIES
    name = Path(name).stem if name.endswith((".yaml", ".yml")) else name
    wanted = label_of(name, profile) if profile else name
    found = [
        path.parent.name
        for path in sorted(folder.glob(f"*/{RECORD}"))
        if wanted in (path.parent.name, path.parent.name.rpartition("@")[0])
    ]
    if len(found) == 1:
        record = read_study_record(folder / found[0] / RECORD)
        assert record is not None
        return record
    if found:
        raise UserError(f"study {name} was run as {' and '.join(found)}: say which with --profile P")
    known = ", ".join(path.parent.name for path in sorted(folder.glob(f"*/{RECORD}"))) or "none yet"
    raise UserError(
        f"study {wanted!r} was not run in {runs} (there: {known}): run `engram study run {name} --profile "
        f"{profile or 'P'}` first, or give another folder (--runs DIR)"
    )
