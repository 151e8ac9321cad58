"""What the page's viewer shows: the documents of a split with their gold, and what each system predicted for them.

Gold is read again from the file that a run was scored on, and only where that file still has the content hash that the
record holds; where it has not, predictions are shown alone, and the page says why.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from core.config.schema import DataConfig
from core.data.datasets import SYNTHETIC, synthetic_paths
from core.data.documents import Document
from core.data.formats import read_corpus
from core.data.formats.predictions import Prediction, read_predictions
from core.data.formats.types_file import read_types
from core.data.splits import validation_split
from core.errors import UserError
from core.files import content_hash
from core.records.record import SCORED, RunRecord, read_record
from reports.captions import label
from reports.compare_inputs import ComparedSystem
from reports.frame import run_facts
from studies.record import StudyRecord

MAX_RUNS = 40
"""Runs whose predictions a page holds; seeds in order, every row's first seed before any row's second."""


@dataclass(frozen=True)
class System:
    """One run, or one prediction file: what it is called and what it predicted."""

    name: str
    predictions: Sequence[Prediction]
    run: str = ""


@dataclass(frozen=True)
class Annotated:
    """Documents, those with gold where it could be read, the systems, and what limits what is shown."""

    documents: Sequence[Document]
    systems: Sequence[System]
    names: dict[str, str] = field(default_factory=dict)
    """Type -> its readable name, where it has one."""
    notes: Sequence[str] = ()
    beside: int | None = None
    """The system that stands beside the first from the start."""


def of_study(study: StudyRecord, frame: pd.DataFrame, *, max_documents: int) -> Annotated:
    """The documents and predictions of a study's finished runs on the frame's split, the first documents only."""
    split = str(frame["split"].iloc[0])
    runs = run_facts(frame)
    finished = runs[runs["status"].isin(SCORED)].sort_values("seed", kind="stable").drop_duplicates("run")
    notes = []
    if len(finished) > MAX_RUNS:
        notes.append(f"Of {len(finished)} runs the first {MAX_RUNS}, seed by seed, are held here.")
    systems = []
    for run in finished.head(MAX_RUNS).to_dict("records"):
        name = f"{label(study, run['row'])}, seed {run['seed']}"
        try:
            systems.append(system(name, Path(run["folder"]), split=split, run=run["run"]))
        except UserError as error:
            notes.append(f"{name} is left out: {error}.")
    if not systems:
        return Annotated((), (), notes=notes)
    record = read_record(Path(finished["folder"].iloc[0]))
    assert record is not None
    return shown(record, systems, split=split, max_documents=max_documents, notes=notes)


def load_compared_documents(a: ComparedSystem, b: ComparedSystem, *, split: str, max_documents: int) -> Annotated:
    """The documents of two sides that are compared, with what every seed of theirs predicted."""
    systems, notes, record = [], [], None
    for letter, side in (("A", a), ("B", b)):
        if side.predictions:
            systems.append(System(f"{letter}: {side.label}", side.predictions))
        for seed, folder in side.folders.items():
            name = f"{letter}: {side.label}" + (f", seed {seed}" if len(side.folders) > 1 else "")
            try:
                systems.append(system(name, folder, split=split, run=f"{folder.parent.name}-{folder.name}"))
                record = record or read_record(folder)
            except UserError as error:
                notes.append(f"{name} is left out: {error}.")
    if not systems:
        return Annotated((), (), notes=notes)
    documents = [one.document for one in (*a.predictions, *b.predictions)]
    made = shown(record, systems, split=split, max_documents=max_documents, gold=documents, notes=notes)
    first_of_b = next((place for place, one in enumerate(systems) if one.name.startswith("B: ")), None)
    return replace(made, beside=first_of_b)


def system(name: str, folder: Path, *, split: str, run: str) -> System:
    """The system that a run folder holds; raises a UserError where its predictions are not there."""
    return System(name, read_predictions(folder / f"predictions.{split}.jsonl"), run)


def shown(
    record: RunRecord | None,
    systems: Sequence[System],
    *,
    split: str,
    max_documents: int,
    gold: Sequence[Document] = (),
    notes: Iterable[str] = (),
) -> Annotated:
    """The first documents that the systems predicted, with gold: what is given, else what a run was scored on."""
    told = list(notes)
    documents = [one.document for one in systems[0].predictions][:max_documents]
    if len(documents) < len(systems[0].predictions):
        told.append(f"The first {len(documents)} of {len(systems[0].predictions)} documents (--documents).")
    try:
        if not gold and record is not None:
            gold = read_gold(record, split=split)
    except UserError as error:
        told.append(f"Predictions are shown without gold: {error}.")
    # A document that was cut to the encoder's positions is shown whole: what was cut off was missed.
    known = {document.id: document for document in gold}
    documents = [known.get(document.id, document) for document in documents]
    return Annotated(documents, systems, readable_names(record) if record is not None else {}, told)


def read_gold(record: RunRecord, *, split: str) -> Sequence[Document]:
    """The annotated documents of a split, read from the file that the run read; a UserError says why they cannot be."""
    data = DataConfig.model_validate(record.config.get("data") or {})
    part = split if getattr(data, split, None) else "train"
    path = file_of(record, data, part)
    documents = read_corpus(path, format=data.format).documents
    if part == split:
        return documents
    if split != "validation":
        raise UserError(f"the run has no {split} documents")
    return validation_split(documents, data.validation_share)[1]


def file_of(record: RunRecord, data: DataConfig, part: str) -> Path:
    """The file of a part of a run's data, held against the content hash in the record."""
    told = getattr(data, part)
    if told is None:
        raise UserError(f"the record of {record.run_id} names no file of {part} documents")
    path = Path(told)
    expected = record.provenance.data.get(told) if record.provenance is not None else None
    if not path.is_file() and path.parent.name == SYNTHETIC:
        # The embedded corpus can be made again, wherever the study was computed.
        path = synthetic_paths().get(part, path)
    if not path.is_file():
        raise UserError(f"{path} is not there any more")
    if expected != content_hash(path):
        raise UserError(f"{path} is not the file that {record.run_id} read: its content hash differs")
    return path


def readable_names(record: RunRecord) -> dict[str, str]:
    """Type -> readable name, from the types file of a run; empty where it has none, or it is gone."""
    data = DataConfig.model_validate(record.config.get("data") or {})
    if data.types is None:
        return {}
    try:
        labels = read_types(Path(file_of(record, data, "types")))
    except UserError:
        return {}
    pairs = zip(
        (*labels.entity_types, *labels.relation_types), (*labels.entity_names, *labels.relation_names), strict=True
    )
    return {kind: name for kind, name in pairs if name != kind}
