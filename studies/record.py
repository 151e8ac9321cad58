"""Study record: which runs a study consists of, in study.json as `study run` wrote it and status and report read it."""

import re
from dataclasses import dataclass
from pathlib import Path

import msgspec

from core.config.presets import Tree, difference, merge
from core.config.signature import drop_neutral_sections
from core.errors import UserError, did_you_mean
from core.files import make_folder, write_json
from core.input_files import read_json
from studies.study import Study, check_rows, check_study_name

STUDIES, RECORD = "studies", "study.json"
WAY_OUT = "delete it, `engram study run` writes it again"
MAX_LISTED = 8
"""Studies that a message names."""


class RowRuns(msgspec.Struct, frozen=True):
    """The runs of a row, as the study record names them."""

    row: str
    signature: str
    runs: dict[int, str]
    """Seed -> run id."""


@dataclass(frozen=True)
class StudyRun:
    """A run that a study asks for: its row and seed, its id and folder."""

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
        """Row -> the earlier row that has the same runs; they are computed once."""
        first: dict[str, str] = {}
        earliest = {row.row: first.setdefault(row.signature, row.row) for row in self.row_runs}
        return {row: same for row, same in earliest.items() if row != same}

    @property
    def data_name(self) -> str | None:
        """The registered data set that the study ran on; None for files given by path, or a profile that is gone."""
        try:
            profile = difference(self.profile, "profiles")
        except UserError:
            profile = {}
        return (merge(profile, self.settings).get("data") or {}).get("name")

    def runs_in(self, folder: Path) -> tuple[StudyRun, ...]:
        """The runs, seed by seed, each once, with their folders in a folder of runs."""
        shared = self.shared
        rows = [row for row in self.row_runs if row.row not in shared]
        return tuple(
            StudyRun(row.row, seed, row.runs[seed], folder / row.signature / f"s{seed}")
            for seed in dict.fromkeys(seed for row in rows for seed in row.runs)
            for row in rows
            if seed in row.runs
        )


def study_label(name: str, profile: str) -> str:
    """`<study>@<profile>`."""
    return f"{name}@{profile}"


def study_folder(runs: Path, label: str) -> Path:
    """The folder of a study's record."""
    return runs / STUDIES / label


def write_study_record(runs: Path, record: StudyRecord) -> Path:
    """Write study.json whole; its path."""
    path = study_folder(runs, record.label) / RECORD
    make_folder(path.parent, "give a folder that is yours (--runs DIR)")
    write_json(path, record)
    return path


def read_study_record(path: Path) -> StudyRecord | None:
    """The study record of a file, None where there is none; a damaged one is one clear line."""
    record = read_json(path, StudyRecord, WAY_OUT)
    if record is not None:
        try:
            check_record(record)
        except UserError as error:
            raise UserError(f"{path} is damaged: {error}; {WAY_OUT}") from None
    return record


def check_record(record: StudyRecord) -> None:
    """Raise a UserError for a record that no `study run` writes: rows without a place, names that leave the folder."""
    study = record.study
    for name in (study.name, record.profile):
        check_study_name(name)
    for row in record.row_runs:
        # Also a guard: the runs' folders are named by it.
        if not re.fullmatch(r"[0-9a-f]{1,64}", row.signature) or not row.runs:
            raise UserError(f"row {row.row} has the signature {row.signature!r} and {len(row.runs)} runs")
    known = [*study.external, *(row.row for row in record.row_runs)]
    check_rows(study)
    strays = set(known) ^ set(study.rows)
    if strays or len(known) > len(set(known)):
        raise UserError(f"the rows with runs ({', '.join(known)}) are not those of its study ({', '.join(study.rows)})")


def find_study_record(name: str, runs: Path, *, profile: str | None = None) -> StudyRecord:
    """The record of a study that was run, under the given profile or the only one it was run under."""
    name = Path(name).stem if name.endswith((".yaml", ".yml")) else name
    requested = study_label(name, profile) if profile else name
    labels = [path.parent.name for path in sorted((runs / STUDIES).glob(f"*/{RECORD}"))]
    matches = [label for label in labels if requested in (label, label.rpartition("@")[0])]
    if len(matches) > 1:
        raise UserError(f"study {name} was run as {' and '.join(matches)}: choose one with --profile P")
    record = read_study_record(study_folder(runs, matches[0]) / RECORD) if matches else None
    if record is None:
        listed = ", ".join(labels[:MAX_LISTED]) + f" and {len(labels) - MAX_LISTED} more" * (len(labels) > MAX_LISTED)
        hint = did_you_mean(requested, [*labels, *(label.partition("@")[0] for label in labels)], cutoff=0.75)
        raise UserError(
            f"study {requested!r} was not run in {runs} (run there: {listed or 'none yet'}).{hint} Run it first "
            "(engram study run STUDY --profile P), or give another folder (--runs DIR)"
        )
    return record


def add_earlier_seeds(record: StudyRecord, folder: Path) -> StudyRecord:
    """The record with the seeds that the same rows ran on before; a UserError where other settings changed the rows."""
    before = read_study_record(folder / RECORD)
    if before is None:
        return record
    settings, now = drop_neutral_sections(before.settings), drop_neutral_sections(record.settings)
    earlier = {row.row: row for row in before.row_runs}
    pairs = [(row, earlier.get(row.row, row)) for row in record.row_runs]
    # Documents in other places on this machine are another setting, but the same runs.
    if settings != now and any(row.signature != same.signature for row, same in pairs):
        raise UserError(
            f"{folder.name} was run with {settings or 'no other settings'}, this time with {now or 'none'}: give the "
            "same settings, or keep this study apart (--name NAME)"
        )
    joint = [
        msgspec.structs.replace(row, runs=dict(sorted((same.runs | row.runs).items())))
        if same.signature == row.signature
        else row
        for row, same in pairs
    ]
    return msgspec.structs.replace(record, row_runs=joint)
