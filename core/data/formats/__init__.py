"""Formats: files of documents in DocRED's JSON, PubTator, prediction files and plain text, told apart by content.

Every fault of a file is one clear error (`core.data.parsing`), and what is odd but usable is counted
(`core.data.issues`). The documents of an input of any size, one at a time: `core.data.stream`.
"""

import re
from pathlib import Path
from typing import Literal

from core.data.corpus import Corpus
from core.data.documents import LabelSet
from core.data.formats.docred import parse_docred
from core.data.formats.predictions import parse_annotated
from core.data.formats.pubtator import parse_pubtator
from core.data.formats.text import parse_text
from core.data.parsing import fault, parse_json, read_source
from core.errors import UserError

Format = Literal["auto", "docred", "pubtator", "predictions", "text"]

_PARSERS = {"docred": parse_docred, "predictions": parse_annotated, "pubtator": parse_pubtator, "text": parse_text}
# A key's quotes are never escaped, and quotes within a JSON string always are: these match keys only.
_DOCRED_KEY = re.compile(rb'"(?:sents|vertexSet)"\s*:')
_PREDICTION_KEY = re.compile(rb'"tokens"\s*:')
_PUBTATOR_LINE = re.compile(rb"\s*[^\s|\[{][^\s|]*\|[ta]\|")


def read_corpus(
    path: Path | str, *, format: Format = "auto", labels: LabelSet | None = None, max_span_tokens: int = 10
) -> Corpus:
    """The documents of a file of any known format, detected from its content where `format` is auto.

    Types are checked against `labels` where these are given. In a prediction file the annotation is taken as gold.
    Raises `UserError` for every fault of the file, and where no format fits.
    """
    raw = read_source(path)
    if format == "auto":
        format = detect_format(raw, path)
    if format not in _PARSERS:
        raise UserError(f"format {format} is none of auto, {', '.join(_PARSERS)}: give one of these")
    return _PARSERS[format](raw, path, labels=labels, max_span_tokens=max_span_tokens)


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
    raise fault(path, f"is JSON of no known format: no key {keys}: give such a file, or state the format with --format")
