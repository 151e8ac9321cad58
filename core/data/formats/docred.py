"""DocRED's JSON, which is also Re-DocRED's and that of JEREX's end-to-end split.

A file is a list of `{title, sents, vertexSet: [[{pos, sent_id, type, name}]], labels: [{h, t, r, evidence}]}`; `pos` is
a half-open token span in its sentence, a vertex set entry is a cluster, `h` and `t` index the clusters. Evidence is not
read. A document without `vertexSet` has no gold; one with `vertexSet` but without `labels` (DocRED's own test file) has
gold entities and no relations, which is counted, because its relation scores mean nothing.

Documents written as DocRED's JSON, so that every reader of DocRED reads them.
"""

from collections.abc import Iterable
from itertools import accumulate, chain, pairwise
from pathlib import Path
from typing import Any

import msgspec

from core.data.corpus import Corpus, UniqueIds
from core.data.documents import Annotation, Document, Entity, LabelSet, Relation, Span
from core.data.formats.types_file import read_types, type_fault
from core.data.issues import Issues, count_issues, count_mixed_types
from core.data.parsing import fault, garbage_collector_paused, parse_json, read_source
from core.errors import UserError
from core.files import atomic_write

__all__ = ["parse_docred", "read_docred", "read_types"]


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


def read_docred(path: Path | str, *, labels: LabelSet | None = None, max_span_tokens: int = 10) -> Corpus:
    """The documents of a DocRED file.

    Types are held against `labels` where they are given. Spans, clusters and relations keep the file's order and its
    duplicates. Mentions over `max_span_tokens` are counted. Raises `UserError` for every fault of the file.
    """
    return parse_docred(read_source(path), path, labels=labels, max_span_tokens=max_span_tokens)


def parse_docred(raw: bytes, path: Path | str, *, labels: LabelSet | None = None, max_span_tokens: int = 10) -> Corpus:
    """The same from bytes that were read already; `path` only names them in messages."""
    parsed: list[_Document] = parse_json(raw, list[_Document], path)
    if not parsed:
        raise fault(path, "holds 0 documents: give a file with at least 1")
    issues = Issues()
    identities = UniqueIds(issues)
    with garbage_collector_paused():
        documents = tuple(
            _Conversion(document, index, path, labels, issues).document(identities, max_span_tokens)
            for index, document in enumerate(parsed)
        )
    return Corpus(documents=documents, issues=issues)


def docred_document(raw: bytes, path: Path | str, *, index: int, line: int) -> Document:
    """The document of one JSON object, at `index` and `line` of its input; its id is its title, whoever else has it."""
    parsed: _Document = parse_json(raw, _Document, path, index=index, line=line)
    issues = Issues()
    return _Conversion(parsed, index, path, None, issues).document(UniqueIds(issues), max_span_tokens=10)


class _Conversion:
    """One document of a file on its way to a `Document`, with what its messages need."""

    def __init__(self, raw: _Document, index: int, path: Path | str, labels: LabelSet | None, issues: Issues) -> None:
        self.raw = raw
        self.index = index
        self.path = path
        self.labels = labels
        self.issues = issues
        self.starts = [0, *accumulate(len(sentence) for sentence in raw.sents)]

    def document(self, identities: UniqueIds, max_span_tokens: int) -> Document:
        if self.starts[-1] == 0:
            raise self.wrong("sents holds 0 tokens, and a document needs at least 1: remove it or give it text")
        identity = identities.take(self.raw.title, self.index)
        document = Document(
            id=identity,
            tokens=tuple(chain.from_iterable(self.raw.sents)),
            sentences=tuple(pairwise(self.starts)),
            title=self.raw.title,
            gold=self.gold(identity),
        )
        count_issues(document, self.issues, max_span_tokens=max_span_tokens)
        return document

    def gold(self, identity: str) -> Annotation | None:
        if self.raw.vertexSet is None:
            if self.raw.labels:
                raise self.wrong("field labels holds relations, but there is no vertexSet for them: add it")
            return None
        entities = [self.entity(cluster, number, identity) for number, cluster in enumerate(self.raw.vertexSet)]
        if self.raw.labels is None:
            self.issues.add("unlabelled_relations", identity)
        relations = [self.relation(label, number, len(entities)) for number, label in enumerate(self.raw.labels or ())]
        return Annotation.of(entities, relations)

    def entity(self, cluster: list[_Mention], number: int, identity: str) -> Entity:
        if not cluster:
            raise self.wrong(f"field vertexSet[{number}] holds 0 mentions, and a cluster needs at least 1: give it one")
        spans = tuple(self.span(mention, f"vertexSet[{number}][{m}]") for m, mention in enumerate(cluster))
        for span, mention in zip(spans, cluster, strict=True):
            self.compare_name(mention, span, identity)
        count_mixed_types(f"{identity}: entity {number}", (mention.type for mention in cluster), self.issues)
        return Entity(mentions=spans, type=cluster[0].type)

    def span(self, mention: _Mention, field: str) -> Span:
        sentences = self.raw.sents
        if not 0 <= mention.sent_id < len(sentences):
            limit = f"the document has {len(sentences)} sentences: give 0 to {len(sentences) - 1}"
            raise self.wrong(f"field {field}.sent_id is {mention.sent_id}, but {limit}")
        start, end = mention.pos
        length = len(sentences[mention.sent_id])
        if not 0 <= start < end <= length:
            reason = "which is empty" if start == end else f"but sentence {mention.sent_id} has {length} tokens"
            limit = f"give a half-open span with 0 <= start < end <= {length}"
            raise self.wrong(f"field {field}.pos is [{start}, {end}], {reason}: {limit}")
        if self.labels is not None and mention.type not in self.labels.entity_types:
            raise self.wrong(f"field {field}.type {type_fault('entity', mention.type, self.labels.entity_types)}")
        offset = self.starts[mention.sent_id]
        return offset + start, offset + end

    def compare_name(self, mention: _Mention, span: Span, identity: str) -> None:
        if mention.name is None:
            return
        start, end = mention.pos
        tokens = self.raw.sents[mention.sent_id][start:end]
        if "".join("".join(tokens).split()) != "".join(mention.name.split()):
            self.issues.add("name_mismatch", f'{identity}: "{mention.name}" for "{" ".join(tokens)}" at {span[0]}')

    def relation(self, label: _Label, number: int, entities: int) -> Relation:
        for key, value in (("h", label.h), ("t", label.t)):
            if not 0 <= value < entities:
                limit = f"vertexSet holds {entities} entities: give 0 to {entities - 1}"
                raise self.wrong(f"field labels[{number}].{key} is {value}, but {limit}")
        if self.labels is not None and label.r not in self.labels.relation_types:
            raise self.wrong(f"field labels[{number}].r {type_fault('relation', label.r, self.labels.relation_types)}")
        return Relation(head=label.h, tail=label.t, type=label.r)

    def wrong(self, what: str) -> UserError:
        return fault(self.path, what, index=self.index, title=self.raw.title)


def write_docred(documents: Iterable[Document], path: Path | str) -> None:
    """Write documents to one DocRED file, aside first and then renamed; reading it gives the documents back.

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
