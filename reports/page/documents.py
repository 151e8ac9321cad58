"""Documents of a report's viewer: those of a split with their gold, and what each system predicted for them.

Gold is read again from the file that a run was scored on, and only where that file still has the content hash that the
record holds; where it has not, predictions are shown alone, and the page says why.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from core.config.schema import DataConfig
from core.data.datasets import SYNTHETIC, synthetic_paths
from core.data.documents import Annotation, Document
from core.data.formats import read_corpus
from core.data.formats.predictions import Prediction, read_predictions
from core.data.formats.types_file import read_types
from core.data.splits import validation_split
from core.errors import UserError
from core.files import content_hash
from core.prediction.html import PackedPrediction, System, Viewer, build_viewer, packed_annotation, type_names
from core.records.record import SCORED, RunRecord, read_record
from core.scoring.metrics import items
from reports.captions import label
from reports.compare_inputs import ComparedSystem
from reports.frame import run_facts
from reports.page.errors import KINDS, find_errors
from studies.record import StudyRecord

MAX_RUNS = 40
"""Runs whose predictions a page holds; seeds in order, every row's first seed before any row's second."""


@dataclass(frozen=True)
class Predicted:
    """One run, or one prediction file: its name, its run id and its predictions."""

    name: str
    predictions: Sequence[Prediction]
    run: str = ""


def build_study_viewer(study: StudyRecord, frame: pd.DataFrame, *, max_documents: int) -> Viewer | None:
    """The first documents of the frame's split, as a study's finished runs see them; None where there are none."""
    split = str(frame["split"].iloc[0])
    runs = run_facts(frame)
    finished = runs[runs["status"].isin(SCORED)].sort_values("seed", kind="stable").drop_duplicates("run")
    notes = []
    if len(finished) > MAX_RUNS:
        notes.append(f"The first {MAX_RUNS} of {len(finished)} runs, seed by seed.")
    systems = []
    for run in finished.head(MAX_RUNS).to_dict("records"):
        name = f"{label(study, run['row'])}, seed {run['seed']}"
        try:
            systems.append(Predicted(name, _run_predictions(Path(run["folder"]), split), run["run"]))
        except UserError as error:
            notes.append(f"{name} is left out: {error}.")
    record = read_record(Path(finished["folder"].iloc[0])) if systems else None
    return viewer(record, systems, notes, split=split, max_documents=max_documents)


def build_comparison_viewer(a: ComparedSystem, b: ComparedSystem, *, split: str, max_documents: int) -> Viewer | None:
    """The first documents of two systems that are compared, as every seed of theirs sees them."""
    systems: list[Predicted] = []
    notes: list[str] = []
    record, compared = None, None
    for letter, system in (("A", a), ("B", b)):
        before = len(systems)
        if system.predictions:
            systems.append(Predicted(f"{letter}: {system.label}", system.predictions))
        for seed, folder in system.folders.items():
            name = f"{letter}: {system.label}" + (f", seed {seed}" if len(system.folders) > 1 else "")
            try:
                predictions = _run_predictions(folder, split)
                record = record or read_record(folder)
            except UserError as error:
                notes.append(f"{name} is left out: {error}.")
            else:
                systems.append(Predicted(name, predictions, f"{folder.parent.name}-{folder.name}"))
        compared = before if len(systems) > before else None
    gold = [prediction.document for prediction in (*a.predictions, *b.predictions)]
    return viewer(record, systems, notes, split=split, max_documents=max_documents, gold=gold, compared=compared)


def _run_predictions(folder: Path, split: str) -> list[Prediction]:
    return read_predictions(folder / f"predictions.{split}.jsonl")


def viewer(
    record: RunRecord | None,
    systems: Sequence[Predicted],
    notes: list[str],
    *,
    split: str,
    max_documents: int,
    gold: Sequence[Document] = (),
    compared: int | None = None,
) -> Viewer | None:
    """The viewer of the first documents that the systems predicted; without `gold`, with that of the run's split."""
    if not systems or not systems[0].predictions:
        return None
    documents = [prediction.document for prediction in systems[0].predictions][:max_documents]
    if len(documents) < len(systems[0].predictions):
        notes.append(f"The first {len(documents)} of {len(systems[0].predictions)} documents (--documents).")
    try:
        if not gold and record is not None:
            gold = read_gold(record, split=split)
    except UserError as error:
        notes.append(f"Predictions are shown without gold: {error}.")
    # A document that was cut to the encoder's positions is shown whole: what was cut off was missed.
    by_id = {document.id: document for document in gold}
    documents = [by_id.get(document.id, document) for document in documents]
    packed = []
    for system in systems:
        predicted = {prediction.document.id: prediction.annotation for prediction in system.predictions}
        judged = [judge(document, predicted.get(document.id)) for document in documents]
        packed.append(System(system.name, judged, system.run))
    names = read_type_names(record) if record is not None else {}
    return build_viewer(documents, packed, names=names, kinds=KINDS, notes=notes, compared=compared)


def judge(document: Document, predicted: Annotation | None) -> PackedPrediction | None:
    """A prediction for the page, with its errors and its right relations where the document has gold."""
    if predicted is None:
        return None
    if document.gold is None:
        return PackedPrediction(packed_annotation(predicted))
    gold = items(document.gold)["relation_strict"]
    ends = [(frozenset(entity.mentions), entity.type) for entity in predicted.entities]
    right = [
        number
        for number, relation in enumerate(predicted.relations)
        if (relation.type, (ends[relation.head], ends[relation.tail])) in gold
    ]
    return PackedPrediction(packed_annotation(predicted), find_errors(document.gold, predicted), right)


def read_gold(record: RunRecord, *, split: str) -> Sequence[Document]:
    """The annotated documents of a split, read from the file that the run read; a UserError says why they cannot be."""
    data = DataConfig.model_validate(record.config.get("data") or {})
    name = split if getattr(data, split, None) else "train"
    documents = read_corpus(data_file(record, data, name), format=data.format).documents
    if name == split:
        return documents
    if split != "validation":
        raise UserError(f"the run has no {split} documents")
    return validation_split(documents, data.validation_share)[1]


def data_file(record: RunRecord, data: DataConfig, name: str) -> Path:
    """The train, validation, test or types file of a run, which must have the content hash that the record holds."""
    setting = getattr(data, name)
    if setting is None:
        raise UserError(f"the record of {record.run_id} names no file of {name} documents")
    path = Path(setting)
    expected = record.provenance.data.get(setting) if record.provenance is not None else None
    if not path.is_file() and path.parent.name == SYNTHETIC:
        # The embedded corpus can be made again, wherever the study was computed.
        path = synthetic_paths().get(name, path)
    if not path.is_file():
        raise UserError(f"{path} is not there any more")
    if expected != content_hash(path):
        raise UserError(f"{path} is not the file that {record.run_id} read: its content hash differs")
    return path


def read_type_names(record: RunRecord) -> dict[str, str]:
    """Type -> readable name, from the types file of a run; empty where it has none, or it is gone."""
    data = DataConfig.model_validate(record.config.get("data") or {})
    try:
        return type_names(read_types(data_file(record, data, "types"))) if data.types is not None else {}
    except UserError:
        return {}
