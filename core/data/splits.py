"""Files to the corpora of a run: training, validation and test, and the types that its model knows."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from core.config.schema import DataConfig
from core.data.corpus import Corpus
from core.data.documents import Document, LabelSet
from core.data.formats import Format, read_corpus
from core.data.formats.types_file import read_types
from core.data.issues import Issues
from core.data.parsing import fault
from core.errors import UserError


class Splits(msgspec.Struct, frozen=True):
    """The corpora of a run and the types that its model knows; `test` is None where a run has none.

    A validation corpus that was split off the training file has no data issues of its own: it is counted with training.
    """

    train: Corpus
    validation: Corpus
    test: Corpus | None
    labels: LabelSet


def read_splits(data: DataConfig, *, max_span_tokens: int) -> Splits:
    """The corpora that a run's settings name; a registered name must have become paths before."""
    if data.train is None:
        raise UserError("no training documents: give data.train, or data.name of a registered data set")
    return load_splits(
        train=Path(data.train),
        validation=Path(data.validation) if data.validation else None,
        test=Path(data.test) if data.test else None,
        types=Path(data.types) if data.types else None,
        format=data.format,
        validation_share=data.validation_share,
        max_span_tokens=max_span_tokens,
    )


def load_splits(
    *,
    train: Path,
    validation: Path | None = None,
    test: Path | None = None,
    types: Path | None = None,
    format: Format = "auto",
    validation_share: float = 0.1,
    max_span_tokens: int = 10,
) -> Splits:
    """The corpora of a run from files.

    Without `validation`, a share of the training documents is it. Without `types`, the types are those of the training
    file in order of first appearance; what validation or test hold beyond these stays in gold, so that recall is
    honest, and is counted. With `types`, a type that the file lacks is an error.
    """
    labels = read_types(types) if types is not None else None
    read: dict[Path, Corpus] = {}
    for path in (train, validation, test):
        if path is not None and path not in read:
            read[path] = read_corpus(path, format=format, labels=labels, max_span_tokens=max_span_tokens)
    trained = read[train]
    if not any(document.gold is not None for document in trained.documents):
        raise fault(train, "holds no annotated document, and training needs at least 1: give annotated documents")
    if labels is None:
        try:
            labels = LabelSet.observed(trained.documents)
        except UserError as error:
            raise fault(train, str(error)) from None
        for path in {validation, test} - {None, train}:
            if path is not None:
                _count_unknown_types(read[path], labels)
    if validation is not None:
        return Splits(trained, read[validation], read[test] if test else None, labels)
    try:
        kept, held_out = validation_split(trained.documents, validation_share)
    except UserError as error:
        raise fault(train, str(error)) from None
    return Splits(Corpus(kept, trained.issues), Corpus(held_out, Issues()), read[test] if test else None, labels)


def validation_split(
    documents: Sequence[Document], share: float = 0.1
) -> tuple[tuple[Document, ...], tuple[Document, ...]]:
    """Documents as (train, validation), each in the order given.

    Validation are the `round(share * n)` documents, at least one, whose ids have the smallest sha256: the same
    whatever the order, and nearly the same when documents are added. Raises `UserError` where either part were empty.
    """
    if not 0 < share < 1:
        raise UserError(f"the validation share is {share}, but it lies between 0 and 1: give .1, or a validation file")
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
