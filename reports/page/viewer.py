"""The viewer's data as the page holds it: packed once per system, unpacked by the browser when it is looked at.

A page with twenty systems over hundreds of documents opens at once, since a browser inflates only what is shown.
"""

import gzip
from base64 import b64encode
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from core.data.documents import Annotation, Document, Span
from core.scoring.metrics import items
from reports.page.documents import Annotated, System
from reports.page.errors import KINDS, Finding, findings


class PackedAnnotation(msgspec.Struct, frozen=True, array_like=True):
    """An annotation as the page reads it: mentions, entities as (mentions, type), relations as (head, tail, type)."""

    mentions: tuple[Span, ...]
    entities: list[tuple[tuple[Span, ...], str]]
    relations: list[tuple[int, int, str, float | None]]


class PackedDocument(msgspec.Struct, frozen=True):
    """A document as the page reads it."""

    id: str
    title: str
    tokens: tuple[str, ...]
    starts: list[int]
    """First token of every sentence."""
    gold: PackedAnnotation | None


class PackedPrediction(msgspec.Struct, frozen=True):
    """A system's prediction for a document, and what is wrong with it where there is gold."""

    predicted: PackedAnnotation
    findings: list[Finding]
    right: list[int]
    """The predicted relations that are strictly right, by their place."""


@dataclass(frozen=True)
class PackedSystem:
    """A system for the page: its name, its run, and per document (None: not predicted) what `PackedPrediction` has."""

    name: str
    run: str
    packed: str


@dataclass(frozen=True)
class Viewer:
    """Everything the template needs; `kinds` as (kind, name, definition)."""

    documents: str
    systems: Sequence[PackedSystem]
    ids: Sequence[str]
    """The documents' ids."""
    kinds: Sequence[tuple[str, str, str]]
    names: dict[str, str]
    notes: Sequence[str]
    has_gold: bool
    errors: dict[str, list[int]]
    """Kind -> how many errors each system makes, in the order of the systems."""
    beside: int | None
    """The system that stands beside the first from the start."""


def viewer(annotated: Annotated) -> Viewer | None:
    """The viewer of some documents; None where there is nothing to look at."""
    if not annotated.documents or not annotated.systems:
        return None
    by_system = [predictions_of(annotated.documents, system) for system in annotated.systems]
    counted = [
        Counter(one.kind for prediction in made if prediction is not None for one in prediction.findings)
        for made in by_system
    ]
    return Viewer(
        documents=pack([packed_document(document) for document in annotated.documents]),
        systems=[
            PackedSystem(system.name, system.run, pack(made))
            for system, made in zip(annotated.systems, by_system, strict=True)
        ],
        ids=[document.id for document in annotated.documents],
        kinds=[(kind, name, told) for kind, (name, told) in KINDS.items()],
        names=annotated.names,
        notes=annotated.notes,
        has_gold=any(document.gold is not None for document in annotated.documents),
        errors={kind: [counts[kind] for counts in counted] for kind in KINDS},
        beside=annotated.beside,
    )


def predictions_of(documents: Sequence[Document], system: System) -> list[PackedPrediction | None]:
    """What a system predicted for each document, by the documents' ids."""
    known = {one.document.id: one.annotation for one in system.predictions}
    return [packed_prediction(document, known[document.id]) if document.id in known else None for document in documents]


def packed_document(document: Document) -> PackedDocument:
    """A document for the page."""
    return PackedDocument(
        id=document.id,
        title=document.title or document.id,
        tokens=document.tokens,
        starts=[start for start, _ in document.sentences],
        gold=packed_annotation(document.gold) if document.gold is not None else None,
    )


def packed_prediction(document: Document, predicted: Annotation) -> PackedPrediction:
    """A prediction for the page, held against the document's gold where it has one."""
    wrong: list[Finding] = []
    right: list[int] = []
    if document.gold is not None:
        wrong = findings(document.gold, predicted)
        wanted = items(document.gold)["relation_strict"]
        typed = [(frozenset(entity.mentions), entity.type) for entity in predicted.entities]
        right = [
            place
            for place, one in enumerate(predicted.relations)
            if (one.type, (typed[one.head], typed[one.tail])) in wanted
        ]
    return PackedPrediction(packed_annotation(predicted), wrong, right)


def packed_annotation(annotation: Annotation) -> PackedAnnotation:
    """An annotation for the page, entities in reading order."""
    entities = annotation.entities
    order = sorted(range(len(entities)), key=lambda place: (min(entities[place].mentions, default=(0, 0)), place))
    new = {old: place for place, old in enumerate(order)}
    held = {span for entity in entities for span in entity.mentions}
    return PackedAnnotation(
        mentions=tuple(sorted({*annotation.mentions, *held})),
        entities=[(tuple(sorted(set(entities[old].mentions))), entities[old].type) for old in order],
        relations=[
            (new[one.head], new[one.tail], one.type, None if one.score is None else round(one.score, 3))
            for one in annotation.relations
        ],
    )


def pack(content: Any) -> str:
    """JSON, deflated, in letters that HTML holds as they are; the same content gives the same text."""
    return b64encode(gzip.compress(msgspec.json.encode(content), compresslevel=6, mtime=0)).decode()
