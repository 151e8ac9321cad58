"""Made records with documents: a gold file, and predictions of every run that are wrong in ways a test chooses."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from core.data.documents import Annotation, Document, Entity, Relation
from core.data.formats.docred import encode_docred
from core.data.formats.predictions import write_predictions
from core.files import content_hash
from core.records.record import read_record, write_record
from core.scoring.diagnostics import by_sentence_distance
from core.scoring.evaluate import count_documents
from core.scoring.metrics import score
from studies.record import StudyRecord
from tests.reports.records import PAPER, make_study

HOSTILE = "</script><img src=x onerror=\"document.title='hit'\">"
"""A token that would run, were it not escaped."""


def made_documents(number: int) -> list[Document]:
    """Documents with a person named twice, a firm and a place in two sentences; the first has a hostile token."""
    documents = []
    for place in range(number):
        tokens = ("Ada", "Byron", "works", "for", "Acme", ".", "She", "left", "it", "in", "Oslo", ".")
        tokens = (*tokens, HOSTILE if place == 0 else "x") + ("word",) * (place % 7)
        entities = (Entity(((0, 2), (6, 7)), "PER"), Entity(((4, 5), (8, 9)), "ORG"), Entity(((10, 11),), "LOC"))
        relations = (Relation(0, 1, "P108"), Relation(1, 2, "P159"))
        title = f"Document {place} & <i>{place}</i>"
        documents.append(
            Document(
                id=title,
                title=title,
                tokens=tokens,
                sentences=((0, 6), (6, len(tokens))),
                gold=Annotation.from_entities(entities, relations),
            )
        )
    return documents


def mistaken(document: Document, kind: int) -> Annotation:
    """The gold of a document with one kind of mistake: none, a missed place, split clusters, or a wrong relation."""
    gold = document.gold
    assert gold is not None
    person, firm, place = gold.entities
    relations = tuple(msgspec.structs.replace(one, score=0.9) for one in gold.relations)
    if kind == 1:
        return Annotation.from_entities([person, firm], relations[:1])
    if kind == 2:
        parts = [Entity((span,), person.type) for span in person.mentions]
        return Annotation.from_entities([parts[0], firm, place, parts[1]], relations)
    if kind == 3:
        return Annotation.from_entities([person, firm, place], [Relation(0, 1, "P27", 0.7), relations[1]])
    return Annotation.from_entities(gold.entities, relations)


def make_annotated_study(
    runs: Path, kinds: Mapping[str, int], *, seeds: int = 2, documents: int = 6, profile: str = "paper"
) -> StudyRecord:
    """A study whose every row predicts `documents` documents with its kind of mistake in all but each third one."""
    gold = made_documents(documents)
    path = runs / "gold.json"
    runs.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_docred(gold))
    values = {row: dict.fromkeys(range(seeds), 50.0) for row in kinds}
    study = make_study(runs, values, rows=PAPER, profile=profile)
    for cell in study.row_runs:
        for seed in cell.runs:
            folder = runs / cell.signature / f"s{seed}"
            kind = kinds[cell.row]
            annotations = [mistaken(one, kind if place % 3 else 0) for place, one in enumerate(gold)]
            write_predictions(zip(gold, annotations, strict=True), folder / "predictions.test.jsonl")
            counts = count_documents(gold, annotations)
            (folder / "documents.test.json").write_bytes(msgspec.json.encode(counts))
            record = read_record(folder)
            assert record is not None
            assert record.provenance is not None
            scores = msgspec.to_builtins(score(counts))
            scores["extra"] |= {
                "documents": documents,
                "by_sentence_distance": by_sentence_distance(gold, annotations),
                "by_relation_type": {},
            }
            config = record.config | {"data": {"test": str(path)}, "tracking": {"wandb": "online", "entity": "we"}}
            config["tracking"]["project"] = "engram"
            origin = msgspec.structs.replace(record.provenance, data={str(path): content_hash(path)})
            changes = {"metrics": {"test": scores}, "config": config, "provenance": origin}
            write_record(folder, msgspec.structs.replace(record, **changes))
    return study
