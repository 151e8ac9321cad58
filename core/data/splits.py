"""Splits: the training, validation and test documents of a run, the types that its model knows; parts of a file."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate

import msgspec

from core.config.schema import DataConfig
from core.data.corpus import Corpus
from core.data.documents import Document, LabelSet, describe_unlabelled
from core.data.formats import read_corpus
from core.data.formats.types_file import read_types
from core.data.issues import Issues
from core.errors import UserError, fault
from core.seeding import seed_for


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
    is honest, and is counted. With a types file, a type that it lacks is an error. `data.limit` keeps so many documents
    of each split once all of this is done, so that types and data issues are those of the whole files.
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
    for path in filter(None, {data.validation or data.train, data.test}):
        if unlabelled := sum(document.lacks_relations for document in corpora[path].documents):
            reason = describe_unlabelled(unlabelled, len(corpora[path].documents))
            raise fault(path, f"{reason}, so that a run cannot be scored on it: give annotated documents")
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
    test = limit_corpus(corpora[data.test], data.limit) if data.test else None
    return Splits(limit_corpus(train, data.limit), limit_corpus(validation, data.limit), test, labels)


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
    chosen = first_by_hash(documents, size)
    return (
        tuple(document for document in documents if document.id not in chosen),
        tuple(document for document in documents if document.id in chosen),
    )


def limit_corpus(corpus: Corpus, limit: int | None) -> Corpus:
    """The corpus with its first `limit` documents by hash of the id, in their given order; None keeps all."""
    if limit is None:
        return corpus
    chosen = first_by_hash(corpus.documents, limit)
    return Corpus(tuple(document for document in corpus.documents if document.id in chosen), corpus.issues)


def first_by_hash(documents: Sequence[Document], size: int) -> set[str]:
    """The ids of the `size` documents whose ids have the smallest sha256."""
    return set(
        sorted((document.id for document in documents), key=lambda name: hashlib.sha256(name.encode()).digest())[:size]
    )


def assign_parts(documents: Sequence[Document], shares: Sequence[float], *, seed: int) -> list[int]:
    """For every document the index of the share that it falls in, by a hash of seed and title, or text without one.

    Documents of one title or one text stay together, and the order of the documents does not matter. Raises `UserError`
    where a share gets no document.
    """
    groups = _group_documents(documents)
    sizes = Counter(groups)
    bounds = [round(len(documents) * share) for share in accumulate(shares)][:-1]
    parts, before = {}, 0
    for name in sorted(sizes, key=lambda name: seed_for("split", seed, name)):
        parts[name] = sum(bound <= before for bound in bounds)
        before += sizes[name]
    for part, share in enumerate(shares):
        if part not in parts.values():
            raise UserError(
                f"{len(documents)} documents, of {len(sizes)} different titles and texts, are too few for a share of "
                f"{share:g}: give more documents or a larger share"
            )
    return [parts[name] for name in groups]


def _group_documents(documents: Sequence[Document]) -> list[str]:
    """The first, by the alphabet, of the titles (else texts) that a document shares with others, directly or not."""
    first: dict[str, str] = {}

    def find(name: str) -> str:
        while first.setdefault(name, name) != name:
            name = first[name]
        return name

    texts = ["text " + " ".join(document.tokens) for document in documents]
    for document, text in zip(documents, texts, strict=True):
        names = sorted([find(text), find(f"name {document.title}" if document.title else text)])
        first[names[1]] = names[0]
    return [find(text) for text in texts]


def _count_unknown_types(corpus: Corpus, labels: LabelSet) -> None:
    for document in corpus.documents:
        if document.gold is not None:
            for entity in document.gold.entities:
                if entity.type not in labels.entity_types:
                    corpus.issues.add("unknown_entity_type", f"{document.id}: {entity.type}")
            for relation in document.gold.relations:
                if relation.type not in labels.relation_types:
                    corpus.issues.add("unknown_relation_type", f"{document.id}: {relation.type}")
