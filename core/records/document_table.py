"""Document table: the relations of every document of a split, gold and predicted, with their strict counts and F1."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.data.documents import Annotation, Document
from core.data.formats.predictions import read_predictions
from core.errors import UserError
from core.input_files import read_json
from core.records.gold import read_gold
from core.records.record import DAMAGED_WAY_OUT, RunRecord
from core.scoring.metrics import DocumentCounts, add, document_f1

COLUMNS = ("title", "gold", "predicted", "tp", "fp", "fn", "F1")
TASK = "relation_strict"


def read_document_table(record: RunRecord, folder: Path, *, split: str) -> list[list[Any]]:
    """The rows of the table, read from a run folder; gold is empty where its file is gone or has changed.

    Raises a UserError where predictions or counts are not there or damaged.
    """
    predictions = read_predictions(folder / f"predictions.{split}.jsonl")
    counts = read_json(folder / f"documents.{split}.json", list[DocumentCounts], DAMAGED_WAY_OUT) or []
    try:
        gold = {document.id: document.gold for document in read_gold(record, split=split)}
    except (UserError, KeyError):
        gold = {}
    names = record.type_names.get("relation", {})
    rows: list[list[Any]] = []
    for (document, predicted), counted in zip(predictions, counts, strict=False):
        texts = [describe_relations(document, gold.get(document.id), names)]
        texts.append(describe_relations(document, predicted, names))
        tp, fp, fn = add(list(counted.counts[TASK].values()))
        rows.append([document.title or document.id, *texts, tp, fp, fn, document_f1(counted, TASK)])
    return rows


def describe_relations(document: Document, annotation: Annotation | None, names: Mapping[str, str]) -> str:
    """The relations of a document, a line each: `head, type, tail`, an entity by its first mention."""
    if annotation is None:
        return ""
    texts = [" ".join(document.tokens[slice(*entity.mentions[0])]) for entity in annotation.entities]
    return "\n".join(
        f"{texts[relation.head]}, {names.get(relation.type, relation.type)}, {texts[relation.tail]}"
        for relation in annotation.relations
    )
