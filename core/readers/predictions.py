"""Prediction files: ours and JEREX's, told apart by nothing, since ours only has more keys.

Ours is JSON lines, a document a line: `{"id", "title", "tokens", "sentences": [[start, end]], "mentions": [{"start",
"end"}], "entities": [{"mentions": [index], "type"}], "relations": [{"head", "tail", "type", "score"}]}`, for running
text also `"text"` and `"offsets"`. JEREX's `predictions.json` is one JSON list of such objects without id, title,
sentences and score. Further keys are passed over. Spans are half-open token spans in the document.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from core.documents import Annotation, Corpus, Dirt, Document, LabelSet
from core.readers.dirt import count_dirt
from core.readers.identity import Identities
from core.readers.jerex_form import as_prediction_form, object_in_prediction_form
from core.readers.prediction_form import Conversion, PredictedDocument, Prediction
from core.readers.source import collector_paused, fault, parse_json, read_source
from core.replacing import replace_file

__all__ = ["Prediction", "prediction_line", "read_predictions", "write_predictions"]


def read_predictions(path: Path | str, *, labels: LabelSet | None = None) -> list[Prediction]:
    """The predictions of a file in either form, whatever its extension; raises `UserError` for every fault of it."""
    return parse_predictions(read_source(path), path, labels=labels)


def parse_predictions(
    raw: bytes, path: Path | str, *, labels: LabelSet | None = None, dirt: Dirt | None = None
) -> list[Prediction]:
    """The same from bytes that were read already; `path` only names them in messages."""
    dirt = Dirt() if dirt is None else dirt
    parsed = _parse(raw, path)
    if not parsed:
        raise fault(path, "holds 0 documents: give a file with at least 1")
    identities = Identities(dirt)
    with collector_paused():
        return [
            Conversion(document, index, path, labels).prediction(identities, dirt)
            for index, document in enumerate(parsed)
        ]


def parse_annotated(
    raw: bytes, path: Path | str, *, labels: LabelSet | None = None, max_span_tokens: int = 10
) -> Corpus:
    """A corpus whose gold is written in the form of predictions."""
    dirt = Dirt()
    predictions = parse_predictions(raw, path, labels=labels, dirt=dirt)
    documents = tuple(msgspec.structs.replace(document, gold=annotation) for document, annotation in predictions)
    for document in documents:
        count_dirt(document, dirt, max_span_tokens=max_span_tokens)
    return Corpus(documents=documents, dirt=dirt)


def annotated_document(raw: bytes, path: Path | str, *, index: int, line: int) -> Document:
    """The document of one JSON object in either form, its annotation as gold; its id is held against no other."""
    raw = object_in_prediction_form(raw, path, index)
    parsed: PredictedDocument = parse_json(raw, PredictedDocument, path, index=index, line=line)
    dirt = Dirt()
    document, annotation = Conversion(parsed, index, path, None).prediction(Identities(dirt), dirt)
    return msgspec.structs.replace(document, gold=annotation)


def prediction_line(document: Document, annotation: Annotation) -> bytes:
    """One line of our form, with its line break; reading it gives document and annotation back."""
    spans = [*annotation.mentions, *(span for entity in annotation.entities for span in entity.mentions)]
    numbers = {span: number for number, span in enumerate(dict.fromkeys(spans))}
    line: dict[str, Any] = {
        "id": document.id,
        "title": document.title,
        "tokens": document.tokens,
        "sentences": document.sentences,
        "mentions": [{"start": start, "end": end} for start, end in numbers],
        "entities": [
            {"mentions": [numbers[span] for span in entity.mentions], "type": entity.type}
            for entity in annotation.entities
        ],
        "relations": [
            {"head": relation.head, "tail": relation.tail, "type": relation.type, "score": relation.score}
            for relation in annotation.relations
        ],
    }
    if document.text is not None:
        line["text"] = document.text
    if document.offsets is not None:
        line["offsets"] = document.offsets
    return msgspec.json.encode(line) + b"\n"


def write_predictions(predictions: Iterable[tuple[Document, Annotation]], path: Path | str) -> None:
    """Write pairs of document and annotation as JSON lines, aside first and then renamed."""
    replace_file(path, b"".join(prediction_line(document, annotation) for document, annotation in predictions))


def _parse(raw: bytes, path: Path | str) -> list[PredictedDocument]:
    raw = as_prediction_form(raw, path)
    if raw.lstrip()[:1] == b"[":
        documents: list[PredictedDocument] = parse_json(raw, list[PredictedDocument], path)
        return documents
    lines = [(number, line) for number, line in enumerate(raw.split(b"\n"), start=1) if line.strip()]
    if len(lines) > 1 and lines[0][1].strip() == b"{":
        # A single object that an editor has spread over lines.
        return [parse_json(raw, PredictedDocument, path)]
    return [parse_json(line, PredictedDocument, path, line=number) for number, line in lines]
