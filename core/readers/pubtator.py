"""PubTator files, above all BioCreative V CDR.

A document is `ID|t|title`, `ID|a|abstract`, lines `ID start end text type identifier [parts]` and relations
`ID type head tail`, tab-separated. Offsets count characters in title + one space + abstract, which is `Document.text`.
Mentions with one identifier are one entity. A mention with several identifiers (`A|B`) is in each of their clusters;
the identifier -1 makes an entity of the mention alone. Tokens are cut at every annotation border. The end of the title
is always a sentence border, all others give way to mentions: a mention over the title's end stays in gold and cannot be
predicted. Cutting and joining at gold mentions tells a model a little about where they are.
"""

from bisect import bisect_left
from pathlib import Path

import msgspec

from core.documents import Annotation, Corpus, Dirt, Document, Entity, LabelSet, Relation, Span
from core.errors import UserError
from core.readers.dirt import count_dirt, count_mixed_types
from core.readers.identity import Identities
from core.readers.pubtator_lines import Block, MentionLine, read_blocks
from core.readers.sentences import split_sentences, tokenise
from core.readers.source import decode_text, fault, read_source
from core.readers.types_file import type_fault

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
    dirt = Dirt()
    identities = Identities(dirt)
    documents = []
    for index, block in enumerate(read_blocks(text, path, dirt)):
        document = _Conversion(block, index, path, labels, dirt).document(identities.take(block.id, index))
        count_dirt(document, dirt, max_span_tokens=max_span_tokens)
        documents.append(document)
    return Corpus(documents=tuple(documents), dirt=dirt)


def pubtator_document(raw: bytes, path: Path | str, *, index: int, line: int) -> Document:
    """The document of one block, at `index` and `line` of its input; its id is held against no other."""
    dirt = Dirt()
    blocks = read_blocks(decode_text(raw, path, index=index, line=line), path, dirt, first_line=line)
    return _Conversion(blocks[0], index, path, None, dirt).document(blocks[0].id)


class _Conversion:
    """One block on its way to a `Document`, with what its messages need."""

    def __init__(self, block: Block, index: int, path: Path | str, labels: LabelSet | None, dirt: Dirt) -> None:
        self.block = block
        self.index = index
        self.path = path
        self.labels = labels
        self.dirt = dirt

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
            self.dirt.add("joined_sentence", identity, times=joined)
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
            self.dirt.add("text_mismatch", f'{self.block.id}: "{mention.text}" for "{found}" at {mention.start}')
        if self.labels is not None and mention.type not in self.labels.entity_types:
            raise self.wrong(f"the type {type_fault('entity', mention.type, self.labels.entity_types)}", mention.line)

    def gold(self, spans: list[Span], identity: str) -> Annotation:
        clusters: dict[str, _Cluster] = {}
        for number, (mention, span) in enumerate(zip(self.block.mentions, spans, strict=True)):
            identifiers = list(dict.fromkeys(mention.identifier.split("|")))
            if "|" in mention.identifier:
                self.dirt.add("several_ids", f'{identity}: "{mention.text}" {mention.identifier}')
            if len(identifiers) > 1:
                # The mention has a cluster already; the unknown part of it would only copy the span.
                identifiers = [identifier for identifier in identifiers if identifier != UNKNOWN]
            elif identifiers == [UNKNOWN]:
                self.dirt.add("unknown_id", f'{identity}: "{mention.text}"')
                identifiers = [f"{UNKNOWN} {number}"]
            for identifier in identifiers:
                cluster = clusters.setdefault(identifier, _Cluster(mention.type, [], []))
                cluster.spans.append(span)
                cluster.types.append(mention.type)
        for identifier, cluster in clusters.items():
            count_mixed_types(f"{identity}: {identifier}", cluster.types, self.dirt)
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
                self.dirt.add("relation_without_mention", f"{identity}: {relation.type} with {lacking}")
                continue
            relations.append(Relation(head=head, tail=tail, type=relation.type))
        return relations

    def wrong(self, what: str, line: int) -> UserError:
        return fault(self.path, what, index=self.index, title=self.block.id, line=line)
