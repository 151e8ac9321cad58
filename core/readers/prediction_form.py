"""One document of a prediction file: its form in JSON, and its conversion with every index and span checked."""

from pathlib import Path
from typing import NamedTuple

import msgspec

from core.documents import Annotation, Dirt, Document, Entity, LabelSet, Relation
from core.errors import UserError
from core.readers.identity import Identities
from core.readers.source import fault
from core.readers.types_file import type_fault


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

    def prediction(self, identities: Identities, dirt: Dirt) -> Prediction:
        """The document and its annotation; raises `UserError` naming document and field."""
        raw = self.raw
        if not raw.tokens:
            raise self.wrong("tokens holds 0 tokens, and a document needs at least 1: remove it or give it text")
        wanted = raw.title if raw.id is None else str(raw.id)
        identity = identities.take(wanted, self.index)
        if raw.sentences is None:
            dirt.add("no_sentences", identity)
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
