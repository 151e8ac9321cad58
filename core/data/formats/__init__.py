"""Formats: files of documents in DocRED's JSON, PubTator, prediction files and plain text, told apart by content.

Every fault of a file is one clear error (`core.parsing`), and what is odd but usable is counted
(`core.data.issues`). The documents of an input of any size, one at a time: `core.data.stream`.
"""

import re
from pathlib import Path
from typing import Any

import msgspec

from core.config.schema import Format
from core.data.corpus import Corpus, UniqueIds
from core.data.documents import Document, LabelSet
from core.data.formats.conversion import Conversion
from core.data.formats.docred import DocredConversion
from core.data.formats.predictions import PredictionConversion
from core.data.formats.pubtator import PubtatorConversion
from core.data.formats.text import TextConversion
from core.data.issues import Issues, count_issues
from core.errors import fault
from core.input_files import read_source
from core.parsing import garbage_collector_paused, parse_json

_FORMATS: dict[str, type[Conversion[Any]]] = {
    "docred": DocredConversion,
    "predictions": PredictionConversion,
    "pubtator": PubtatorConversion,
    "text": TextConversion,
}
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
    return parse_corpus(read_source(path), path, format=format, labels=labels, max_span_tokens=max_span_tokens)


def parse_corpus(
    raw: bytes, path: Path | str, *, format: Format = "auto", labels: LabelSet | None = None, max_span_tokens: int = 10
) -> Corpus:
    """The same from bytes that were read already; `path` only names them in messages."""
    if format == "auto":
        format = detect_format(raw, path)
    issues = Issues()
    ids = UniqueIds(issues)
    documents: list[Document] = []
    # A word is kept once: a corpus would hold each some hundred times.
    known: dict[str, str] = {}
    conversion = _FORMATS[format]
    with garbage_collector_paused():
        for index, raw_document in enumerate(conversion.parse_file(raw, path, issues)):
            document = conversion(raw_document, path, index, issues, labels).convert(ids)
            count_issues(document, issues, max_span_tokens=max_span_tokens)
            tokens = tuple(map(known.setdefault, document.tokens, document.tokens))
            documents.append(msgspec.structs.replace(document, tokens=tokens))
    if not documents:
        raise fault(path, "holds 0 documents: give a file with at least 1")
    return Corpus(documents=tuple(documents), issues=issues)


def parse_document(raw: bytes, path: Path | str, *, format: Format, index: int, line: int) -> Document:
    """The document of a part of a file, its `index`-th (from 0); its id is that of the file, unique or not."""
    raw_document = _FORMATS[format].parse_document(raw, path, index=index, line=line)
    return _FORMATS[format](raw_document, path, index, Issues()).convert(UniqueIds(Issues()))


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
