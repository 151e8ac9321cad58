"""Statistics of a corpus, and how many word pieces its documents have.

Word pieces are counted with the `tokenizers` library alone: no model library is loaded to count.
"""

import re
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec
from tokenizers import Tokenizer

from core.config.model_source import PACKAGE, model_folder
from core.data.documents import Annotation, Document
from core.errors import UserError


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


def compute_statistics(documents: Sequence[Document]) -> CorpusStatistics:
    """The statistics of some documents; types by falling count."""
    gold = [document.gold for document in documents if document.gold is not None]
    entities = [entity for annotation in gold for entity in annotation.entities]
    relations = [relation for annotation in gold for relation in annotation.relations]
    intra = sum(_count_intra(document, document.gold) for document in documents if document.gold is not None)
    return CorpusStatistics(
        documents=len(documents),
        annotated_documents=len(gold),
        sentences=sum(len(document.sentences) for document in documents),
        tokens=sum(len(document.tokens) for document in documents),
        longest_document=max((len(document.tokens) for document in documents), default=0),
        mentions=sum(len(entity.mentions) for entity in entities),
        entities=len(entities),
        relations=len(relations),
        intra_sentence_relations=intra,
        inter_sentence_relations=len(relations) - intra,
        entity_types=dict(Counter(entity.type for entity in entities).most_common()),
        relation_types=dict(Counter(relation.type for relation in relations).most_common()),
    )


def _count_intra(document: Document, gold: Annotation) -> int:
    numbers = document.sentence_numbers()
    sentences = [{numbers[start] for start, _ in entity.mentions} for entity in gold.entities]
    return sum(not sentences[relation.head].isdisjoint(sentences[relation.tail]) for relation in gold.relations)


def load_tokenizer(source: str) -> Tokenizer:
    """The tokenizer of a folder that holds a tokenizer.json, of such a file, or of an installed package with one.

    Truncation and padding are off. Raises `UserError` where there is none, or where it cannot be read.
    """
    path = Path(source).expanduser()
    if not path.exists():
        package = re.sub(r"[-.]+", "_", source.removeprefix(PACKAGE))
        with suppress(UserError):
            path = model_folder(f"{PACKAGE}{package}") or path
    if path.is_dir():
        path /= "tokenizer.json"
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # noqa: BLE001 - the library raises bare Exception for every fault of the file
        raise UserError(
            f"{path}: is no tokenizer ({error}): give a folder with a tokenizer.json, or an installed package with one"
        ) from None
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def count_wordpieces(documents: Sequence[Document], tokenizer: Tokenizer) -> list[int]:
    """Word pieces per document: each token alone, without special tokens; a token that yields nothing counts 1."""
    words = list({token for document in documents for token in document.tokens})
    encoded = tokenizer.encode_batch(words, add_special_tokens=False)
    pieces = {word: max(1, len(encoding.ids)) for word, encoding in zip(words, encoded, strict=True)}
    return [sum(pieces[token] for token in document.tokens) for document in documents]
