"""Inputs of `engram compare`: a run, a signature, STUDY:ROW or a prediction file -> counts per document and seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from core.data.documents import describe_unlabelled
from core.data.formats import read_corpus
from core.data.formats.predictions import Prediction
from core.data.stream import read_documents
from core.errors import UserError, fault
from core.input_files import read_json
from core.records.record import SCORED, find_run, read_record
from core.scoring.evaluate import count_documents, evaluate, match_documents
from core.scoring.metrics import DocumentCounts
from studies.record import find_study_record
from studies.study import Study


@dataclass(frozen=True)
class ComparedSystem:
    """One of the two systems compared: what it is called, and its counts per seed."""

    label: str
    counts: dict[int, list[DocumentCounts]]
    extra: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    """Seed -> what goes beyond the five tasks, as `core.scoring.evaluate` has it."""
    folders: dict[int, Path] = field(default_factory=dict)
    """Seed -> run folder, where the system is runs."""
    files: dict[int, Path] = field(default_factory=dict)
    """Seed -> the file that its counts are from."""
    type_names: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Readable names of types, as the first record that has them holds them."""
    predictions: Sequence[Prediction] = ()
    """Gold documents and what was predicted for them, where the system is a prediction file."""

    def select_seeds(self, seeds: Mapping[int, int]) -> "ComparedSystem":
        """The system with some of its seeds alone, each under the number that it is mapped to."""
        kept: dict[str, Any] = {
            name: {new: values[old] for old, new in seeds.items() if old in (values := getattr(self, name))}
            for name in ("counts", "extra", "folders", "files")
        }
        return replace(self, **kept)


def read_system(reference: str, *, runs: Path, split: str, gold: Path | None) -> ComparedSystem:
    """The system that a reference names, tried as: prediction file, `study:row`, signature, run.

    Raises a UserError for a reference that names nothing, and for one without a single scored run.
    """
    path = Path(reference).expanduser()
    if path.is_file():
        if gold is None:
            raise UserError(f"{path} is a prediction file: give the documents it is to be scored on with --gold FILE")
        return read_prediction_file(path, gold)
    study, colon, row = reference.rpartition(":")
    if colon and not path.exists():
        record = find_study_record(study, runs)
        if row in record.study.external:
            return read_external_row(record.study, row)
        rows = {row_runs.row: row_runs for row_runs in record.row_runs}
        if row not in rows:
            raise UserError(f"study {record.label} has no row {row!r}: its rows are {', '.join(rows)}")
        folders = {seed: runs / rows[row].signature / f"s{seed}" for seed in rows[row].runs}
        return read_run_folders(f"{record.label}:{row}", folders, split)
    folders = {int(record.parent.name[1:]): record.parent for record in (runs / reference).glob("s*/record.json")}
    if reference and folders:
        return read_run_folders(reference, dict(sorted(folders.items())), split)
    folder = find_run(reference, runs)
    seed = folder.name.removeprefix("s")
    return read_run_folders(f"{folder.parent.name}-{folder.name}", {int(seed) if seed.isdigit() else 0: folder}, split)


@cache
def read_prediction_file(path: Path, gold: Path) -> ComparedSystem:
    """A prediction file, scored on gold documents as if it were a run's one seed; read once, however often asked."""
    documents = list(read_corpus(gold).documents)
    annotations = match_documents(documents, gold, read_documents(path, format="predictions"), path)
    if unlabelled := sum(document.lacks_relations for document in documents):
        reason = describe_unlabelled(unlabelled, len(documents))
        raise fault(gold, f"{reason}, so that no relation scores can be compared: `engram score` gives the others")
    pairs = [Prediction(document, annotation) for document, annotation in zip(documents, annotations, strict=True)]
    counts, extra = count_documents(documents, annotations), evaluate(documents, annotations).extra
    return ComparedSystem(path.name, {0: counts}, {0: extra}, files={0: path}, predictions=pairs)


def read_external_row(study: Study, row: str) -> ComparedSystem:
    """A row of a study that is scored from prediction files, each as a seed."""
    gold = Path(study.rows[row].gold)
    systems = {seed: read_prediction_file(path, gold) for seed, path in study.external[row].items()}
    counts, extra = ({seed: getattr(one, name)[0] for seed, one in systems.items()} for name in ("counts", "extra"))
    return ComparedSystem(f"{study.name}:{row}", counts, extra, files=study.external[row])


def read_run_folders(label: str, folders: dict[int, Path], split: str) -> ComparedSystem:
    """Some run folders by seed; those that are not finished are left out, but one must be."""
    system = ComparedSystem(label, {})
    type_names: Mapping[str, Mapping[str, str]] = {}
    for seed, folder in folders.items():
        record = read_record(folder)
        if record is not None and record.status in SCORED:
            system.files[seed] = folder / f"documents.{split}.json"
            system.counts[seed] = read_counts(system.files[seed])
            system.extra[seed] = record.metrics.get(split, {}).get("extra", {})
            system.folders[seed] = folder
            type_names = type_names or record.type_names
    if not system.counts:
        raise UserError(f"{label} has no finished run to compare: let it finish, or give another")
    return replace(system, type_names=type_names)


def read_counts(path: Path) -> list[DocumentCounts]:
    """The counts per document that a run stored."""
    counts = read_json(path, list[DocumentCounts], "restore it, or delete the run and run it again")
    if counts is None:
        raise UserError(f"{path} is not there: the run was not scored on that split (--split)")
    return counts
