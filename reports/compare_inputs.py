"""What `engram compare` is given -> counts per document and seed, whether run, cell, study's row or prediction file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from core.data.formats import read_corpus
from core.data.formats.predictions import Prediction, read_predictions
from core.errors import UserError
from core.records.record import SCORED, find_run, read_record
from core.scoring.evaluate import count_documents, evaluate, match_documents
from core.scoring.metrics import DocumentCounts
from studies.record import find_study_record

T = TypeVar("T")


@dataclass(frozen=True)
class ComparedSystem:
    """One of two things compared: what it is called, and its counts per seed."""

    label: str
    counts: dict[int, list[DocumentCounts]]
    extra: dict[int, dict[str, Any]] = field(default_factory=dict)
    """Seed -> what goes beyond the five tasks, as `core.scoring.evaluate` has it."""
    folders: dict[int, Path] = field(default_factory=dict)
    """Seed -> run folder, where the side is runs."""
    predictions: Sequence[Prediction] = ()
    """Gold documents and what was predicted for them, where the side is a prediction file."""

    def under(self, seeds: Mapping[int, int]) -> "ComparedSystem":
        """The side with some of its seeds alone, each under the number that it is mapped to."""
        return replace(
            self,
            counts=_under(self.counts, seeds),
            extra=_under(self.extra, seeds),
            folders=_under(self.folders, seeds),
        )


def _under(part: Mapping[int, T], seeds: Mapping[int, int]) -> dict[int, T]:
    return {new: part[old] for old, new in seeds.items() if old in part}


def read_system(reference: str, *, runs: Path, split: str, gold: Path | None) -> ComparedSystem:
    """The side that a reference names, tried as: prediction file, `study:row`, cell (signature), run.

    Raises a UserError for a reference that names nothing, and for one without a single scored run.
    """
    path = Path(reference).expanduser()
    if path.is_file():
        if gold is None:
            raise UserError(f"{path} is a prediction file: give the documents it is to be scored on with --gold FILE")
        documents, annotations = match_documents(list(read_corpus(gold).documents), gold, read_predictions(path), path)
        pairs = [Prediction(document, annotation) for document, annotation in zip(documents, annotations, strict=True)]
        counts = {0: count_documents(documents, annotations)}
        return ComparedSystem(path.name, counts, {0: evaluate(documents, annotations).extra}, predictions=pairs)
    study, colon, row = reference.rpartition(":")
    if colon and not path.exists():
        record = find_study_record(study, runs)
        cell = next((cell for cell in record.row_runs if cell.row == row), None)
        if cell is None:
            known = ", ".join(cell.row for cell in record.row_runs)
            raise UserError(f"study {record.label} has no row {row!r}: its rows are {known}")
        folders = {seed: runs / cell.signature / f"s{seed}" for seed in cell.runs}
        return scored(f"{record.label}:{row}", folders, split)
    folder = runs / reference
    if reference and folder.is_dir() and next(folder.glob("s*/record.json"), None) is not None:
        seeds = sorted(int(path.parent.name[1:]) for path in folder.glob("s*/record.json"))
        return scored(reference, {seed: folder / f"s{seed}" for seed in seeds}, split)
    found = find_run(reference, runs)
    seed = found.name.removeprefix("s")
    return scored(f"{found.parent.name}-{found.name}", {int(seed) if seed.isdigit() else 0: found}, split)


def scored(label: str, folders: dict[int, Path], split: str) -> ComparedSystem:
    """The side of some run folders; those that are not finished are left out, but one must be."""
    counts, extra, found = {}, {}, {}
    for seed, folder in folders.items():
        record = read_record(folder)
        if record is not None and record.status in SCORED:
            counts[seed], found[seed] = read_counts(folder / f"documents.{split}.json"), folder
            extra[seed] = record.metrics.get(split, {}).get("extra", {})
    if not counts:
        raise UserError(f"{label} has no finished run to compare: let it finish, or give another")
    return ComparedSystem(label, counts, extra, found)


def read_counts(path: Path) -> list[DocumentCounts]:
    """The counts per document that a run stored."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[DocumentCounts])
    except FileNotFoundError:
        raise UserError(f"{path} is not there: the run was not scored on that split (--split)") from None
    except (OSError, msgspec.MsgspecError) as error:
        raise UserError(f"{path} is damaged: {error}; run `engram evaluate` on the run again") from None
