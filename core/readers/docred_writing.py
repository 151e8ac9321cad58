"""Documents written as DocRED's JSON, so that every reader of DocRED reads them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from core.documents import Document, Span
from core.errors import UserError
from core.replacing import replace_file


def write_docred(documents: Iterable[Document], path: Path | str) -> None:
    """Write documents to one DocRED file, aside first and then renamed; reading it gives the documents back.

    What DocRED has no field for is not written: character offsets, scores, mentions that no entity holds.
    """
    replace_file(path, docred_bytes(documents))


def docred_bytes(documents: Iterable[Document]) -> bytes:
    """Documents as the content of a DocRED file."""
    items = [msgspec.json.encode(document_to_docred(document)) for document in documents]
    return b"[" + b",\n".join(items) + b"]\n"


def document_to_docred(document: Document) -> dict[str, Any]:
    """One document in DocRED's form; raises `UserError` for a mention that crosses a sentence border."""
    sentences = [list(document.tokens[start:end]) for start, end in document.sentences]
    written: dict[str, Any] = {"title": document.title or document.id, "sents": sentences}
    if document.gold is not None:
        written["vertexSet"] = [
            [_mention(document, span, entity.type) for span in entity.mentions] for entity in document.gold.entities
        ]
        written["labels"] = [
            {"h": relation.head, "t": relation.tail, "r": relation.type, "evidence": []}
            for relation in document.gold.relations
        ]
    return written


def _mention(document: Document, span: Span, entity_type: str) -> dict[str, Any]:
    for number, (start, end) in enumerate(document.sentences):
        if start <= span[0] and span[1] <= end:
            name = " ".join(document.tokens[span[0] : span[1]])
            pos = [span[0] - start, span[1] - start]
            return {"name": name, "pos": pos, "sent_id": number, "type": entity_type}
    raise UserError(
        f"document {document.id}: mention {list(span)} crosses a sentence border, and DocRED's form holds spans within "
        "one sentence: write a prediction file instead"
    )
