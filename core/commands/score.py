"""`engram score`: predictions of any system in a prediction file against gold, without torch."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from core.commands.console import print_json, print_scores
from core.config.schema import Format
from core.data.corpus import Corpus
from core.data.documents import Annotation, Document, LabelSet
from core.data.formats import read_corpus
from core.data.formats.conversion import unknown_type
from core.data.formats.types_file import read_types
from core.data.stream import read_documents
from core.errors import fault
from core.input_files import read_source
from core.parsing import parse_json
from core.scoring.diagnostics import Fact, training_facts
from core.scoring.evaluate import evaluate, match_documents


def score(
    *,
    gold: Path,
    predictions: Path,
    json: bool = False,
    types: Path | None = None,
    facts: Path | None = None,
    format: Format = "auto",
) -> None:
    """Print precision, recall and F1 (percent) of a prediction file, and the diagnostics beyond them.

    Documents are matched by title where both files have unique ones, else by order. Predictions are read one document
    at a time, an array whole: it takes about three times the size of both files in memory. Where gold has no lists of
    relations (DocRED's own test file), relation scores are refused.

    Args:
        gold: annotated documents: DocRED, Re-DocRED, PubTator, or the form of a prediction file.
        predictions: our JSON lines, or JEREX's predictions.json.
        json: one JSON object instead of tables; only it has the scores per relation type.
        types: a types file; every type must be in it, and readable names in predictions are replaced by their types.
        facts: for Ign-F1, the documents that the system trained on, or a DocRED .fact file of their facts.
        format: the format of the gold file; auto recognises it by the content.
    """
    labels = read_types(types) if types is not None else None
    corpus = read_corpus(gold, format=format, labels=labels)
    documents = drop_unknown_sentences(corpus)
    predicted = read_documents(predictions, format="predictions")
    if labels is not None:
        predicted = (names_to_types(one, index, labels, predictions) for index, one in enumerate(predicted))
    annotations = match_documents(documents, gold, predicted, predictions)
    scores = evaluate(documents, annotations, facts=read_facts(facts) if facts is not None else None)
    scores.extra["notes"].extend(unknown_type_notes(documents, annotations))
    if json:
        print_json(scores)
    else:
        print_scores(scores)


def drop_unknown_sentences(corpus: Corpus) -> list[Document]:
    """The documents of a corpus; those of a file without sentences have none, instead of a single one."""
    if not corpus.issues.counts.get("no_sentences"):
        return list(corpus.documents)
    return [
        msgspec.structs.replace(document, sentences=()) if len(document.sentences) == 1 else document
        for document in corpus.documents
    ]


def unknown_type_notes(documents: Sequence[Document], annotations: Sequence[Annotation]) -> list[str]:
    """A note for every kind of type, entity or relation, of which prediction and gold share none at all."""
    notes = []
    for kind in ("entities", "relations"):
        gold = {item.type for document in documents if document.gold for item in getattr(document.gold, kind)}
        predicted = {item.type for annotation in annotations for item in getattr(annotation, kind)}
        if gold and predicted and not gold & predicted:
            examples = f'predictions say "{min(predicted)}", gold "{min(gold)}"'
            notes.append(f"{kind}: no type is in both files ({examples}); give --types if these are readable names")
    return notes


def names_to_types(document: Document, index: int, labels: LabelSet, path: Path) -> Document:
    """A predicted document with types where it had readable names; raises `UserError` for what is neither."""
    annotation = document.gold or Annotation()
    for kind, field in (("entity", "entities"), ("relation", "relations")):
        types, names = getattr(labels, f"{kind}_types"), getattr(labels, f"{kind}_names")
        by_name = {name: value for name, value in zip(names, types, strict=True) if names.count(name) == 1}
        by_name |= dict(zip(types, types, strict=True))
        replaced = []
        for number, item in enumerate(getattr(annotation, field)):
            if item.type not in by_name:
                message = f"field {field}[{number}].type {unknown_type(kind, item.type, types)}"
                raise fault(path, message, index=index, title=document.title)
            replaced.append(msgspec.structs.replace(item, type=by_name[item.type]))
        annotation = msgspec.structs.replace(annotation, **{field: tuple(replaced)})
    return msgspec.structs.replace(document, gold=annotation)


def read_facts(path: Path) -> frozenset[Fact]:
    """The training facts of a file: DocRED's `.fact` form, a JSON list of [head, tail, relation], or documents."""
    raw = read_source(path)
    if raw.lstrip()[:1] == b"[" and raw.lstrip()[1:].lstrip()[:1] == b"[":
        return frozenset(parse_json(raw, list[tuple[str, str, str]], path))
    return training_facts(read_corpus(path).documents)
