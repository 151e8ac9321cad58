"""PubTator files, above all BioCreative V CDR.

A document is `ID|t|title`, `ID|a|abstract`, lines `ID start end text type identifier [parts]` and relations
`ID type head tail`, tab-separated. Offsets count characters in title + one space + abstract, which is `Document.text`.
Mentions with one identifier are one entity. A mention with several identifiers (`A|B`) is in each of their clusters;
the identifier -1 makes an entity of the mention alone. Tokens are cut at every annotation border. The end of the title
is always a sentence border, all others give way to mentions: a mention over the title's end stays in gold and cannot be
predicted. Cutting and joining at gold mentions tells a model a little about where they are.
"""

import re
from bisect import bisect_left
from pathlib import Path

import msgspec

from core.data.corpus import UniqueIds
from core.data.documents import Annotation, Document, Entity, Relation, Span
from core.data.formats.conversion import Conversion
from core.data.formats.text import split_sentences, tokenise
from core.data.issues import Issues, count_mixed_types
from core.errors import fault, shorten
from core.parsing import decode_text

UNKNOWN = "-1"
MAX_DIGITS = 12
_TEXT_LINE = re.compile(r"^([^\s|]+)\|([ta])\|(.*)$")


class _Mention(msgspec.Struct):
    """`ID start end text type identifier`; offsets in characters, `line` from 1."""

    line: int
    start: int
    end: int
    text: str
    type: str
    identifier: str


class _Relation(msgspec.Struct):
    """`ID type head tail`; head and tail are identifiers of mentions."""

    line: int
    type: str
    head: str
    tail: str


class _Document(msgspec.Struct):
    """The lines of one document; `line` is where it begins, from 1."""

    line: int
    id: str
    title: str
    abstract: str = ""
    mentions: list[_Mention] = msgspec.field(default_factory=list)
    relations: list[_Relation] = msgspec.field(default_factory=list)


def _parse(text: str, path: Path | str, issues: Issues, *, first_line: int = 1) -> list[_Document]:
    """The lines of a text by document; raises `UserError` for a line that has no known form."""
    documents: list[_Document] = []
    for number, line in enumerate(text.split("\n"), start=first_line):
        line = line.removesuffix("\r")
        if not line.strip():
            continue
        current = documents[-1] if documents else None
        match = _TEXT_LINE.match(line)
        if match is not None and match[2] == "t":
            documents.append(_Document(line=number, id=match[1], title=match[3]))
        elif match is not None:
            if current is None or current.id != match[1] or current.abstract:
                what = f"an abstract of {match[1]} without a title before it: put the line {match[1]}|t|... above it"
                raise fault(path, what, line=number)
            current.abstract = match[3]
        else:
            columns = line.split("\t")
            if current is None or columns[0] != current.id:
                expected = f"an annotation of document {current.id} or a new title" if current else "ID|t|title"
                raise fault(path, f"{shorten(line)} is not {expected}: give a PubTator file", line=number)
            try:
                _add_annotation(current, columns, number, issues)
            except ValueError as error:
                raise fault(path, str(error), index=len(documents) - 1, title=current.id, line=number) from None
    return documents


def _add_annotation(document: _Document, columns: list[str], number: int, issues: Issues) -> None:
    """Add the mention or relation of a line to its document; raises `ValueError` where it is neither."""
    if not columns[-1]:
        issues.add("trailing_tab", f"line {number}")
    filled = [column for column in columns if column]
    if len(filled) == 4 and not columns[1].isdecimal():
        document.relations.append(_Relation(line=number, type=columns[1], head=columns[2], tail=columns[3]))
        return
    if len(columns) not in (5, 6, 7):
        what = f"{len(columns)} columns, but a mention has 6 or 7 and a relation 4, tab-separated: correct the line"
        raise ValueError(what)
    for name, value in (("start", columns[1]), ("end", columns[2])):
        if not (value.isascii() and value.isdecimal() and len(value) <= MAX_DIGITS):
            limit = f"a whole number of characters, of at most {MAX_DIGITS} digits"
            what = f"{name} is {shorten(value)}, but an offset is {limit}: correct the line"
            raise ValueError(what)
    if len(columns) == 7:
        issues.add("seventh_column", f"line {number}")
        if columns[6]:
            issues.add("composite_mention", f'{document.id}: "{columns[3]}" = {columns[6]}')
    # A mention that nobody linked has an empty or no sixth column in some files, which means -1.
    identifier = (columns[5].strip() if len(columns) > 5 else "") or UNKNOWN
    start, end = int(columns[1]), int(columns[2])
    document.mentions.append(_Mention(number, start, end, columns[3], columns[4], identifier))


class PubtatorConversion(Conversion[_Document]):
    """A document of a PubTator file; its id is its PubMed id."""

    @classmethod
    def parse_file(cls, raw: bytes, path: Path | str, issues: Issues) -> list[_Document]:
        return _parse(decode_text(raw, path), path, issues)

    @classmethod
    def parse_document(cls, raw: bytes, path: Path | str, *, index: int, line: int) -> _Document:
        return _parse(decode_text(raw, path, index=index, line=line), path, Issues(), first_line=line)[0]

    @property
    def title(self) -> str:
        return self.raw.id

    def convert(self, ids: UniqueIds) -> Document:
        document_id = ids.take(self.raw.id, self.index)
        raw = self.raw
        text = f"{raw.title} {raw.abstract}" if raw.abstract else raw.title
        for mention in raw.mentions:
            self.check(mention, text)
        offsets = tokenise(text, (offset for mention in raw.mentions for offset in (mention.start, mention.end)))
        if not offsets:
            what = "holds 0 tokens, and a document needs at least 1: remove it or give it text"
            raise self.error(what, line=raw.line)
        starts = [start for start, _ in offsets]
        spans = [(bisect_left(starts, mention.start), bisect_left(starts, mention.end)) for mention in raw.mentions]
        for mention, (start, end) in zip(raw.mentions, spans, strict=True):
            if start == end:
                what = f'the mention "{mention.text}" holds no token: give a span of text'
                raise self.error(what, line=mention.line)
        sentences, joined = split_sentences(text, offsets, keep_whole=spans, breaks=[len(raw.title)])
        if joined:
            self.issues.add("joined_sentence", document_id, times=joined)
        return Document(
            id=document_id,
            tokens=tuple(text[start:end] for start, end in offsets),
            sentences=tuple(sentences),
            title=raw.title,
            gold=self.gold(spans, document_id),
            text=text,
            offsets=tuple(offsets),
        )

    def check(self, mention: _Mention, text: str) -> None:
        start, end = mention.start, mention.end
        if not 0 <= start < end <= len(text):
            limit = f"title and abstract have {len(text)} characters: give 0 <= start < end <= {len(text)}"
            raise self.error(f"the span is {start} to {end}, but {limit}", line=mention.line)
        if text[start:end] != mention.text:
            self.issues.add("text_mismatch", f'{self.raw.id}: "{mention.text}" for "{text[start:end]}" at {start}')
        self.check_type("the type", "entity", mention.type, line=mention.line)

    def gold(self, spans: list[Span], document_id: str) -> Annotation:
        clusters: dict[str, list[tuple[Span, str]]] = {}
        for number, (mention, span) in enumerate(zip(self.raw.mentions, spans, strict=True)):
            identifiers = list(dict.fromkeys(mention.identifier.split("|")))
            if "|" in mention.identifier:
                self.issues.add("several_ids", f'{document_id}: "{mention.text}" {mention.identifier}')
            if len(identifiers) > 1:
                # The mention has a cluster already; the unknown part of it would only copy the span.
                identifiers = [identifier for identifier in identifiers if identifier != UNKNOWN]
            elif identifiers == [UNKNOWN]:
                self.issues.add("unknown_id", f'{document_id}: "{mention.text}"')
                identifiers = [f"{UNKNOWN} {number}"]
            for identifier in identifiers:
                clusters.setdefault(identifier, []).append((span, mention.type))
        for identifier, cluster in clusters.items():
            count_mixed_types(f"{document_id}: {identifier}", (kind for _, kind in cluster), self.issues)
        entities = [Entity(tuple(span for span, _ in cluster), cluster[0][1]) for cluster in clusters.values()]
        return Annotation.from_entities(entities, self.relations(list(clusters), document_id))

    def relations(self, identifiers: list[str], document_id: str) -> list[Relation]:
        numbers = {identifier: number for number, identifier in enumerate(identifiers)}
        relations = []
        for relation in self.raw.relations:
            self.check_type("the relation type", "relation", relation.type, line=relation.line)
            missing = [end for end in (relation.head, relation.tail) if end not in numbers]
            if missing:
                self.issues.add("relation_without_mention", f"{document_id}: {relation.type} with {missing[0]}")
            else:
                relations.append(Relation(numbers[relation.head], numbers[relation.tail], relation.type))
        return relations
