"""What a corpus holds, in numbers."""

from collections import Counter
from collections.abc import Sequence

import msgspec

from core.documents import Annotation, Document


class CorpusStatistics(msgspec.Struct, frozen=True):
    """Counts over a corpus; `mentions` and `relations` with duplicates, as the file holds them.

    A relation is intra-sentence where the smallest sentence distance over its mention pairs is 0.
    """

    documents: int
    annotated_documents: int
    sentences: int
    tokens: int
    longest_document: int
    mentions: int
    entities: int
    relations: int
    intra_sentence_relations: int
    inter_sentence_relations: int
    entity_types: dict[str, int]
    relation_types: dict[str, int]


def corpus_statistics(documents: Sequence[Document]) -> CorpusStatistics:
    """The statistics of some documents; types by falling count."""
    gold = [document.gold for document in documents if document.gold is not None]
    intra = sum(_intra(document, document.gold) for document in documents if document.gold is not None)
    relations = sum(len(annotation.relations) for annotation in gold)
    entity_types = Counter(entity.type for annotation in gold for entity in annotation.entities)
    relation_types = Counter(relation.type for annotation in gold for relation in annotation.relations)
    return CorpusStatistics(
        documents=len(documents),
        annotated_documents=len(gold),
        sentences=sum(len(document.sentences) for document in documents),
        tokens=sum(len(document.tokens) for document in documents),
        longest_document=max((len(document.tokens) for document in documents), default=0),
        mentions=sum(len(entity.mentions) for annotation in gold for entity in annotation.entities),
        entities=sum(len(annotation.entities) for annotation in gold),
        relations=relations,
        intra_sentence_relations=intra,
        inter_sentence_relations=relations - intra,
        entity_types=dict(entity_types.most_common()),
        relation_types=dict(relation_types.most_common()),
    )


def _intra(document: Document, gold: Annotation) -> int:
    sentence_of = document.sentence_of()
    homes = [{sentence_of[start] for start, _ in entity.mentions} for entity in gold.entities]
    return sum(not homes[relation.head].isdisjoint(homes[relation.tail]) for relation in gold.relations)
