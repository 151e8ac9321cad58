"""The training part of JEREX's end-to-end split, made again from DocRED's own files.

JEREX took DocRED's training and development documents, kept 300 and 700 apart as dev and test, and left out the
documents with a cluster of mixed types (Eberts and Ulges, EACL 2021, section 4.1): 3,008 training documents remain.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from core.data.formats.docred import parse_docred
from core.data.parsing import fault, parse_json, read_source
from core.errors import UserError

EXPECTED = 3_008


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
    """The documents of `sources`, in order, less those whose title is in `held_out` and those with mixed-type clusters.

    Raises `UserError` for a fault of any file and where nothing remains.
    """
    titles = {title for path in held_out for title, _, _ in _read(path)}
    kept: list[bytes] = []
    seen: set[str] = set()
    dropped = mixed = 0
    for path in sources:
        for title, is_mixed, raw in _read(path):
            seen.add(title)
            if title in titles:
                dropped += 1
            elif is_mixed:
                mixed += 1
            else:
                kept.append(raw)
    if not kept:
        names = ", ".join(str(path) for path in sources)
        raise UserError(f"{names}: 0 documents remain of the {dropped + mixed}: give DocRED's own files as the sources")
    return RebuiltSplit(tuple(kept), dropped, mixed, tuple(sorted(titles - seen)))


def _read(path: Path) -> list[tuple[str, bool, bytes]]:
    raw = read_source(path)
    parse_docred(raw, path)  # every fault of a document is found here, not in a training run
    documents: list[msgspec.Raw] = parse_json(raw, list[msgspec.Raw], path)
    read = []
    for index, item in enumerate(documents):
        try:
            document = msgspec.json.decode(item, type=_Document)
        except msgspec.ValidationError:
            raise fault(path, "needs a title and a vertexSet: give an annotated DocRED file", index=index) from None
        is_mixed = any(len({mention.type for mention in cluster}) > 1 for cluster in document.vertexSet)
        read.append((document.title, is_mixed, bytes(item)))
    return read
