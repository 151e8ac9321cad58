"""Prediction files: ours, and JEREX's `predictions.json`, read by the same rules.

Ours is JSON lines, a document a line: `{"id", "title", "tokens", "sentences": [[start, end]], "mentions": [{"start",
"end", "score"}], "entities": [{"mentions": [index], "type", "score"}], "relations": [{"head", "tail", "type",
"score"}]}`, for running text also `"text"` and `"offsets"`. Scores are those of `core.data.documents`; mentions and
entities have none in files of earlier versions. JEREX's is one JSON list of such objects without id, title, sentences
and score; as its joint evaluator stores it, a mention is `[start, end]` and an entity `{"cluster", "type"}`, which
indexes `"clusters"`, lists of mention indices. Further keys are ignored. Spans are half-open token spans in the
document.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from core.data.corpus import UniqueIds
from core.data.documents import Annotation, Document, Entity, LabelSet, Relation, Span
from core.data.formats.conversion import JsonConversion
from core.data.issues import Issues
from core.errors import fault
from core.files import atomic_write
from core.input_files import read_source
from core.parsing import garbage_collector_paused


class _Mention(msgspec.Struct, omit_defaults=True):
    start: int
    end: int
    score: float | None = None


class _Entity(msgspec.Struct, omit_defaults=True, kw_only=True):
    mentions: list[int] | None = None
    type: str
    cluster: int | None = None
    score: float | None = None


class _Document(msgspec.Struct):
    tokens: list[str]
    mentions: list[_Mention | tuple[int, int]]
    entities: list[_Entity]
    relations: list[Relation]
    id: str | int | None = None
    title: str | None = None
    sentences: list[Span] | None = None
    clusters: list[list[int]] | None = None
    text: str | None = None
    offsets: list[Span] | None = None


class Prediction(NamedTuple):
    """A document as its prediction file holds it (`gold` is None) and what was predicted for it."""

    document: Document
    annotation: Annotation


def read_predictions(path: Path | str, *, labels: LabelSet | None = None) -> list[Prediction]:
    """The predictions of a file in either form, whatever its extension; raises `UserError` for every fault of it."""
    return parse_predictions(read_source(path), path, labels=labels)


def parse_predictions(raw: bytes, path: Path | str, *, labels: LabelSet | None = None) -> list[Prediction]:
    """The same from bytes that were read already; `path` only names them in messages."""
    issues = Issues()
    ids = UniqueIds(issues)
    with garbage_collector_paused():
        predictions = [
            PredictionConversion(document, path, index, issues, labels).prediction(ids)
            for index, document in enumerate(PredictionConversion.parse_file(raw, path, issues))
        ]
    if not predictions:
        raise fault(path, "holds 0 documents: give a file with at least 1")
    return predictions


class PredictionConversion(JsonConversion[_Document]):
    """A document of a prediction file, its annotation as gold."""

    form = _Document

    @classmethod
    def objects(cls, documents: Sequence[_Document]) -> Iterable[Sequence[msgspec.Struct]]:
        yield documents
        yield [mention for one in documents for mention in one.mentions if not isinstance(mention, tuple)]
        yield [entity for one in documents for entity in one.entities]
        yield [relation for one in documents for relation in one.relations]

    def convert(self, ids: UniqueIds) -> Document:
        document, annotation = self.prediction(ids)
        return msgspec.structs.replace(document, gold=annotation)

    def prediction(self, ids: UniqueIds) -> Prediction:
        raw = self.raw
        if not raw.tokens:
            raise self.error("tokens holds 0 tokens, and a document needs at least 1: remove it or give it text")
        document_id = ids.take(raw.title if raw.id is None else str(raw.id), self.index)
        if raw.sentences is None:
            self.issues.add("no_sentences", document_id)
        if raw.offsets is not None and len(raw.offsets) != len(raw.tokens):
            counts = f"{len(raw.offsets)} offsets for {len(raw.tokens)} tokens"
            raise self.error(f"field offsets holds {counts}: give one for each, or leave the field out")
        document = Document(
            id=document_id,
            tokens=tuple(raw.tokens),
            sentences=self.sentences(),
            title=raw.title,
            text=raw.text,
            offsets=tuple(raw.offsets) if raw.offsets is not None else None,
        )
        return Prediction(document, self.annotation())

    def sentences(self) -> tuple[Span, ...]:
        length = len(self.raw.tokens)
        if self.raw.sentences is None:
            return ((0, length),)
        expected = 0
        for number, (start, end) in enumerate(self.raw.sentences):
            if start != expected or end < start:
                limit = f"sentences cover all tokens in order: give [{expected}, end]"
                raise self.error(f"field sentences[{number}] is [{start}, {end}], but {limit}")
            expected = end
        if expected != length:
            raise self.error(f"field sentences ends at {expected}, but there are {length} tokens: give them all")
        return tuple(self.raw.sentences)

    def annotation(self) -> Annotation:
        length = len(self.raw.tokens)
        spans = [
            mention if isinstance(mention, tuple) else (mention.start, mention.end) for mention in self.raw.mentions
        ]
        for number, (start, end) in enumerate(spans):
            if not 0 <= start < end <= length:
                limit = f"the document has {length} tokens: give 0 <= start < end <= {length}"
                raise self.error(f"field mentions[{number}] is {start} to {end}, but {limit}")
        entities = tuple(self.entity(entity, number, spans) for number, entity in enumerate(self.raw.entities))
        for number, relation in enumerate(self.raw.relations):
            for role, value in (("head", relation.head), ("tail", relation.tail)):
                field = f"relations[{number}].{role}"
                self.check_index(field, value, len(entities), f"there are {len(entities)} entities")
            self.check_type(f"field relations[{number}].type", "relation", relation.type)
        return Annotation(
            mentions=tuple(spans),
            entities=entities,
            relations=tuple(self.raw.relations),
            mention_scores=_scores(
                None if isinstance(mention, tuple) else mention.score for mention in self.raw.mentions
            ),
            entity_scores=_scores(entity.score for entity in self.raw.entities),
        )

    def entity(self, entity: _Entity, number: int, spans: list[Span]) -> Entity:
        field, members = f"entities[{number}]", entity.mentions
        if entity.cluster is not None and self.raw.clusters is not None:
            clusters = self.raw.clusters
            self.check_index(f"{field}.cluster", entity.cluster, len(clusters), f"there are {len(clusters)} clusters")
            members = clusters[entity.cluster]
        if not members:
            raise self.error(f"field {field}.mentions is empty or missing, but an entity needs at least 1: give one")
        for position in members:
            self.check_index(f"{field}.mentions", position, len(spans), f"there are {len(spans)} mentions")
        self.check_type(f"field {field}.type", "entity", entity.type)
        return Entity(mentions=tuple(spans[position] for position in members), type=entity.type)


def _scores(scores: Iterable[float | None]) -> tuple[float | None, ...]:
    """The scores, none at all where nothing has one."""
    scores = tuple(scores)
    return scores if any(score is not None for score in scores) else ()


def encode_prediction(document: Document, annotation: Annotation) -> bytes:
    """One line of our form, with its line break; reading it gives document and annotation back."""
    spans = [*annotation.mentions, *(span for entity in annotation.entities for span in entity.mentions)]
    numbers = {span: number for number, span in enumerate(dict.fromkeys(spans))}
    mention_scores = dict(zip(annotation.mentions, annotation.mention_scores, strict=False))
    entity_scores = annotation.entity_scores or (None,) * len(annotation.entities)
    line: dict[str, Any] = {
        "id": document.id,
        "title": document.title,
        "tokens": document.tokens,
        "sentences": document.sentences,
        "mentions": [_Mention(*span, mention_scores.get(span)) for span in numbers],
        "entities": [
            _Entity(mentions=[numbers[span] for span in entity.mentions], type=entity.type, score=score)
            for entity, score in zip(annotation.entities, entity_scores, strict=True)
        ],
        "relations": annotation.relations,
    }
    if document.text is not None:
        line["text"] = document.text
    if document.offsets is not None:
        line["offsets"] = document.offsets
    return msgspec.json.encode(line) + b"\n"


def write_predictions(predictions: Iterable[tuple[Document, Annotation]], path: Path | str) -> None:
    """Write pairs of document and annotation as JSON lines."""
    atomic_write(path, b"".join(encode_prediction(document, annotation) for document, annotation in predictions))
