"""`engram data report | sample | split | build-split | fetch | list`: data sets and files of documents."""

import math
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec

from core.commands.console import print_document, print_json, print_report
from core.config.schema import Format
from core.data.datasets import REGISTRY, data_root, find_dataset
from core.data.datasets import fetch as fetch_files
from core.data.formats import read_corpus
from core.data.formats.jerex_split import EXPECTED, rebuild_training_split
from core.data.formats.types_file import read_types
from core.data.issues import KINDS
from core.data.splits import assign_parts
from core.data.statistics import compute_statistics, count_wordpieces, load_tokenizer
from core.data.stream import DocumentStream
from core.errors import UserError, fault
from core.files import atomic_write, make_folder
from core.input_files import read_source


def report(
    file: Path,
    *,
    types: Path | None = None,
    tokenizer: str | None = None,
    format: Format = "auto",
    max_span_tokens: int = 10,
    max_pieces: int = 512,
    json: bool = False,
) -> None:
    """Print the statistics and the data issues of a file of documents.

    Args:
        file: a DocRED, Re-DocRED, PubTator, prediction or text file.
        types: a types file; every type of the documents must be in it.
        tokenizer: a folder with a tokenizer.json, or an installed package that carries one: counts word pieces.
        format: the file's format; auto recognises it by the content.
        max_span_tokens: mentions wider than this are counted as never predictable.
        max_pieces: documents with more word pieces are counted, without and with special tokens (needs --tokenizer).
        json: one JSON object instead of tables.
    """
    labels = read_types(types) if types is not None else None
    corpus = read_corpus(file, format=format, labels=labels, max_span_tokens=max_span_tokens)
    content: dict[str, Any] = {
        "file": str(file),
        "statistics": msgspec.to_builtins(compute_statistics(corpus.documents)),
        "issues": {kind: corpus.issues.counts[kind] for kind in KINDS if kind in corpus.issues.counts},
        "examples": corpus.issues.examples,
    }
    if tokenizer is not None:
        loaded = load_tokenizer(tokenizer)
        pieces = count_wordpieces(corpus.documents, loaded)
        special = loaded.num_special_tokens_to_add(False)
        content["word_pieces"] = {
            "total": sum(pieces),
            "longest_document": max(pieces),
            "limit": max_pieces,
            "documents_over_limit": sum(count > max_pieces for count in pieces),
            "over_limit_with_special_tokens": sum(count + special > max_pieces for count in pieces),
        }
    if json:
        print_json(content)
    else:
        names = dict(zip(labels.relation_types, labels.relation_names, strict=True)) if labels else {}
        print_report(content, KINDS, names)


def sample(
    file: Path,
    *,
    index: int = 0,
    title: str | None = None,
    types: Path | None = None,
    format: Format = "auto",
) -> None:
    """Print one document readably: its sentences with the mentions marked, its clusters, its relations.

    Args:
        file: a DocRED, Re-DocRED, PubTator, prediction or text file.
        index: which document, from 0.
        title: the document's title or id, instead of its index.
        types: a types file, for the readable names of the relations.
        format: the file's format; auto recognises it by the content.
    """
    labels = read_types(types) if types is not None else None
    documents = read_corpus(file, format=format, labels=labels).documents
    if title is not None:
        index = next(
            (number for number, document in enumerate(documents) if title in (document.id, document.title)), -1
        )
        if index < 0:
            raise fault(file, f'holds no document titled "{title}": give one of its {len(documents)} by --index')
    if not 0 <= index < len(documents):
        limit = f"the file holds {len(documents)} documents: give 0 to {len(documents) - 1}"
        raise fault(file, f"--index is {index}, but {limit}")
    print_document(documents[index], labels)


def split(
    file: Path,
    *,
    shares: tuple[float, float, float],
    seed: int = 0,
    out: Path | None = None,
    overwrite: bool = False,
    format: Format = "auto",
) -> None:
    """Split a file into training, validation and test documents: NAME.train.json and so on, of its own format.

    Which part a document falls in is a matter of its title (its text, where it has none) and the seed, not of the order
    of the file. Documents of one title or one text stay in one part.

    Args:
        file: a DocRED, Re-DocRED, PubTator, prediction or text file.
        shares: the shares of training, validation and test; they sum to 1.
        seed: another seed gives another split.
        out: the folder for the three files (default: that of the file).
        overwrite: replace files that are there.
        format: the file's format; auto recognises it by the content.
    """
    written = " ".join(f"{share:g}" for share in shares)
    if min(shares) <= 0 or not math.isclose(sum(shares), 1.0, abs_tol=1e-6):
        limit = f"three shares above 0 have to sum to 1, and these sum to {sum(shares):g}"
        raise UserError(f"--shares is {written}, but {limit}: give, for instance, .8 .1 .1")
    folder = out if out is not None else file.parent
    paths = [folder / f"{file.stem}.{name}{file.suffix}" for name in ("train", "validation", "test")]
    if not overwrite and (there := [path for path in paths if path.exists()]):
        raise UserError(f"{there[0]} is there already: add --overwrite to replace it, or give another folder (--out)")
    raw = read_source(file)
    stream = DocumentStream(BytesIO(raw), file, format=format)
    entries = list(stream.entries())
    documents = []
    for entry in entries:
        if entry.document is None:
            raise UserError(entry.reason)
        documents.append(entry.document)
    try:
        parts = assign_parts(documents, shares, seed=seed)
    except UserError as error:
        raise fault(file, str(error)) from None
    if stream.format in ("text", "pubtator"):
        before, between, after = b"", b"\n\n", b"\n"
    else:
        before, between, after = (b"[", b",\n", b"]\n") if raw.lstrip().startswith(b"[") else (b"", b"\n", b"\n")
    make_folder(folder, "give a folder of yours (--out DIR)")
    for number, path in enumerate(paths):
        own = [index for index, part in enumerate(parts) if part == number]
        atomic_write(path, before + between.join(entries[index].raw.strip(b"\r\n") for index in own) + after)
        counts = compute_statistics([documents[index] for index in own])
        print(f"{path}: {len(own):,} documents, {counts.entities:,} entities, {counts.relations:,} relations")


def build_split(*, train_annotated: Path, dev: Path, jerex_dev: Path, jerex_test: Path, output: Path) -> None:
    """Write the training part of JEREX's end-to-end split, made from DocRED's own files.

    Args:
        train_annotated: DocRED's train_annotated.json.
        dev: DocRED's dev.json.
        jerex_dev: dev_joint.json of the split, whose documents are left out.
        jerex_test: test_joint.json of the split, whose documents are left out.
        output: the file to write, say train_joint.json.
    """
    made = rebuild_training_split([train_annotated, dev], [jerex_dev, jerex_test])
    atomic_write(output, b"[" + b",\n".join(made.documents) + b"]\n")
    print(f"{output}: {len(made.documents):,} documents; the split has {EXPECTED:,}")
    print(f"left out: {made.held_out:,} of JEREX's dev and test, {made.mixed:,} with mixed-type clusters")
    if made.missing:
        examples = "; ".join(made.missing[:3])
        print(f"{len(made.missing):,} titles of JEREX's dev and test are in neither source, such as {examples}")


def fetch(name: str) -> None:
    """Download a registered data set into the data folder, and check or pin its checksums.

    Args:
        name: the data set's name (see `engram data list`).
    """
    entry = find_dataset(name)
    registered = {file.name: file.sha256 or file.archive_sha256 for file in entry.files}
    print(f"{entry.name}: {entry.what}. Licence: {entry.licence}", file=sys.stderr)
    for fetched in fetch_files(name):
        if fetched.sha256 is None:
            print(f"{fetched.path}: no address is known; put the file there")
            continue
        known = registered[fetched.path.name] is not None
        basis = "as registered" if known else f"unknown to the registry, pinned in {fetched.path.name}.sha256"
        print(f"{fetched.path}: {fetched.state}, sha256 {fetched.sha256} ({basis})")


def list_datasets(*, json: bool = False) -> None:
    """Print the registered data sets, where they belong on this machine, and which of their files are there.

    Args:
        json: one JSON list instead of lines.
    """
    if json:
        sets = []
        for entry in REGISTRY.values():
            present = [file.name for file in entry.files if (entry.path / file.name).is_file()]
            sets.append(msgspec.to_builtins(entry) | {"folder": str(entry.path), "present": present})
        print_json(sets)
        return
    print(f"data folder: {data_root()} (ENGRAM_DATA sets another)")
    for entry in REGISTRY.values():
        print(f"\n{entry.name}: {entry.what}\n  licence: {entry.licence}; folder: {entry.path.name}")
        for file in entry.files:
            there = (entry.path / file.name).is_file()
            print(f"  {'present' if there else 'absent ':7}  {file.name}  <- {file.address or 'no address'}")
        if entry.notes:
            print(f"  {entry.notes}")
