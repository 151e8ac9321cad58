"""JEREX's end-to-end split: its training part, rebuilt from DocRED's own files.

JEREX took DocRED's training and development documents, kept 300 and 700 apart as dev and test, and left out the
documents with a cluster of mixed types (Eberts and Ulges, EACL 2021, section 4.1): 3,008 training documents remain.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from core.data.formats import parse_corpus
from core.errors import UserError
from core.input_files import read_source
from core.parsing import parse_json

EXPECTED = 3_008
"""Documents in the training part that JEREX published."""


class RebuiltSplit(msgspec.Struct, frozen=True):
    """The documents that remain, as the bytes of their files, and what became of the others.

    `held_out` were dropped because dev or test has their title, `mixed` because of a mixed-type cluster; `missing` are
    titles of dev or test that no source holds.
    """

    documents: tuple[bytes, ...]
    held_out: int
    mixed: int
    missing: tuple[str, ...]


class _Mention(msgspec.Struct):
    type: str


class _Document(msgspec.Struct):
    title: str
    vertexSet: list[list[_Mention]]


def rebuild_training_split(sources: Sequence[Path], held_out: Sequence[Path]) -> RebuiltSplit:
    """The documents of `sources`, in order, without those whose title is in `held_out` or with mixed-type clusters.

    Raises `UserError` for a fault of any file and where nothing remains.
    """
    held_out_titles = {document.title for path in held_out for document, _ in _read(path)}
    remaining: list[bytes] = []
    seen: set[str] = set()
    dropped = mixed = 0
    for path in sources:
        for document, raw in _read(path):
            seen.add(document.title)
            if document.title in held_out_titles:
                dropped += 1
            elif any(len({mention.type for mention in cluster}) > 1 for cluster in document.vertexSet):
                mixed += 1
            else:
                remaining.append(raw)
    if not remaining:
        names = ", ".join(str(path) for path in sources)
        raise UserError(f"{names}: 0 documents remain of the {dropped + mixed}: give DocRED's own files as the sources")
    return RebuiltSplit(tuple(remaining), dropped, mixed, tuple(sorted(held_out_titles - seen)))


def _read(path: Path) -> Iterator[tuple[_Document, bytes]]:
    raw = read_source(path)
    parse_corpus(raw, path, format="docred")  # every fault of a document is found here, not in a training run
    documents: list[_Document] = parse_json(raw, list[_Document], path)
    return zip(documents, map(bytes, msgspec.json.decode(raw, type=list[msgspec.Raw])), strict=True)
