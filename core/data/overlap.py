"""Overlap of splits: held-out documents that are also among those trained on, by their text or their title."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import msgspec

from core.config.schema import Format
from core.data.documents import Document
from core.data.formats import detect_format, read_corpus
from core.files import file_hash
from core.input_files import read_source
from core.parsing import DECODE_ERRORS

SPLITS = ("train", "validation", "test")


class Fingerprint(NamedTuple):
    """A document's title, and the hash of its text without white space."""

    title: str | None
    text: int


def fingerprint(title: str | None, tokens: Iterable[str]) -> Fingerprint:
    """The fingerprint of a document; comparable within this process."""
    return Fingerprint(title, hash("".join("".join(tokens).split())))


def describe_overlaps(splits: Mapping[str, Sequence[Fingerprint]]) -> Iterator[str]:
    """A sentence for every two splits of which the later holds documents of the earlier, with their number."""
    for earlier, later in combinations([name for name in SPLITS if name in splits], 2):
        titles = {document.title for document in splits[earlier]} - {None, ""}
        texts = {document.text for document in splits[earlier]}
        by_text = sum(document.text in texts for document in splits[later])
        by_title = sum(document.title in titles and document.text not in texts for document in splits[later])
        if by_text or by_title:
            how = [f"{by_text} by their text"] * bool(by_text) + [f"{by_title} by their title alone"] * bool(by_title)
            yield (
                f"{by_text + by_title} of {len(splits[later])} {later} documents are also {earlier} documents "
                f"({', '.join(how)}): scores on them do not show how well a model does on new text"
            )


def fingerprints(documents: Iterable[Document]) -> list[Fingerprint]:
    """The fingerprints of documents."""
    return [fingerprint(document.title, document.tokens) for document in documents]


def read_fingerprints(path: Path, format: Format) -> tuple[Fingerprint, ...]:
    """The fingerprints of a file's documents, read again only where it has changed; `UserError` for its faults."""
    return _read_fingerprints(path, format, file_hash(path))


class _Text(msgspec.Struct):
    title: str | None = None
    sents: list[list[str]] = []
    tokens: list[str] = []


@lru_cache(maxsize=64)
def _read_fingerprints(path: Path, format: Format, content: str) -> tuple[Fingerprint, ...]:
    del content  # only there so that a changed file is read again
    raw = read_source(path)
    if (detect_format(raw, path) if format == "auto" else format) in ("docred", "predictions"):
        try:
            texts = (
                msgspec.json.decode(raw, type=list[_Text])
                if raw.lstrip()[:1] == b"["
                else msgspec.json.Decoder(_Text).decode_lines(raw)
            )
        except DECODE_ERRORS:
            pass  # whatever is wrong or unusual about it is found by the whole reader
        else:
            return tuple(
                fingerprint(text.title, [*text.tokens, *(token for sentence in text.sents for token in sentence)])
                for text in texts
            )
    return tuple(fingerprints(read_corpus(path, format=format).documents))
