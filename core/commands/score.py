"""`engram score`: predictions of any system in a prediction file against gold, without torch."""

import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import tyro
from rich.console import Console

from core.commands.console import score_view
from core.data.corpus import Corpus, unknown_type
from core.data.documents import Annotation, Document, LabelSet
from core.data.formats import Format, read_corpus
from core.data.formats.predictions import Prediction, parse_predictions
from core.data.formats.types_file import read_types
from core.data.parsing import fault, parse_json, read_source
from core.scoring.diagnostics import Fact, training_facts
from core.scoring.evaluate import evaluate, match_documents


def score(
    *,
    gold: Path,
    predictions: Path,
    json: tyro.conf.FlagCreatePairsOff[bool] = False,
    types: Path | None = None,
    facts: Path | None = None,
    format: Format = "auto",
) -> None:
    """Print precision, recall and F1 (percent) of a prediction file, and the diagnostics beyond them.

    Documents are matched by title where both files have unique ones, else by order.

    Args:
        gold: annotated documents: DocRED, Re-DocRED, PubTator, or the form of a prediction file.
        predictions: our JSON lines, or JEREX's predictions.json.
        json: one JSON object instead of tables; per-type and per-distance scores are in it only.
        types: a types file; every type is held against it, and readable names in predictions are put back to types.
        facts: for Ign-F1, the documents that the system trained on, or a DocRED .fact file of their facts.
        format: the format of the gold file; auto tells it by the content.
    """
    labels = read_types(types) if types is not None else None
    corpus = read_corpus(gold, format=format, labels=labels)
    predicted = parse_predictions(read_source(predictions), predictions)
    if labels is not None:
        predicted = [
            names_to_types(prediction, index, labels, predictions) for index, prediction in enumerate(predicted)
        ]
    documents, annotations = match_documents(drop_unknown_sentences(corpus), gold, predicted, predictions)
    scores = evaluate(documents, annotations, facts=read_facts(facts) if facts is not None else None)
    scores.extra["notes"].extend(unknown_type_notes(documents, annotations))
    if json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(scores)).decode() + "\n")
    else:
        # A pipe has no width of its own, and rich's 80 columns would break lines that a reader wants whole.
        width = None if sys.stdout.isatty() else 100
        Console(file=sys.stdout, width=width, highlight=False).print(score_view(scores))


def drop_unknown_sentences(corpus: Corpus) -> list[Document]:
    """The documents of a corpus, those that came without sentences with none, not with one long one."""
    if not corpus.issues.counts.get("no_sentences"):
        return list(corpus.documents)
    return [
        msgspec.structs.replace(document, sentences=())
        if document.sentences == ((0, len(document.tokens)),)
        else document
        for document in corpus.documents
    ]


def unknown_type_notes(documents: Sequence[Document], annotations: Sequence[Annotation]) -> list[str]:
    """A note for every kind of type, entity or relation, of which prediction and gold share none at all."""
    golds = [document.gold or Annotation() for document in documents]
    notes = []
    for kind in ("entities", "relations"):
        wanted = {item.type for gold in golds for item in getattr(gold, kind)}
        found = {item.type for annotation in annotations for item in getattr(annotation, kind)}
        if wanted and found and not wanted & found:
            examples = f'predictions say "{min(found)}", gold "{min(wanted)}"'
            notes.append(f"{kind}: no type is in both files ({examples}); give --types if these are readable names")
    return notes


def names_to_types(prediction: Prediction, index: int, labels: LabelSet, path: Path) -> Prediction:
    """The prediction with types where it had readable names; raises `UserError` for what is neither."""

    def typed(kind: str, value: str, types: tuple[str, ...], names: tuple[str, ...], field: str) -> str:
        if value in types:
            return value
        if names.count(value) == 1:
            return types[names.index(value)]
        what = unknown_type(kind, value, types)
        raise fault(path, f"field {field} {what}", index=index, title=prediction.document.title)

    entities = tuple(
        msgspec.structs.replace(
            entity,
            type=typed("entity", entity.type, labels.entity_types, labels.entity_names, f"entities[{number}].type"),
        )
        for number, entity in enumerate(prediction.annotation.entities)
    )
    relations = tuple(
        msgspec.structs.replace(
            relation,
            type=typed(
                "relation", relation.type, labels.relation_types, labels.relation_names, f"relations[{number}].type"
            ),
        )
        for number, relation in enumerate(prediction.annotation.relations)
    )
    annotation = msgspec.structs.replace(prediction.annotation, entities=entities, relations=relations)
    return Prediction(prediction.document, annotation)


def read_facts(path: Path) -> frozenset[Fact]:
    """The training facts of a file: DocRED's `.fact` form, a JSON list of [head, tail, relation], or documents."""
    raw = read_source(path)
    if raw.lstrip()[:1] == b"[" and raw.lstrip()[1:].lstrip()[:1] == b"[":
        return frozenset(parse_json(raw, list[tuple[str, str, str]], path))
    return training_facts(read_corpus(path).documents)
