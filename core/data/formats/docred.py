"""DocRED's JSON, which is also Re-DocRED's and that of JEREX's end-to-end split, read and written.

A file is a list of `{title, sents, vertexSet: [[{pos, sent_id, type, name}]], labels: [{h, t, r, evidence}]}`; `pos` is
a half-open token span in its sentence, a vertex set entry is a cluster, `h` and `t` index the clusters. Evidence is not
read. A document without `vertexSet` has no gold; one with `vertexSet` but without `labels` (DocRED's own test file) has
gold entities and no relations, which is counted: relation scores on it are refused, because they mean nothing.
"""

from collections.abc import Iterable, Sequence
from itertools import accumulate, chain, pairwise
from pathlib import Path
from typing import Any

import msgspec

from core.data.corpus import UniqueIds
from core.data.documents import Annotation, Document, Entity, Relation, Span
from core.data.formats.conversion import JsonConversion
from core.data.issues import count_mixed_types
from core.errors import UserError
from core.files import atomic_write


class _Mention(msgspec.Struct):
    pos: tuple[int, int]
    sent_id: int
    type: str
    name: str | None = None


class _Label(msgspec.Struct):
    h: int
    t: int
    r: str


class _Document(msgspec.Struct):
    sents: list[list[str]]
    title: str | None = None
    vertexSet: list[list[_Mention]] | None = None
    labels: list[_Label] | None = None


class DocredConversion(JsonConversion[_Document]):
    """Spans, clusters and relations keep the file's order and its duplicates."""

    form, unread = _Document, ("evidence", "global_pos", "index")

    @classmethod
    def objects(cls, documents: Sequence[_Document]) -> Iterable[Sequence[msgspec.Struct]]:
        yield documents
        yield [mention for document in documents for cluster in document.vertexSet or () for mention in cluster]
        yield [label for document in documents for label in document.labels or ()]

    def convert(self, ids: UniqueIds) -> Document:
        self.starts = [0, *accumulate(len(sentence) for sentence in self.raw.sents)]
        if self.starts[-1] == 0:
            raise self.error("sents holds 0 tokens, and a document needs at least 1: remove it or give it text")
        document_id = ids.take(self.raw.title, self.index)
        return Document(
            id=document_id,
            tokens=tuple(chain.from_iterable(self.raw.sents)),
            sentences=tuple(pairwise(self.starts)),
            title=self.raw.title,
            gold=self.gold(document_id),
        )

    def gold(self, document_id: str) -> Annotation | None:
        if self.raw.vertexSet is None:
            if self.raw.labels:
                raise self.error("field labels holds relations, but there is no vertexSet for them: add it")
            return None
        entities = [self.entity(cluster, number, document_id) for number, cluster in enumerate(self.raw.vertexSet)]
        if self.raw.labels is None:
            self.issues.add("unlabelled_relations", document_id)
        relations = [self.relation(label, number, len(entities)) for number, label in enumerate(self.raw.labels or ())]
        annotation = Annotation.from_entities(entities, relations)
        return msgspec.structs.replace(annotation, relations_listed=self.raw.labels is not None)

    def entity(self, cluster: list[_Mention], number: int, document_id: str) -> Entity:
        if not cluster:
            raise self.error(f"field vertexSet[{number}] holds 0 mentions, and a cluster needs at least 1: give it one")
        spans = tuple(self.span(mention, f"vertexSet[{number}][{m}]", document_id) for m, mention in enumerate(cluster))
        count_mixed_types(f"{document_id}: entity {number}", (mention.type for mention in cluster), self.issues)
        return Entity(mentions=spans, type=cluster[0].type)

    def span(self, mention: _Mention, field: str, document_id: str) -> Span:
        sentences = self.raw.sents
        limit = f"the document has {len(sentences)} sentences"
        self.check_index(f"{field}.sent_id", mention.sent_id, len(sentences), limit)
        start, end = mention.pos
        sentence = sentences[mention.sent_id]
        if not 0 <= start < end <= len(sentence):
            reason = "which is empty" if start == end else f"but sentence {mention.sent_id} has {len(sentence)} tokens"
            limit = f"give a half-open span with 0 <= start < end <= {len(sentence)}"
            raise self.error(f"field {field}.pos is [{start}, {end}], {reason}: {limit}")
        self.check_type(f"field {field}.type", "entity", mention.type)
        offset = self.starts[mention.sent_id]
        tokens = sentence[start:end]
        if mention.name is not None and "".join("".join(tokens).split()) != "".join(mention.name.split()):
            example = f'{document_id}: "{mention.name}" for "{" ".join(tokens)}" at {offset + start}'
            self.issues.add("name_mismatch", example)
        return offset + start, offset + end

    def relation(self, label: _Label, number: int, entities: int) -> Relation:
        for key, value in (("h", label.h), ("t", label.t)):
            self.check_index(f"labels[{number}].{key}", value, entities, f"vertexSet holds {entities} entities")
        self.check_type(f"field labels[{number}].r", "relation", label.r)
        return Relation(head=label.h, tail=label.t, type=label.r)


def write_docred(documents: Iterable[Document], path: Path | str) -> None:
    """Write documents to one DocRED file; reading it gives the documents back.

    What DocRED has no field for is not written: character offsets, scores, mentions that no entity holds.
    """
    atomic_write(path, encode_docred(documents))


def encode_docred(documents: Iterable[Document]) -> bytes:
    """Documents as the content of a DocRED file."""
    items = [msgspec.json.encode(document_to_docred(document)) for document in documents]
    return b"[" + b",\n".join(items) + b"]\n"


def document_to_docred(document: Document) -> dict[str, Any]:
    """One document in DocRED's form; raises `UserError` for a mention that crosses a sentence border."""
    sentences = [list(document.tokens[start:end]) for start, end in document.sentences]
    written: dict[str, Any] = {"title": document.title or document.id, "sents": sentences}
    if document.gold is not None:
        written["vertexSet"] = [
            [_mention(document, span, entity.type) for span in entity.mentions] for entity in document.gold.entities
        ]
    if document.gold is not None and document.gold.relations_listed:
        written["labels"] = [
            {"h": relation.head, "t": relation.tail, "r": relation.type, "evidence": []}
            for relation in document.gold.relations
        ]
    return written


def _mention(document: Document, span: Span, entity_type: str) -> dict[str, Any]:
    for number, (start, end) in enumerate(document.sentences):
        if start <= span[0] and span[1] <= end:
            name = " ".join(document.tokens[span[0] : span[1]])
            pos = [span[0] - start, span[1] - start]
            return {"name": name, "pos": pos, "sent_id": number, "type": entity_type}
    raise UserError(
        f"document {document.id}: mention {list(span)} crosses a sentence border, and DocRED's form holds spans within "
        "one sentence: write a prediction file instead"
    )
