"""Plain text: a blank line separates documents; tokens, sentences and character offsets are made here."""

import re
from pathlib import Path

from core.documents import Corpus, Dirt, Document
from core.readers.dirt import count_dirt
from core.readers.sentences import split_sentences, tokenise
from core.readers.source import decode_text, fault, read_source

_BLANK_LINES = re.compile(r"\n[^\S\n]*\n")


def read_text(path: Path | str) -> Corpus:
    """The documents of a text file, named `<stem>-1`, `<stem>-2`, ...; none has gold."""
    path = Path(path)
    return corpus_from_text(decode_text(read_source(path), path), name=path.stem, source=path)


def corpus_from_text(text: str, *, name: str = "text", source: Path | str = "text") -> Corpus:
    """The documents of a string; `source` names it in messages. Raises `UserError` where there are no tokens."""
    dirt = Dirt()
    documents: list[Document] = []
    for part in _BLANK_LINES.split(_with_line_feeds(text)):
        if part.strip():
            document = document_from_text(part.strip(), id=f"{name}-{len(documents) + 1}")
            count_dirt(document, dirt, max_span_tokens=len(document.tokens))
            documents.append(document)
    if not documents:
        raise fault(source, "holds 0 tokens, and a document needs at least 1: give it text")
    return Corpus(documents=tuple(documents), dirt=dirt)


def paragraph_document(raw: bytes, path: Path | str, *, index: int, line: int) -> Document:
    """The document of one paragraph, at `index` and `line` of its input."""
    text = _with_line_feeds(decode_text(raw, path, index=index, line=line)).strip()
    return document_from_text(text, id=f"{Path(path).stem}-{index + 1}")


def document_from_text(text: str, *, id: str) -> Document:
    """One document from running text, with the character span of every token in `offsets`."""
    offsets = tokenise(text)
    sentences, _ = split_sentences(text, offsets)
    return Document(
        id=id,
        tokens=tuple(text[start:end] for start, end in offsets),
        sentences=tuple(sentences),
        text=text,
        offsets=tuple(offsets),
    )


def _with_line_feeds(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
