"""Prediction files: ours and JEREX's, told apart by nothing, since ours only has more keys.

Ours is JSON lines, a document a line: `{"id", "title", "tokens", "sentences": [[start, end]], "mentions": [{"start",
"end"}], "entities": [{"mentions": [index], "type"}], "relations": [{"head", "tail", "type", "score"}]}`, for running
text also `"text"` and `"offsets"`. JEREX's `predictions.json` is one JSON list of such objects without id, title,
sentences and score. Further keys are passed over. Spans are half-open token spans in the document.

One document of a prediction file: its form in JSON, and its conversion with every index and span checked.

JEREX's own `predictions.json`, as its joint evaluator stores it, rewritten in the form of prediction files.

JEREX writes a mention as `[start, end]`, `clusters` as lists of mention indices, and an entity as `{"cluster",
"type"}`; the form of prediction files writes `{"start", "end"}` and gives an entity its `mentions`.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from core.data.corpus import Corpus, UniqueIds
from core.data.documents import Annotation, Document, Entity, LabelSet, Relation
from core.data.formats.types_file import type_fault
from core.data.issues import Issues, count_issues
from core.data.parsing import fault, garbage_collector_paused, parse_json, read_source
from core.errors import UserError
from core.files import atomic_write


class _Mention(msgspec.Struct):
    start: int
    end: int


class _Entity(msgspec.Struct):
    mentions: list[int]
    type: str


class _Relation(msgspec.Struct):
    head: int
    tail: int
    type: str
    score: float | None = None


class PredictedDocument(msgspec.Struct):
    """A document as the JSON holds it; what JEREX does not write is None. Mentions of entities are indices."""

    tokens: list[str]
    mentions: list[_Mention]
    entities: list[_Entity]
    relations: list[_Relation]
    id: str | int | None = None
    title: str | None = None
    sentences: list[tuple[int, int]] | None = None
    text: str | None = None
    offsets: list[tuple[int, int]] | None = None


class Prediction(NamedTuple):
    """A document as its prediction file holds it (`gold` is None) and what was predicted for it."""

    document: Document
    annotation: Annotation


class Conversion:
    """One document of a file on its way to a `Prediction`, with what its messages need."""

    def __init__(self, raw: PredictedDocument, index: int, path: Path | str, labels: LabelSet | None) -> None:
        self.raw = raw
        self.index = index
        self.path = path
        self.labels = labels

    def prediction(self, identities: UniqueIds, issues: Issues) -> Prediction:
        """The document and its annotation; raises `UserError` naming document and field."""
        raw = self.raw
        if not raw.tokens:
            raise self.wrong("tokens holds 0 tokens, and a document needs at least 1: remove it or give it text")
        wanted = raw.title if raw.id is None else str(raw.id)
        identity = identities.take(wanted, self.index)
        if raw.sentences is None:
            issues.add("no_sentences", identity)
        document = Document(
            id=identity,
            tokens=tuple(raw.tokens),
            sentences=self.sentences(),
            title=raw.title,
            text=raw.text,
            offsets=self.offsets(),
        )
        return Prediction(document, self.annotation())

    def sentences(self) -> tuple[tuple[int, int], ...]:
        if self.raw.sentences is None:
            return ((0, len(self.raw.tokens)),)
        expected = 0
        for number, (start, end) in enumerate(self.raw.sentences):
            if start != expected or end < start:
                limit = f"sentences cover all tokens in order: give [{expected}, end]"
                raise self.wrong(f"field sentences[{number}] is [{start}, {end}], but {limit}")
            expected = end
        if expected != len(self.raw.tokens):
            limit = f"there are {len(self.raw.tokens)} tokens: the last end is to equal that"
            raise self.wrong(f"field sentences ends at {expected}, but {limit}")
        return tuple(self.raw.sentences)

    def offsets(self) -> tuple[tuple[int, int], ...] | None:
        if self.raw.offsets is None:
            return None
        if len(self.raw.offsets) != len(self.raw.tokens):
            counts = f"{len(self.raw.offsets)} offsets for {len(self.raw.tokens)} tokens"
            raise self.wrong(f"field offsets holds {counts}: give one for each, or leave the field out")
        return tuple(self.raw.offsets)

    def annotation(self) -> Annotation:
        raw = self.raw
        for number, mention in enumerate(raw.mentions):
            if not 0 <= mention.start < mention.end <= len(raw.tokens):
                limit = f"the document has {len(raw.tokens)} tokens: give 0 <= start < end <= {len(raw.tokens)}"
                raise self.wrong(f"field mentions[{number}] is {mention.start} to {mention.end}, but {limit}")
        spans = [(mention.start, mention.end) for mention in raw.mentions]
        entities = []
        for number, entity in enumerate(raw.entities):
            if not entity.mentions:
                raise self.wrong(f"field entities[{number}].mentions is empty, but an entity needs 1: give one")
            for position in entity.mentions:
                self.within(position, len(spans), f"entities[{number}].mentions", "mentions")
            self.known("entity", entity.type, f"entities[{number}].type")
            entities.append(Entity(mentions=tuple(spans[position] for position in entity.mentions), type=entity.type))
        relations = []
        for number, relation in enumerate(raw.relations):
            self.within(relation.head, len(entities), f"relations[{number}].head", "entities")
            self.within(relation.tail, len(entities), f"relations[{number}].tail", "entities")
            self.known("relation", relation.type, f"relations[{number}].type")
            relations.append(Relation(head=relation.head, tail=relation.tail, type=relation.type, score=relation.score))
        return Annotation(mentions=tuple(spans), entities=tuple(entities), relations=tuple(relations))

    def within(self, value: int, size: int, field: str, what: str) -> None:
        if not 0 <= value < size:
            raise self.wrong(f"field {field} is {value}, but there are {size} {what}: give 0 to {size - 1}")

    def known(self, kind: str, value: str, field: str) -> None:
        if self.labels is not None:
            types = self.labels.entity_types if kind == "entity" else self.labels.relation_types
            if value not in types:
                raise self.wrong(f"field {field} {type_fault(kind, value, types)}")

    def wrong(self, what: str) -> UserError:
        return fault(self.path, what, index=self.index, title=self.raw.title)


_OTHER_FAULTS = (msgspec.DecodeError, KeyError, TypeError, ValueError, RecursionError)


def as_prediction_form(raw: bytes, path: Path | str) -> bytes:
    """The bytes in the form of prediction files where they are in JEREX's own, else as they came.

    Raises `UserError` for an entity of a cluster that is not there; every other fault stays in for the reader to name.
    """
    if b'"clusters"' not in raw:
        return raw
    try:
        documents = msgspec.json.decode(raw)
        rewritten = [_rewritten(document, index, path) for index, document in enumerate(documents)]
    except _OTHER_FAULTS:
        return raw
    return msgspec.json.encode(rewritten)


def object_in_prediction_form(raw: bytes, path: Path | str, index: int) -> bytes:
    """The same for the bytes of one object, which stands at `index` of its file."""
    if b'"clusters"' not in raw:
        return raw
    try:
        return msgspec.json.encode(_rewritten(msgspec.json.decode(raw), index, path))
    except _OTHER_FAULTS:
        return raw


def _rewritten(document: dict[str, Any], index: int, path: Path | str) -> dict[str, Any]:
    clusters = document["clusters"]
    entities = []
    for number, entity in enumerate(document["entities"]):
        cluster = int(entity["cluster"])
        if not 0 <= cluster < len(clusters):
            limit = f"there are {len(clusters)} clusters: give 0 to {len(clusters) - 1}"
            raise fault(path, f"field entities[{number}].cluster is {cluster}, but {limit}", index=index)
        entities.append({"mentions": clusters[cluster], "type": entity["type"]})
    mentions = [{"start": start, "end": end} for start, end in document["mentions"]]
    return {**document, "mentions": mentions, "entities": entities}


__all__ = ["Prediction", "encode_prediction", "read_predictions", "write_predictions"]


def read_predictions(path: Path | str, *, labels: LabelSet | None = None) -> list[Prediction]:
    """The predictions of a file in either form, whatever its extension; raises `UserError` for every fault of it."""
    return parse_predictions(read_source(path), path, labels=labels)


def parse_predictions(
    raw: bytes, path: Path | str, *, labels: LabelSet | None = None, issues: Issues | None = None
) -> list[Prediction]:
    """The same from bytes that were read already; `path` only names them in messages."""
    issues = Issues() if issues is None else issues
    parsed = _parse(raw, path)
    if not parsed:
        raise fault(path, "holds 0 documents: give a file with at least 1")
    identities = UniqueIds(issues)
    with garbage_collector_paused():
        return [
            Conversion(document, index, path, labels).prediction(identities, issues)
            for index, document in enumerate(parsed)
        ]


def parse_annotated(
    raw: bytes, path: Path | str, *, labels: LabelSet | None = None, max_span_tokens: int = 10
) -> Corpus:
    """A corpus whose gold is written in the form of predictions."""
    issues = Issues()
    predictions = parse_predictions(raw, path, labels=labels, issues=issues)
    documents = tuple(msgspec.structs.replace(document, gold=annotation) for document, annotation in predictions)
    for document in documents:
        count_issues(document, issues, max_span_tokens=max_span_tokens)
    return Corpus(documents=documents, issues=issues)


def annotated_document(raw: bytes, path: Path | str, *, index: int, line: int) -> Document:
    """The document of one JSON object in either form, its annotation as gold; its id is held against no other."""
    raw = object_in_prediction_form(raw, path, index)
    parsed: PredictedDocument = parse_json(raw, PredictedDocument, path, index=index, line=line)
    issues = Issues()
    document, annotation = Conversion(parsed, index, path, None).prediction(UniqueIds(issues), issues)
    return msgspec.structs.replace(document, gold=annotation)


def encode_prediction(document: Document, annotation: Annotation) -> bytes:
    """One line of our form, with its line break; reading it gives document and annotation back."""
    spans = [*annotation.mentions, *(span for entity in annotation.entities for span in entity.mentions)]
    numbers = {span: number for number, span in enumerate(dict.fromkeys(spans))}
    line: dict[str, Any] = {
        "id": document.id,
        "title": document.title,
        "tokens": document.tokens,
        "sentences": document.sentences,
        "mentions": [{"start": start, "end": end} for start, end in numbers],
        "entities": [
            {"mentions": [numbers[span] for span in entity.mentions], "type": entity.type}
            for entity in annotation.entities
        ],
        "relations": [
            {"head": relation.head, "tail": relation.tail, "type": relation.type, "score": relation.score}
            for relation in annotation.relations
        ],
    }
    if document.text is not None:
        line["text"] = document.text
    if document.offsets is not None:
        line["offsets"] = document.offsets
    return msgspec.json.encode(line) + b"\n"


def write_predictions(predictions: Iterable[tuple[Document, Annotation]], path: Path | str) -> None:
    """Write pairs of document and annotation as JSON lines, aside first and then renamed."""
    atomic_write(path, b"".join(encode_prediction(document, annotation) for document, annotation in predictions))


def _parse(raw: bytes, path: Path | str) -> list[PredictedDocument]:
    raw = as_prediction_form(raw, path)
    if raw.lstrip()[:1] == b"[":
        documents: list[PredictedDocument] = parse_json(raw, list[PredictedDocument], path)
        return documents
    lines = [(number, line) for number, line in enumerate(raw.split(b"\n"), start=1) if line.strip()]
    if len(lines) > 1 and lines[0][1].strip() == b"{":
        # A single object that an editor has spread over lines.
        return [parse_json(raw, PredictedDocument, path)]
    return [parse_json(line, PredictedDocument, path, line=number) for number, line in lines]
