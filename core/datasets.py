"""Names to files and files to splits: where registered data sets lie, how they get there, what a run reads.

A data set lies in `<data root>/<name>/`. Its checksums are the registry's where they are known; where they are not, the
first fetch computes the checksum, shows it and pins it in `<file>.sha256` beside the file, and every later use is held
against that pin: this shows that a file has not changed since, not that the first download was the right one.
"""

import gzip
import hashlib
import os
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import platformdirs

from core.contents import content_hash
from core.documents import Corpus, Dirt, Document, LabelSet
from core.download import download
from core.errors import UserError
from core.readers import Format, read_corpus
from core.readers.replacing import replace_file
from core.readers.source import fault
from core.readers.types_file import read_types
from core.registry import REGISTRY, DataFile, Dataset

__all__ = ["Splits", "content_hash", "data_root", "dataset", "fetch", "load_splits", "locate", "validation_split"]


class Fetched(msgspec.Struct, frozen=True):
    """What became of a file: `state` is present, fetched, or no address."""

    path: Path
    state: str
    sha256: str | None = None


class Splits(msgspec.Struct, frozen=True):
    """The corpora of a run and the types that its model knows; `test` is None where a run has none.

    A validation corpus that was split off the training file has no dirt of its own: it is counted with training.
    """

    train: Corpus
    validation: Corpus
    test: Corpus | None
    labels: LabelSet


def data_root() -> Path:
    """Where data sets lie: `ENGRAM_DATA`, else this platform's folder for user data."""
    chosen = os.environ.get("ENGRAM_DATA")
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_data_dir("engram", appauthor=False))


def dataset(name: str) -> Dataset:
    """The registered data set of a name; raises `UserError` for any other name."""
    try:
        return REGISTRY[name]
    except KeyError:
        raise UserError(f"data set {name} is none of {', '.join(REGISTRY)}: give one of these, or a path") from None


def locate(name: str, file: str | None) -> Path | None:
    """The path of a data set's file, checked against its checksum; None for None.

    Raises `UserError` where the file is not there (with the command that fetches it) or is not what it was.
    """
    if file is None:
        return None
    entry = dataset(name)
    path = data_root() / name / file
    if not path.is_file():
        raise fault(path, f"data set {name} is not there: run `engram data fetch {name}`, or put the file there")
    _verify(path, next((item.sha256 for item in entry.files if item.name == file), None))
    return path


def fetch(name: str) -> Iterator[Fetched]:
    """Bring the files of a data set into place one by one, each checked and pinned; files in place are only checked."""
    folder = data_root() / name
    for file in dataset(name).files:
        path = folder / file.name
        state = "present"
        if not path.exists():
            if file.address is None:
                yield Fetched(path, "no address")
                continue
            folder.mkdir(parents=True, exist_ok=True)
            _bring(file, file.address, path)
            state = "fetched"
        yield Fetched(path, state, _verify(path, file.sha256, pin_new=True))


def load_splits(
    *,
    train: Path,
    validation: Path | None = None,
    test: Path | None = None,
    types: Path | None = None,
    format: Format = "auto",
    validation_share: float = 0.1,
    max_span_tokens: int = 10,
) -> Splits:
    """The corpora of a run from files.

    Without `validation`, a share of the training documents is it. Without `types`, the types are those of the training
    file in order of first appearance; what validation or test hold beyond these stays in gold, so that recall is
    honest, and is counted. With `types`, a type that the file lacks is an error.
    """
    labels = read_types(types) if types is not None else None
    read: dict[Path, Corpus] = {}
    for path in (train, validation, test):
        if path is not None and path not in read:
            read[path] = read_corpus(path, format=format, labels=labels, max_span_tokens=max_span_tokens)
    trained = read[train]
    if not any(document.gold is not None for document in trained.documents):
        raise fault(train, "holds no annotated document, and training needs at least 1: give annotated documents")
    if labels is None:
        try:
            labels = LabelSet.observed(trained.documents)
        except UserError as error:
            raise fault(train, str(error)) from None
        for path in {validation, test} - {None, train}:
            if path is not None:
                _count_unknown_types(read[path], labels)
    if validation is not None:
        return Splits(trained, read[validation], read[test] if test else None, labels)
    try:
        kept, held_out = validation_split(trained.documents, validation_share)
    except UserError as error:
        raise fault(train, str(error)) from None
    return Splits(Corpus(kept, trained.dirt), Corpus(held_out, Dirt()), read[test] if test else None, labels)


def validation_split(
    documents: Sequence[Document], share: float = 0.1
) -> tuple[tuple[Document, ...], tuple[Document, ...]]:
    """Documents as (train, validation), each in the order given.

    Validation are the `round(share * n)` documents, at least one, whose ids have the smallest sha256: the same
    whatever the order, and nearly the same when documents are added. Raises `UserError` where either part were empty.
    """
    if not 0 < share < 1:
        raise UserError(f"the validation share is {share}, but it lies between 0 and 1: give .1, or a validation file")
    size = max(1, round(share * len(documents)))
    if size >= len(documents):
        raise UserError(
            f"{len(documents)} documents cannot be split into training and validation ({size}): give a validation file"
        )
    ranked = sorted(documents, key=lambda document: hashlib.sha256(document.id.encode()).digest())
    chosen = {document.id for document in ranked[:size]}
    return (
        tuple(document for document in documents if document.id not in chosen),
        tuple(document for document in documents if document.id in chosen),
    )


def _count_unknown_types(corpus: Corpus, labels: LabelSet) -> None:
    for document in corpus.documents:
        if document.gold is not None:
            for entity in document.gold.entities:
                if entity.type not in labels.entity_types:
                    corpus.dirt.add("unknown_entity_type", f"{document.id}: {entity.type}")
            for relation in document.gold.relations:
                if relation.type not in labels.relation_types:
                    corpus.dirt.add("unknown_relation_type", f"{document.id}: {relation.type}")


def _bring(file: DataFile, address: str, path: Path) -> None:
    archive = address.rsplit("/", 1)[-1]
    if archive == file.name or not archive.endswith((".zip", ".gz")):
        download(address, path, sha256=file.sha256)
        return
    packed = path.parent / archive
    if not packed.exists():
        download(address, packed, sha256=file.archive_sha256)
    try:
        replace_file(path, _unpack(packed, file.name))
    except (OSError, EOFError, zipfile.BadZipFile) as error:
        raise fault(packed, f"cannot be unpacked ({error}): delete it and fetch again") from None


def _unpack(packed: Path, name: str) -> bytes:
    if packed.suffix == ".gz":
        return gzip.decompress(packed.read_bytes())
    with zipfile.ZipFile(packed) as archive:
        for member in archive.namelist():
            # Archives made on a Mac hold a second tree of the same names.
            if member.rsplit("/", 1)[-1] == name and not member.startswith("__MACOSX"):
                return archive.read(member)
    raise fault(packed, f"holds no {name}: put that file into {packed.parent} yourself")


def _verify(path: Path, registered: str | None, *, pin_new: bool = False) -> str:
    """The sha256 of a file, held against the registry or the pin; `pin_new` pins it where there is neither."""
    found = content_hash(path)
    pin = path.with_name(path.name + ".sha256")
    expected, source = registered, "the registry"
    if expected is None and pin.is_file():
        expected, source = pin.read_text().partition(" ")[0].strip(), str(pin)
    if expected is None and pin_new:
        replace_file(pin, f"{found}  {path.name}\n".encode())
    elif expected not in (None, found):
        raise fault(
            path,
            f"its sha256 is {found}, but {source} says {expected}: delete the file and fetch again, or give your own "
            "file by its path instead of the data set's name",
        )
    return found
