"""Documents of a report's viewer: those of a split with their gold, and what each system predicted for them.

Gold is read again from the file that a run was scored on, and only where that file still has the content hash that the
record holds; where it has not, predictions are shown alone, and the page says why.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from core.data.documents import Annotation, Document
from core.data.formats.predictions import read_predictions
from core.errors import UserError
from core.prediction.html import System, Viewer, build_viewer
from core.records.gold import read_gold
from core.records.record import SCORED, RunRecord, read_record
from core.scoring.metrics import items
from reports.captions import label
from reports.compare_inputs import ComparedSystem, read_prediction_file
from reports.frame import ReportData, run_facts
from reports.page.errors import KINDS, PredictionError, find_errors

MAX_RUNS = 40
"""Runs whose predictions a page holds; seeds in order, every row's first seed before any row's second."""


def build_study_viewer(data: ReportData, *, max_documents: int) -> Viewer | None:
    """The first documents of the frame's split, as a study's finished runs see them; None where there are none."""
    split = str(data.frame["split"].iloc[0])
    runs = run_facts(data.frame)
    finished = runs[runs["status"].isin(SCORED)].sort_values("seed", kind="stable").drop_duplicates("run")
    notes = []
    if len(finished) > MAX_RUNS:
        notes.append(f"The first {MAX_RUNS} of {len(finished)} runs, seed by seed.")
    systems = []
    for run in finished.head(MAX_RUNS).to_dict("records"):
        name = f"{label(data.study, run['row'])}, seed {run['seed']}"
        systems += read_system(name, Path(run["folder"]), split, notes)
    record = read_record(Path(finished["folder"].iloc[0])) if systems else None
    for row, files in data.study.study.external.items():
        gold = Path(data.study.study.rows[row].gold)
        for seed, path in files.items():
            predictions = read_prediction_file(path, gold).predictions
            systems.append(System(f"{label(data.study, row)}, seed {seed}", predictions))
    return viewer(record, systems, notes, split=split, max_documents=max_documents, type_names=data.type_names)


def build_comparison_viewer(a: ComparedSystem, b: ComparedSystem, *, split: str, max_documents: int) -> Viewer | None:
    """The first documents of two systems that are compared, as every seed of theirs sees them."""
    systems: list[System] = []
    notes: list[str] = []
    for letter, system in (("A", a), ("B", b)):
        first = len(systems)
        if system.predictions:
            systems.append(System(f"{letter}: {system.label}", system.predictions))
        for seed, folder in system.folders.items():
            name = f"{letter}: {system.label}" + (f", seed {seed}" if len(system.folders) > 1 else "")
            systems += read_system(name, folder, split, notes)
    compared = first if len(systems) > first else None
    folders = [*a.folders.values(), *b.folders.values()]
    record = read_record(folders[0]) if folders else None
    gold = [prediction.document for prediction in (*a.predictions, *b.predictions)]
    return viewer(
        record,
        systems,
        notes,
        split=split,
        max_documents=max_documents,
        type_names=a.type_names or b.type_names,
        gold=gold,
        compared=compared,
    )


def read_system(name: str, folder: Path, split: str, notes: list[str]) -> list[System]:
    """The system of a run, or none and a note that says why."""
    try:
        predictions = read_predictions(folder / f"predictions.{split}.jsonl")
    except UserError as error:
        notes.append(f"{name} is left out: {error}.")
        return []
    return [System(name, predictions, f"{folder.parent.name}-{folder.name}")]


def viewer(
    record: RunRecord | None,
    systems: Sequence[System],
    notes: list[str],
    *,
    split: str,
    max_documents: int,
    type_names: Mapping[str, Mapping[str, str]],
    gold: Sequence[Document] = (),
    compared: int | None = None,
) -> Viewer | None:
    """The viewer of the first documents that the systems predicted; without `gold`, with that of the run's split."""
    if not systems:
        return None
    documents = [document for document, _ in systems[0].predictions][:max_documents]
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
    return build_viewer(
        documents, systems, type_names=type_names, find_errors=judge, kinds=KINDS, notes=notes, compared=compared
    )


def judge(gold: Annotation, predicted: Annotation) -> tuple[list[PredictionError], list[int]]:
    """The errors of a prediction, and the indices of its relations that are strictly right."""
    right = items(gold)["relation_strict"]
    ends = [(frozenset(entity.mentions), entity.type) for entity in predicted.entities]
    relations = [(relation.type, (ends[relation.head], ends[relation.tail])) for relation in predicted.relations]
    return find_errors(gold, predicted), [number for number, relation in enumerate(relations) if relation in right]
