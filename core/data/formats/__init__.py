"""Readers: files of several formats to `Document`s, with the dirt counted and every fault one clear error.

`source` (bytes, JSON, messages) -> `identity`, `issues`, `types_file`, `sentences` -> one module per format ->
`read_corpus`. Documents of an input of any size, one at a time: `streaming`.
"""

import re
from pathlib import Path
from typing import Literal

from core.data.corpus import Corpus
from core.data.documents import LabelSet
from core.data.formats.docred import parse_docred
from core.data.formats.predictions import parse_annotated
from core.data.formats.pubtator import parse_pubtator
from core.data.formats.text import corpus_from_text
from core.data.parsing import decode_text, fault, parse_json, read_source
from core.errors import UserError

Format = Literal["auto", "docred", "pubtator", "predictions", "text"]

# A key's quotes are never escaped, and quotes within a JSON string always are: these match keys only.
_DOCRED_KEY = re.compile(rb'"(?:sents|vertexSet)"\s*:')
_PREDICTION_KEY = re.compile(rb'"tokens"\s*:')
_PUBTATOR_LINE = re.compile(rb"\s*[^\s|\[{][^\s|]*\|[ta]\|")


def read_corpus(
    path: Path | str, *, format: Format = "auto", labels: LabelSet | None = None, max_span_tokens: int = 10
) -> Corpus:
    """The documents of a file of any known format, told by its content where `format` is auto.

    Types are held against `labels` where they are given. In the form of predictions the annotation is taken as gold.
    Raises `UserError` for every fault of the file, and where no format fits.
    """
    return parse_corpus(read_source(path), path, format=format, labels=labels, max_span_tokens=max_span_tokens)


def parse_corpus(
    raw: bytes,
    path: Path | str,
    *,
    format: Format = "auto",
    labels: LabelSet | None = None,
    max_span_tokens: int = 10,
) -> Corpus:
    """The documents in some bytes, as `read_corpus` has them; `path` names them in messages."""
    if format == "auto":
        format = detect_format(raw, path)
    if format == "docred":
        return parse_docred(raw, path, labels=labels, max_span_tokens=max_span_tokens)
    if format == "predictions":
        return parse_annotated(raw, path, labels=labels, max_span_tokens=max_span_tokens)
    if format == "pubtator":
        return parse_pubtator(decode_text(raw, path), path, labels=labels, max_span_tokens=max_span_tokens)
    if format == "text":
        return corpus_from_text(decode_text(raw, path), name=Path(path).stem, source=path)
    raise UserError(f"format {format} is none of auto, docred, pubtator, predictions, text: give one of these")


def detect_format(raw: bytes, path: Path | str) -> Format:
    """The format of some bytes; raises `UserError` for JSON that is no known format."""
    suffix = Path(path).suffix.lower()
    if _PUBTATOR_LINE.match(raw):
        return "pubtator"
    if suffix == ".txt" or (raw.lstrip()[:1] not in (b"[", b"{") and suffix not in (".json", ".jsonl")):
        return "text"
    if _DOCRED_KEY.search(raw):
        return "docred"
    if _PREDICTION_KEY.search(raw):
        return "predictions"
    parse_json(raw, object, path)
    keys = "sents (DocRED, Re-DocRED, JEREX's split) or tokens (predictions)"
    raise fault(path, f"is JSON of no known format: no key {keys}: give such a file, or say --format")
