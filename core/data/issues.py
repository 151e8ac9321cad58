"""Data issues: what can be odd in annotated documents, what becomes of each kind, and how often it occurs.

A data issue survives or is repaired, and either way it is counted: here what shows in a document itself, by each format
what only its files show.
"""

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterable, Sequence

from core.data.documents import Annotation, Document, Span

KINDS: dict[str, str] = {
    "blank_token": "tokens of white space only, such as U+00A0; kept, [UNK] to the encoder",
    "empty_sentence": "sentences without tokens; kept, so that sentence numbers stay those of the file",
    "duplicate_span": "mentions whose span their cluster already holds; kept in the file's order",
    "shared_span": "spans that more than one cluster holds; kept in each",
    "nested_mention": "mentions inside a different span of another cluster (pairs are counted); kept",
    "mixed_type_cluster": "clusters whose mentions differ in type; the first mention's type is the cluster's",
    "long_mention": "mentions wider than the widest candidate span; trained on, never predictable",
    "no_relations": "documents whose gold holds no relation; kept",
    "unlabelled_relations": "documents with entities but without a list of relations; kept, relations are not scored",
    "name_mismatch": "mentions whose name differs from their tokens by more than white space; the tokens are used",
    "duplicate_relation": "relations annotated again; kept here, used once in training and scoring",
    "self_relation": "relations whose head is their tail; kept",
    "duplicate_title": "documents with the title of an earlier one; the id gets #2, #3, ...",
    "no_sentences": "documents without sentences; the document is one sentence",
    "unknown_id": "mentions with the id -1; each is an entity of its own",
    "several_ids": "mentions with several ids; a mention of each of the clusters",
    "seventh_column": "mention lines with a seventh column, filled (composite_mention) or empty (a trailing tab)",
    "composite_mention": "mention lines with parts in the seventh column; the mention stays one span",
    "trailing_tab": "lines that end in a tab; the tab is ignored",
    "text_mismatch": "mentions whose text is not what their offsets hold; the offsets are used",
    "crossing_sentence": "mentions over a sentence border; kept in gold, never predictable",
    "joined_sentence": "sentence borders that fell inside a mention; the sentences are joined",
    "relation_without_mention": "relations with an id that no mention has; dropped",
    "unknown_entity_type": "entities of a type that training does not hold; kept in gold, never predictable",
    "unknown_relation_type": "relations of a type that training does not hold; kept in gold, never predictable",
}


class Issues:
    """How often each kind of data issue (or repair) occurred, with the first three examples of each."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.examples: dict[str, list[str]] = {}

    def add(self, kind: str, example: str, *, times: int = 1) -> None:
        """Count `times` more of `kind`; `example` names the document and the position in it."""
        self.counts[kind] = self.counts.get(kind, 0) + times
        examples = self.examples.setdefault(kind, [])
        if len(examples) < 3:
            examples.append(example)


def count_issues(document: Document, issues: Issues, *, max_span_tokens: int) -> None:
    """Count the data issues that show in a document itself, whatever its format."""
    for position, token in enumerate(document.tokens):
        if not token.strip():
            issues.add("blank_token", f"{document.id}: token {position}")
    for number, (start, end) in enumerate(document.sentences):
        if start == end:
            issues.add("empty_sentence", f"{document.id}: sentence {number}")
    if document.gold is not None:
        _count_mentions(document, document.gold, issues, max_span_tokens)
        _count_relations(document.id, document.gold, issues)


def _count_mentions(document: Document, gold: Annotation, issues: Issues, max_span_tokens: int) -> None:
    clusters = [set(entity.mentions) for entity in gold.entities]
    sentence_numbers = document.sentence_numbers()
    for number, entity in enumerate(gold.entities):
        repeats = len(entity.mentions) - len(clusters[number])
        if repeats:
            issues.add("duplicate_span", f"{document.id}: entity {number}", times=repeats)
        for start, end in entity.mentions:
            example = f"{document.id}: entity {number}, tokens {start} to {end}"
            if end - start > max_span_tokens:
                issues.add("long_mention", example)
            if sentence_numbers[start] != sentence_numbers[end - 1]:
                issues.add("crossing_sentence", example)
    for (start, end), clusters_with_span in Counter(span for cluster in clusters for span in cluster).items():
        if clusters_with_span > 1:
            issues.add("shared_span", f"{document.id}: tokens {start} to {end}")
    nested = _count_nested(span for cluster in clusters for span in cluster) - sum(map(_count_nested, clusters))
    if nested:
        inner, outer = map(document.surface, _find_nested(clusters))
        issues.add("nested_mention", f"{document.id}: {inner} in {outer}", times=nested)


def _count_nested(spans: Iterable[Span]) -> int:
    """How many pairs of different spans there are of which one lies within the other."""
    pairs, ends = 0, list[int]()
    # The outer span of a pair comes first, so what ends no earlier than a span holds it.
    for (_, end), times in sorted(Counter(spans).items(), key=lambda item: (item[0][0], -item[0][1])):
        pairs += times * (len(ends) - bisect_left(ends, end))
        for _ in range(times):
            insort(ends, end)
    return pairs


def _find_nested(clusters: Sequence[Iterable[Span]]) -> tuple[Span, Span]:
    """A span and one of another cluster that it lies within; there must be such a pair."""
    members = [(span, number) for number, cluster in enumerate(clusters) for span in cluster]
    reaching: list[tuple[Span, int]] = []
    for inner, number in sorted(members, key=lambda member: (member[0][0], -member[0][1], member[1])):
        for outer, other in reaching:
            if other != number and outer != inner and outer[1] >= inner[1]:
                return inner, outer
        # What reaches furthest, of two clusters: one of them is another than that of any later span.
        reaching.append((inner, number))
        reaching.sort(key=lambda member: -member[0][1])
        reaching = [reaching[0], *[member for member in reaching if member[1] != reaching[0][1]][:1]]
    raise ValueError("no span lies within one of another cluster")


def _count_relations(document_id: str, gold: Annotation, issues: Issues) -> None:
    if not gold.relations:
        issues.add("no_relations", document_id)
    seen: set[tuple[int, int, str]] = set()
    for relation in gold.relations:
        key = (relation.head, relation.tail, relation.type)
        if key in seen:
            issues.add("duplicate_relation", f"{document_id}: {key}")
        seen.add(key)
        if relation.head == relation.tail:
            issues.add("self_relation", f"{document_id}: {key}")


def count_mixed_types(cluster: str, types: Iterable[str], issues: Issues) -> None:
    """Count a cluster whose mentions are of several types; `cluster` names it and its document."""
    distinct = list(dict.fromkeys(types))
    if len(distinct) > 1:
        issues.add("mixed_type_cluster", f"{cluster}: {', '.join(distinct)}")
