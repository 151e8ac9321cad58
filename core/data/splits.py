"""Splits: the training, validation and test documents of a run, and the types that its model knows."""

import hashlib
from collections.abc import Sequence

import msgspec

from core.config.schema import DataConfig
from core.data.corpus import Corpus
from core.data.documents import Document, LabelSet
from core.data.formats import read_corpus
from core.data.formats.types_file import read_types
from core.data.issues import Issues
from core.data.parsing import fault
from core.errors import UserError


class Splits(msgspec.Struct, frozen=True):
    """The corpora of a run and the types that its model knows; `test` is None where a run has none.

    A validation corpus that was split off the training file has no data issues of its own: they are counted with
    training.
    """

    train: Corpus
    validation: Corpus
    test: Corpus | None
    labels: LabelSet


def read_splits(data: DataConfig, *, max_span_tokens: int) -> Splits:
    """The corpora that a run's settings name; a registered name must have become paths before.

    Without a validation file, a share of the training documents is it. Without a types file, the types are those of the
    training file in order of first appearance; what validation or test hold beyond these stays in gold, so that recall
    is honest, and is counted. With a types file, a type that it lacks is an error.
    """
    if data.train is None:
        raise UserError("no training documents: give data.train, or data.name of a registered data set")
    labels = read_types(data.types) if data.types else None
    corpora: dict[str, Corpus] = {}
    for path in (data.train, data.validation, data.test):
        if path and path not in corpora:
            corpora[path] = read_corpus(path, format=data.format, labels=labels, max_span_tokens=max_span_tokens)
    train = corpora[data.train]
    if not any(document.gold is not None for document in train.documents):
        raise fault(data.train, "holds no annotated document, and training needs at least 1: give annotated documents")
    try:
        if labels is None:
            labels = LabelSet.observed(train.documents)
            for path in corpora.keys() - {data.train}:
                _count_unknown_types(corpora[path], labels)
        if data.validation:
            validation = corpora[data.validation]
        else:
            kept, held_out = validation_split(train.documents, data.validation_share)
            train, validation = Corpus(kept, train.issues), Corpus(held_out, Issues())
    except UserError as error:
        raise fault(data.train, str(error)) from None
    return Splits(train, validation, corpora[data.test] if data.test else None, labels)


def validation_split(
    documents: Sequence[Document], share: float = 0.1
) -> tuple[tuple[Document, ...], tuple[Document, ...]]:
    """Documents as (train, validation), each in their given order.

    Validation are the `round(share * n)` documents, at least one, whose ids have the smallest sha256: the same whatever
    the order, and nearly the same when documents are added. Raises `UserError` where training would be empty.
    """
    size = max(1, round(share * len(documents)))
    if size >= len(documents):
        raise UserError(
            f"{len(documents)} documents cannot be split into training and validation ({size}): give a validation file"
        )
    ranked = sorted(documents, key=lambda document: hashlib.sha256(document.id.encode()).digest())
    chosen = {document.id for document in ranked[:size]}
    return (
        tuple(document for document in documents if document.id not in chosen),
        tuple(document for document in documents if document.id in chosen),
    )


def _count_unknown_types(corpus: Corpus, labels: LabelSet) -> None:
    for document in corpus.documents:
        if document.gold is not None:
            for entity in document.gold.entities:
                if entity.type not in labels.entity_types:
                    corpus.issues.add("unknown_entity_type", f"{document.id}: {entity.type}")
            for relation in document.gold.relations:
                if relation.type not in labels.relation_types:
                    corpus.issues.add("unknown_relation_type", f"{document.id}: {relation.type}")
