"""HTML page of documents: running text with coloured mentions, clusters, and the relations between them.

The page of `engram predict --html` shows one system without gold, that of a report gold and many systems. Each is
packed, and unpacked by the browser when it is first shown, so that twenty systems over hundreds of documents open at
once. Nothing is fetched: style and script are inline.
"""

import gzip
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from core.data.documents import Annotation, Document, LabelSet, Span

TEMPLATES = Path(__file__).with_name("templates")
CLOSING = frozenset([")", "]", "}", ",", ".", ";", ":", "!", "?", "%", "'", "’", "”", "'s", "’s", "n't", "…"])
"""Tokens that follow the token before them without a space."""
OPENING = frozenset(["(", "[", "{", "$", "£", "€", "“", "‘", "#"])
"""Tokens that the next token follows without a space."""


class PackedAnnotation(msgspec.Struct, frozen=True, array_like=True):
    """An annotation as the page reads it: mentions, entities as (mentions, type, score), relations as (head, tail,
    type, score), scores of the mentions, none where nothing has one; entities in reading order."""

    mentions: list[Span]
    entities: list[tuple[list[Span], str, float | None]]
    relations: list[tuple[int, int, str, float | None]]
    scores: list[float | None]


class PackedDocument(msgspec.Struct, frozen=True):
    """A document as the page reads it; every token with the white space before it."""

    title: str
    tokens: list[str]
    gold: PackedAnnotation | None


class PackedPrediction(msgspec.Struct, frozen=True):
    """A prediction for a document and, where there is gold, its errors and the indices of the right relations.

    An error is an array whose first item is its kind.
    """

    predicted: PackedAnnotation
    errors: Sequence[Any] = ()
    right: Sequence[int] = ()


@dataclass(frozen=True)
class System:
    """A run or a prediction file: its name, what it predicted for which documents, and its run id."""

    name: str
    predictions: Sequence[tuple[Document, Annotation]]
    run: str = ""


@dataclass(frozen=True)
class Viewer:
    """What the template of the viewer needs: packed documents, packed predictions per system, and what limits them."""

    documents: str
    predictions: Sequence[str]
    data: dict[str, Any]
    """What the script knows before it unpacks anything."""
    has_gold: bool
    notes: Sequence[str]
    compared: int | None
    """The system that is shown next to the first from the start."""


def build_viewer(
    documents: Sequence[Document],
    systems: Sequence[System],
    *,
    type_names: Mapping[str, Mapping[str, str]],
    find_errors: Callable[[Annotation, Annotation], tuple[Sequence[Any], Sequence[int]]] = lambda *_: ((), ()),
    kinds: dict[str, tuple[str, str]] | None = None,
    notes: Sequence[str] = (),
    compared: int | None = None,
) -> Viewer:
    """The viewer of some documents; `type_names` are those of a run record, and the order of the types' colours.

    Spans, heads and tails must lie within their document (readers see to it). `find_errors` compares gold and a
    prediction, and `kinds` has the name and definition of each kind of error that it finds.
    """
    names = {**type_names.get("entity", {}), **type_names.get("relation", {})}
    golds = [packed_annotation(document.gold) if document.gold else None for document in documents]
    packed = [
        PackedDocument(document.title or document.id, spaced_tokens(document), gold)
        for document, gold in zip(documents, golds, strict=True)
    ]
    predictions: list[list[PackedPrediction | None]] = []
    for system in systems:
        by_id = {document.id: annotation for document, annotation in system.predictions}
        predictions.append([])
        for document in documents:
            annotation = by_id.get(document.id)
            errors = find_errors(document.gold, annotation) if document.gold and annotation else ()
            predictions[-1].append(PackedPrediction(packed_annotation(annotation), *errors) if annotation else None)
    annotations = [*(made.predicted for system in predictions for made in system if made), *filter(None, golds)]
    types = {kind for annotation in annotations for _, kind, _ in annotation.entities}
    data = {
        "systems": [{"name": system.name, "run": system.run} for system in systems],
        "ids": [document.id for document in documents],
        "names": names,
        "types": [kind for kind in names if kind in types] + sorted(types - names.keys()),
        "kinds": [
            {"kind": kind, "name": name, "definition": definition} for kind, (name, definition) in (kinds or {}).items()
        ],
    }
    return Viewer(pack(packed), [pack(system) for system in predictions], data, any(golds), notes, compared)


def render_predictions(
    predictions: Sequence[tuple[Document, Annotation]], labels: LabelSet | None = None, *, title: str = "Predictions"
) -> str:
    """The page of some documents and what was predicted for them; `labels` gives readable names of types."""
    documents = [msgspec.structs.replace(document, gold=None) for document, _ in predictions]
    viewer = build_viewer(documents, [System("", predictions)], type_names=labels.type_names() if labels else {})
    return templates(TEMPLATES).get_template("predictions.html").render(viewer=viewer, title=title)


def templates(*folders: Path) -> Environment:
    """The templates of some folders, the first that has a name wins; everything that they print is escaped."""
    return Environment(
        loader=FileSystemLoader(folders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def packed_annotation(annotation: Annotation) -> PackedAnnotation:
    """An annotation for the page."""
    entities = annotation.entities
    order = sorted(range(len(entities)), key=lambda index: (min(entities[index].mentions, default=(0, 0)), index))
    new = {old: number for number, old in enumerate(order)}
    spans = {span for entity in entities for span in entity.mentions}
    mentions = sorted({*annotation.mentions, *spans})
    mention_scores = dict(zip(annotation.mentions, annotation.mention_scores, strict=False))
    entity_scores = dict(enumerate(annotation.entity_scores))
    return PackedAnnotation(
        mentions=mentions,
        entities=[
            (sorted(set(entities[old].mentions)), entities[old].type, shorten_score(entity_scores.get(old)))
            for old in order
        ],
        relations=[
            (new[relation.head], new[relation.tail], relation.type, shorten_score(relation.score))
            for relation in annotation.relations
        ],
        scores=[shorten_score(mention_scores.get(span)) for span in mentions] if mention_scores else [],
    )


def shorten_score(score: float | None) -> float | None:
    """A score in the digits that the page shows."""
    return None if score is None else round(score, 3)


def spaced_tokens(document: Document) -> list[str]:
    """Every token with the white space before it: the source's, or a space where one would be written."""
    tokens = document.tokens
    if document.text is not None and document.offsets is not None:
        ends = [0, *(end for _, end in document.offsets)]
        return [
            document.text[end:start] + token
            for token, end, (start, _) in zip(tokens, ends, document.offsets, strict=False)
        ]
    return [
        token if before in OPENING or token in CLOSING else f" {token}"
        for before, token in zip(["(", *tokens], tokens, strict=False)
    ]


def pack(content: Any) -> str:
    """JSON, deflated, in letters that HTML holds as they are; the same content gives the same text."""
    return b64encode(gzip.compress(msgspec.json.encode(content), compresslevel=6, mtime=0)).decode()
