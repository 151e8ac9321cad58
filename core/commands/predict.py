"""`engram predict RUN`: annotate documents or raw text, in files of any size."""

import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from core.config.schema import Format
from core.data.formats.predictions import parse_predictions
from core.data.issues import Issues
from core.data.parsing import fault
from core.data.stream import DocumentStream, Entry, Skipped, open_documents
from core.errors import UserError
from core.files import atomic_write
from core.prediction.output import Output, is_pipe, open_output, skipped_path
from core.progress import progress_bar, say, stop_on_signals

if TYPE_CHECKING:
    from core.run.load import OpenRun

MAX_NAMED = 5
"""So many of the skipped documents are named on stderr, where a side file has them all."""


def predict(
    run: tyro.conf.Positional[str],
    *,
    input: str,
    output: str,
    html: Path | None = None,
    html_documents: int = 100,
    format: Format = "auto",
    anew: bool = False,
    runs: Path = Path("runs"),
    device: str | None = None,
    threads: int | None = None,
) -> None:
    """Predict mentions, clusters, typed entities and relations, one JSON line per document, in the order of the input.

    JSON lines, PubTator and text of any size are read, predicted and written bit by bit; the file of a JSON array has
    to fit in memory. A document that cannot be read or is too long for the model is skipped, named on stderr and kept
    in OUTPUT.skipped.jsonl (index and line in the input, reason, text); the others are predicted, and the exit code
    stays 0. Where no document at all can be read, it is 2 and nothing is written.
    Until all is done, predictions are kept in OUTPUT.part/: after Ctrl-C, a crash or a full disk the same
    command resumes there, and ends with the same bytes.

    Args:
        run: a run id, a unique prefix of one, or a run folder.
        input: documents in any known format, also one JSON object a line, or text with blank lines between; - is stdin.
        output: the file of prediction lines, or - for stdout, which is written as predictions come and never resumed.
        html: also write a page to read: running text, clusters, the relation graph.
        html_documents: how many documents the page has, the first ones.
        format: the format of the input; auto recognises it by the content.
        anew: delete what an earlier command has left in OUTPUT.part/, and begin again.
        runs: the folder of run folders.
        device: auto, cpu, cuda or cuda:N (default: the run's own).
        threads: processor threads.
    """
    check_target(output)
    if html is not None:
        check_target(str(html))
    if html_documents < 1:
        raise UserError(f"--html-documents is {html_documents}, but a page shows at least 1: give 1 or more")
    with (
        open_documents(input, format=format) as documents,
        open_output(output, anew=anew, keep=html_documents if html else 0) as target,
    ):
        entries = remaining(documents, target)
        # Torch is loaded only once input and output are known to be usable.
        from core.run.load import open_run

        opened = open_run(run, runs=runs, device=device, threads=threads)
        max_named = sys.maxsize if is_pipe(output) else MAX_NAMED
        predict_all(entries, opened, target, size=documents.size, max_named=max_named)
        done = target.done
        if html is not None:
            from core.prediction.html import render_predictions

            pairs = parse_predictions(b"".join(target.first_lines(html_documents)), html)
            atomic_write(html, render_predictions(pairs, opened.trained.labels, title=f"Predictions of {run}").encode())
        target.finish()
    for kind, count in done.repairs.items():
        say(f"{kind.replace('_', ' ')}: {count} ({done.examples[kind][0]})")
    if html is not None and html_documents < done.documents:
        say(f"{html} shows the first {html_documents} of {done.documents} documents (--html-documents)")
    if done.skipped:
        side_file = "" if is_pipe(output) else f": see {skipped_path(Path(output))}"
        say(f"{done.skipped} of {done.index} documents were skipped{side_file}")
    say(f"{done.documents} documents: {done.entities} entities, {done.relations} relations")


def check_target(target: str) -> None:
    """Raise a UserError for a file that could not be written, before any work is done for it."""
    path = Path(target)
    if path.is_dir():
        raise UserError(f"{path} is a folder: give the path of a file to write")
    if not is_pipe(target) and not path.parent.is_dir():
        raise UserError(f"{path}: there is no folder {path.parent}; make it first (mkdir -p {path.parent})")


def remaining(documents: DocumentStream, target: Output) -> Iterator[Entry]:
    """The documents that the output lacks; raises `UserError` for an input that has none at all."""
    before = target.done
    with_size = "" if documents.size is None else f", {documents.size} bytes"
    target.check({"input": f"{Path(documents.path).name}{with_size}", "format": documents.format})
    if before.index:
        if not documents.resume(before.mark, before.index, target.ids()):
            what = f"its first {before.mark.taken} bytes are not those of which {before.documents} documents were"
            raise fault(documents.path, f"{what} predicted before: give that input again, or --anew to begin again")
        say(f"resuming after {before.index} documents")
    entries = documents.entries()
    first = next(entries, None)
    if first is None and not before.index:
        raise fault(documents.path, "holds 0 documents: give a file with at least 1")
    return chain([first] if first else [], entries)


def predict_all(
    entries: Iterator[Entry], opened: "OpenRun", target: Output, *, size: int | None, max_named: int
) -> None:
    """Predict window by window, with a bar; a first signal to stop is obeyed once the window is written."""
    from core.prediction.windows import encode_limited, predict_window, windows

    target.check(opened.identity())
    repairs = Issues()
    repairs.counts, repairs.examples = dict(target.done.repairs), dict(target.done.examples)
    wordpieces, positions, data = opened.trained.wordpieces, opened.positions, opened.config.data
    first_reason, answered, decoded = "", False, target.done.documents
    with progress_bar("predicting", size, done=target.done.mark.taken, unit="bytes") as progress:

        def advance(count: int) -> None:
            nonlocal answered, decoded
            decoded += count
            progress.advance(0, f"{decoded} documents")
            if stop.asked and not answered:
                answered = True
                say("stopping once these documents are written; Ctrl-C again stops at once")

        for window in windows(entries, lambda document: encode_limited(document, wordpieces, positions, data, repairs)):
            name_skipped(window.skipped, target.done.skipped, max_named)
            first_reason = first_reason or (window.skipped[0].reason if window.skipped else "")
            before, reading = target.done, opened.trained.state.reading
            with stop_on_signals() as stop:
                predict_window(window, opened.decoder, target, reading=reading, issues=repairs, advance=advance)
            progress.advance(window.mark.taken - before.mark.taken)
            if stop.asked:
                raise KeyboardInterrupt
    if not target.done.documents:
        all_of_them = f"\nNone of the {target.done.skipped} documents can be used; this is the first."
        raise UserError(first_reason + (all_of_them if target.done.skipped > 1 else ""))


def name_skipped(skipped: list[Skipped], before: int, max_named: int) -> None:
    """Say which documents are skipped, up to `max_named` of them in all."""
    for number, document in enumerate(skipped, start=before + 1):
        if number <= max_named:
            say(f"skipped: {document.reason}")
        elif number == max_named + 1:
            say("skipped: more, each with its reason in the side file")
