"""Data issues: what can be odd in annotated documents, what becomes of each kind, and how often it occurs.

A data issue survives or is repaired, and either way it is counted: here what shows in a document itself, by each format
what only its files show.
"""

from collections import Counter
from collections.abc import Iterable

from core.data.documents import Annotation, Document

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
    members = [(span, number) for number, cluster in enumerate(clusters) for span in sorted(cluster)]
    for inner, number in members:
        for outer, other in members:
            if number != other and inner != outer and outer[0] <= inner[0] and inner[1] <= outer[1]:
                issues.add("nested_mention", f"{document.id}: {document.surface(inner)} in {document.surface(outer)}")


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
