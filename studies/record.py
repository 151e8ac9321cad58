"""The study folder: which runs a study consists of, as `study run` wrote it and status and report read it."""

from dataclasses import dataclass
from pathlib import Path

import msgspec

from core.config.presets import Tree, difference, merge
from core.config.signature import drop_neutral_sections
from core.errors import UserError
from core.files import atomic_write, make_folder
from studies.study import Study

STUDIES, RECORD = "studies", "study.json"


class RowRuns(msgspec.Struct, frozen=True):
    """A row's runs, as the study record names them."""

    row: str
    signature: str
    runs: dict[int, str]
    """Seed -> run id."""


@dataclass(frozen=True)
class StudyRun:
    """A run that a study asks for: by which row and seed, its id and folder."""

    row: str
    seed: int
    run_id: str
    folder: Path

    @property
    def signature(self) -> str:
        """The run id without its seed."""
        return self.run_id.rpartition("-")[0]


class StudyRecord(msgspec.Struct, frozen=True):
    """What `study run` writes and status and report read: the study, on what it ran, and its runs."""

    study: Study
    profile: str
    settings: Tree
    """What flags changed in every row."""
    row_runs: list[RowRuns] = msgspec.field(name="cells")

    @property
    def label(self) -> str:
        """The name of the study folder."""
        return study_label(self.study.name, self.profile)

    @property
    def shared(self) -> dict[str, str]:
        """Row -> the earlier row that is the same cell; its runs are computed once."""
        first: dict[str, str] = {}
        return {
            cell.row: same for cell in self.row_runs if (same := first.setdefault(cell.signature, cell.row)) != cell.row
        }

    @property
    def data_name(self) -> str | None:
        """The registered data set that the study ran on; None for files given by path, or a profile that has gone."""
        try:
            below = difference(self.profile, "profiles")
        except UserError:
            below = {}
        return (merge(below, self.settings).get("data") or {}).get("name")

    def runs_in(self, folder: Path) -> tuple[StudyRun, ...]:
        """The runs, seed by seed, each once, with where they lie in a folder of runs."""
        shared = self.shared
        found = [
            StudyRun(cell.row, seed, run_id, folder / cell.signature / f"s{seed}")
            for cell in self.row_runs
            if cell.row not in shared
            for seed, run_id in cell.runs.items()
        ]
        return tuple(sorted(found, key=lambda run: run.seed))


def study_label(name: str, profile: str) -> str:
    """`<study>@<profile>`."""
    return f"{name}@{profile}"


def study_folder(runs: Path, label: str) -> Path:
    """Where the record of a study lies."""
    return runs / STUDIES / label


def write_study_record(runs: Path, record: StudyRecord) -> Path:
    """Write study.json whole; its path."""
    path = study_folder(runs, record.label) / RECORD
    make_folder(path.parent, "give a folder that is yours (--runs DIR)")
    atomic_write(path, msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n")
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
    wanted = study_label(name, profile) if profile else name
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


def add_earlier_seeds(record: StudyRecord, folder: Path) -> StudyRecord:
    """The record with the seeds of the same cells that were run before; other settings need another name."""
    before = read_study_record(folder / RECORD)
    if before is None:
        return record
    earlier, now = drop_neutral_sections(before.settings), drop_neutral_sections(record.settings)
    cells = {cell.row: cell.signature for cell in before.row_runs}
    # Documents that lie elsewhere on this machine are another setting, but the same cells.
    if earlier != now and any(cells.get(cell.row, cell.signature) != cell.signature for cell in record.row_runs):
        raise UserError(
            f"{folder.name} was run with {earlier or 'no other settings'}, this time with {now or 'none'}: give the "
            "same settings, or keep this study apart (--name NAME)"
        )
    known = {(cell.row, cell.signature): cell.runs for cell in before.row_runs}
    joint = [
        msgspec.structs.replace(
            cell, runs=dict(sorted((known.get((cell.row, cell.signature), {}) | cell.runs).items()))
        )
        for cell in record.row_runs
    ]
    return msgspec.structs.replace(record, row_runs=joint)
