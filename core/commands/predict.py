"""`engram predict RUN`: annotate documents or raw text."""

import sys
from pathlib import Path

import tyro

from core.documents import Dirt
from core.errors import UserError
from core.readers import Format, parse_corpus
from core.readers.predictions import prediction_line
from core.readers.source import read_source
from core.replacing import replace_file

STANDARD = "-"


def predict(
    run: tyro.conf.Positional[str],
    *,
    input: str,
    output: str,
    html: Path | None = None,
    format: Format = "auto",
    runs: Path = Path("runs"),
    device: str | None = None,
    threads: int | None = None,
) -> None:
    """Predict mentions, clusters, typed entities and relations, one JSON line per document.

    Args:
        run: a run id, a unique prefix of one, or a run folder.
        input: documents in any known format or plain text (a blank line separates documents), or - for stdin.
        output: the file of prediction lines, or - for stdout.
        html: also a page to look at: running text, clusters, the relation graph.
        format: the format of the input; auto tells it by the content.
        runs: where run folders lie.
        device: auto, cpu, cuda or cuda:N; the run's own where not given.
        threads: processor threads.
    """
    raw = sys.stdin.buffer.read() if input == STANDARD else read_source(input)
    corpus = parse_corpus(raw, "stdin.txt" if input == STANDARD and _is_text(raw) else input, format=format)
    for target in (output, str(html) if html else STANDARD):
        check_target(target)
    # Torch is loaded only once input and output are known to be usable.
    from core.preparing import encode
    from core.progress import meter, say
    from core.trained import open_run

    opened = open_run(run, runs=runs, device=device, threads=threads)
    repairs = Dirt()
    encoded = encode(corpus.documents, opened.trained.wordpieces, opened.positions, opened.config.data, repairs)
    with meter("predicting", len(encoded)) as progress:
        decoded = opened.decoder.decode(
            encoded, reading=opened.trained.state.reading, dirt=repairs, advance=progress.advance
        )
    pairs = [(one.document, result.annotation) for one, result in zip(encoded, decoded, strict=True)]
    lines = b"".join(prediction_line(document, annotation) for document, annotation in pairs)
    if output == STANDARD:
        sys.stdout.buffer.write(lines)
        sys.stdout.buffer.flush()
    else:
        replace_file(output, lines)
    if html is not None:
        from core.view import render

        replace_file(html, render(pairs, opened.trained.labels).encode())
    for kind, count in repairs.counts.items():
        say(f"{kind.replace('_', ' ')}: {count} ({repairs.examples[kind][0]})")
    entities = sum(len(annotation.entities) for _, annotation in pairs)
    relations = sum(len(annotation.relations) for _, annotation in pairs)
    say(f"{len(pairs)} documents: {entities} entities, {relations} relations")


def _is_text(raw: bytes) -> bool:
    return raw.lstrip()[:1] not in (b"[", b"{")


def check_target(target: str) -> None:
    """Refuse a file that could not be written, before any work is done for it."""
    if target == STANDARD:
        return
    path = Path(target)
    if path.is_dir():
        raise UserError(f"{path} is a folder: give the path of a file to write")
    if not path.parent.is_dir():
        raise UserError(f"{path}: there is no folder {path.parent}; make it first (mkdir -p {path.parent})")
    probe = path.parent / f".{path.name}.probe"
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}): give a path in a folder that is yours") from None
