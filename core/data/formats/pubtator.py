"""PubTator files, above all BioCreative V CDR.

A document is `ID|t|title`, `ID|a|abstract`, lines `ID start end text type identifier [parts]` and relations
`ID type head tail`, tab-separated. Offsets count characters in title + one space + abstract, which is `Document.text`.
Mentions with one identifier are one entity. A mention with several identifiers (`A|B`) is in each of their clusters;
the identifier -1 makes an entity of the mention alone. Tokens are cut at every annotation border. The end of the title
is always a sentence border, all others give way to mentions: a mention over the title's end stays in gold and cannot be
predicted. Cutting and joining at gold mentions tells a model a little about where they are.

The lines of a PubTator file, gathered by document; offsets and clusters are not looked at here.
"""

import re
from bisect import bisect_left
from pathlib import Path

import msgspec

from core.data.corpus import Corpus, UniqueIds
from core.data.documents import Annotation, Document, Entity, LabelSet, Relation, Span
from core.data.formats.text import split_sentences, tokenise
from core.data.formats.types_file import type_fault
from core.data.issues import Issues, count_issues, count_mixed_types
from core.data.parsing import decode_text, fault, read_source, shorten
from core.errors import UserError

_TEXT_LINE = re.compile(r"^([^\s|]+)\|([ta])\|(.*)$")


class MentionLine(msgspec.Struct):
    """`ID start end text type identifier`; offsets in characters, `line` from 1."""

    line: int
    start: int
    end: int
    text: str
    type: str
    identifier: str


class RelationLine(msgspec.Struct):
    """`ID type head tail`; head and tail are identifiers of mentions."""

    line: int
    type: str
    head: str
    tail: str


class Block(msgspec.Struct):
    """One document: its id, title, abstract and annotation lines; `line` is where it begins, from 1."""

    line: int
    id: str
    title: str
    abstract: str = ""
    mentions: list[MentionLine] = msgspec.field(default_factory=list)
    relations: list[RelationLine] = msgspec.field(default_factory=list)


def read_blocks(text: str, path: Path | str, issues: Issues, *, first_line: int = 1) -> list[Block]:
    """The documents of a PubTator text; raises `UserError` for a line that fits no form.

    `first_line` is the number of the text's first line in its file.
    """
    blocks: list[Block] = []
    for number, line in enumerate(text.split("\n"), start=first_line):
        line = line.removesuffix("\r")
        if not line.strip():
            continue
        match = _TEXT_LINE.match(line)
        if match is not None:
            _add_text(blocks, match[1], match[2], match[3], number, path)
            continue
        columns = line.split("\t")
        if not blocks or columns[0] != blocks[-1].id:
            expected = f"an annotation of document {blocks[-1].id} or a new title" if blocks else "ID|t|title"
            raise fault(path, f"{shorten(line)} is not {expected}: give a PubTator file", line=number)
        if line.endswith("\t"):
            issues.add("trailing_tab", f"line {number}")
        _add_annotation(blocks, columns, number, path, issues)
    if not blocks:
        raise fault(path, "holds 0 documents, and a PubTator document begins with ID|t|title: give such a file")
    return blocks


def _add_text(blocks: list[Block], identity: str, part: str, text: str, number: int, path: Path | str) -> None:
    if part == "t":
        blocks.append(Block(line=number, id=identity, title=text))
    elif blocks and blocks[-1].id == identity and not blocks[-1].abstract:
        blocks[-1].abstract = text
    else:
        what = f"an abstract of {identity} without a title before it: put the line {identity}|t|... above it"
        raise fault(path, what, line=number)


def _add_annotation(blocks: list[Block], columns: list[str], number: int, path: Path | str, issues: Issues) -> None:
    block = blocks[-1]
    index = len(blocks) - 1
    filled = [column for column in columns if column]
    if len(filled) == 4 and not columns[1].isdecimal():
        block.relations.append(RelationLine(line=number, type=columns[1], head=columns[2], tail=columns[3]))
        return
    if len(columns) not in (5, 6, 7):
        what = f"{len(columns)} columns, but a mention has 6 or 7 and a relation 4, tab-separated: correct the line"
        raise fault(path, what, index=index, title=block.id, line=number)
    for name, value in (("start", columns[1]), ("end", columns[2])):
        if not (value.isascii() and value.isdecimal()):
            what = f"{name} is {shorten(value)}, but an offset is a whole number of characters: correct the line"
            raise fault(path, what, index=index, title=block.id, line=number)
    if len(columns) == 7:
        issues.add("seventh_column", f"line {number}")
        if columns[6]:
            issues.add("composite_mention", f'{block.id}: "{columns[3]}" = {columns[6]}')
    # A mention that nobody linked has an empty or no sixth column in some files, which is what -1 says.
    identifier = (columns[5].strip() if len(columns) > 5 else "") or "-1"
    block.mentions.append(
        MentionLine(
            line=number,
            start=int(columns[1]),
            end=int(columns[2]),
            text=columns[3],
            type=columns[4],
            identifier=identifier,
        )
    )


UNKNOWN = "-1"


class _Cluster(msgspec.Struct):
    type: str
    spans: list[Span]
    types: list[str]


def read_pubtator(path: Path | str, *, labels: LabelSet | None = None, max_span_tokens: int = 10) -> Corpus:
    """The documents of a PubTator file, their ids the PubMed ids; raises `UserError` for every fault of the file."""
    path = Path(path)
    return parse_pubtator(decode_text(read_source(path), path), path, labels=labels, max_span_tokens=max_span_tokens)


def parse_pubtator(text: str, path: Path | str, *, labels: LabelSet | None = None, max_span_tokens: int = 10) -> Corpus:
    """The same from a string; `path` only names it in messages."""
    issues = Issues()
    identities = UniqueIds(issues)
    documents = []
    for index, block in enumerate(read_blocks(text, path, issues)):
        document = _Conversion(block, index, path, labels, issues).document(identities.take(block.id, index))
        count_issues(document, issues, max_span_tokens=max_span_tokens)
        documents.append(document)
    return Corpus(documents=tuple(documents), issues=issues)


def pubtator_document(raw: bytes, path: Path | str, *, index: int, line: int) -> Document:
    """The document of one block, at `index` and `line` of its input; its id is held against no other."""
    issues = Issues()
    blocks = read_blocks(decode_text(raw, path, index=index, line=line), path, issues, first_line=line)
    return _Conversion(blocks[0], index, path, None, issues).document(blocks[0].id)


class _Conversion:
    """One block on its way to a `Document`, with what its messages need."""

    def __init__(self, block: Block, index: int, path: Path | str, labels: LabelSet | None, issues: Issues) -> None:
        self.block = block
        self.index = index
        self.path = path
        self.labels = labels
        self.issues = issues

    def document(self, identity: str) -> Document:
        block = self.block
        text = f"{block.title} {block.abstract}" if block.abstract else block.title
        for mention in block.mentions:
            self.check(mention, text)
        offsets = tokenise(text, (offset for mention in block.mentions for offset in (mention.start, mention.end)))
        if not offsets:
            raise self.wrong("holds 0 tokens, and a document needs at least 1: remove it or give it text", block.line)
        starts = [start for start, _ in offsets]
        spans = [(bisect_left(starts, mention.start), bisect_left(starts, mention.end)) for mention in block.mentions]
        for mention, (start, end) in zip(block.mentions, spans, strict=True):
            if start == end:
                raise self.wrong(f'the mention "{mention.text}" holds no token: give a span of text', mention.line)
        sentences, joined = split_sentences(text, offsets, keep_whole=spans, breaks=[len(block.title)])
        if joined:
            self.issues.add("joined_sentence", identity, times=joined)
        return Document(
            id=identity,
            tokens=tuple(text[start:end] for start, end in offsets),
            sentences=tuple(sentences),
            title=block.title,
            gold=self.gold(spans, identity),
            text=text,
            offsets=tuple(offsets),
        )

    def check(self, mention: MentionLine, text: str) -> None:
        if not 0 <= mention.start < mention.end <= len(text):
            limit = f"title and abstract have {len(text)} characters: give 0 <= start < end <= {len(text)}"
            raise self.wrong(f"the span is {mention.start} to {mention.end}, but {limit}", mention.line)
        found = text[mention.start : mention.end]
        if found != mention.text:
            self.issues.add("text_mismatch", f'{self.block.id}: "{mention.text}" for "{found}" at {mention.start}')
        if self.labels is not None and mention.type not in self.labels.entity_types:
            raise self.wrong(f"the type {type_fault('entity', mention.type, self.labels.entity_types)}", mention.line)

    def gold(self, spans: list[Span], identity: str) -> Annotation:
        clusters: dict[str, _Cluster] = {}
        for number, (mention, span) in enumerate(zip(self.block.mentions, spans, strict=True)):
            identifiers = list(dict.fromkeys(mention.identifier.split("|")))
            if "|" in mention.identifier:
                self.issues.add("several_ids", f'{identity}: "{mention.text}" {mention.identifier}')
            if len(identifiers) > 1:
                # The mention has a cluster already; the unknown part of it would only copy the span.
                identifiers = [identifier for identifier in identifiers if identifier != UNKNOWN]
            elif identifiers == [UNKNOWN]:
                self.issues.add("unknown_id", f'{identity}: "{mention.text}"')
                identifiers = [f"{UNKNOWN} {number}"]
            for identifier in identifiers:
                cluster = clusters.setdefault(identifier, _Cluster(mention.type, [], []))
                cluster.spans.append(span)
                cluster.types.append(mention.type)
        for identifier, cluster in clusters.items():
            count_mixed_types(f"{identity}: {identifier}", cluster.types, self.issues)
        entities = [Entity(mentions=tuple(cluster.spans), type=cluster.type) for cluster in clusters.values()]
        return Annotation.of(entities, self.relations(list(clusters), identity))

    def relations(self, identifiers: list[str], identity: str) -> list[Relation]:
        numbers = {identifier: number for number, identifier in enumerate(identifiers)}
        relations = []
        for relation in self.block.relations:
            if self.labels is not None and relation.type not in self.labels.relation_types:
                words = type_fault("relation", relation.type, self.labels.relation_types)
                raise self.wrong(f"the relation type {words}", relation.line)
            head, tail = numbers.get(relation.head), numbers.get(relation.tail)
            if head is None or tail is None:
                lacking = relation.head if head is None else relation.tail
                self.issues.add("relation_without_mention", f"{identity}: {relation.type} with {lacking}")
                continue
            relations.append(Relation(head=head, tail=tail, type=relation.type))
        return relations

    def wrong(self, what: str, line: int) -> UserError:
        return fault(self.path, what, index=self.index, title=self.block.id, line=line)
