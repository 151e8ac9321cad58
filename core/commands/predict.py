"""`engram predict RUN`: annotate documents or raw text, in files of any size."""

import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from core.data.formats import Format
from core.data.formats.predictions import parse_predictions
from core.data.issues import Issues
from core.data.parsing import fault
from core.data.stream import STANDARD, ByteStream, DocumentStream, Entry, Skipped, open_stream
from core.errors import UserError
from core.files import atomic_write
from core.prediction.output import Output, is_piped, open_output, skipped_path
from core.progress import ProgressBar, StopRequest, meter, say, stop_on_signals

if TYPE_CHECKING:
    from core.run.load import OpenRun

TOLD = 5
"""So many of the documents that are skipped are named on stderr, where a side file has them all."""
TRIED = 1_000
"""So many documents that cannot be read are passed over before the model is loaded all the same."""


def predict(
    run: tyro.conf.Positional[str],
    *,
    input: str,
    output: str,
    html: Path | None = None,
    html_documents: int = 100,
    format: Format = "auto",
    anew: tyro.conf.FlagCreatePairsOff[bool] = False,
    runs: Path = Path("runs"),
    device: str | None = None,
    threads: int | None = None,
) -> None:
    """Predict mentions, clusters, typed entities and relations, one JSON line per document, in the order of the input.

    Input of any size is read, predicted and written bit by bit. A document that cannot be read or is too long for the
    model is skipped, told on stderr and kept in OUTPUT.skipped.jsonl (index and line in the input, reason, text); the
    others are predicted, and the exit code stays 0. Where no document at all can be read, it is 2 and nothing is
    written. Until all is done, predictions lie in OUTPUT.part/: after Ctrl-C, a crash or a full disk the same command
    goes on from there, and ends with the same bytes.

    Args:
        run: a run id, a unique prefix of one, or a run folder.
        input: documents in any known format, also one JSON object a line, or text with blank lines between; - is stdin.
        output: the file of prediction lines, or - for stdout, which is written as predictions come and cannot go on.
        html: also a page to look at: running text, clusters, the relation graph.
        html_documents: the page shows this many documents, the first ones.
        format: the format of the input; auto tells it by the content.
        anew: throw away what an earlier command has left in OUTPUT.part/.
        runs: where run folders lie.
        device: auto, cpu, cuda or cuda:N; the run's own where not given.
        threads: processor threads.
    """
    for path in (output, str(html) if html else STANDARD):
        check_target(path)
    if html_documents < 1:
        raise UserError(f"--html-documents is {html_documents}, but a page shows at least 1: give 1 or more")
    with (
        open_stream(input) as (stream, size),
        open_output(output, anew=anew, keep=html_documents if html else 0) as target,
    ):
        entries = remaining(stream, size, target, format)
        # Torch is loaded only once input and output are known to be usable.
        from core.run.load import open_run

        opened = open_run(run, runs=runs, device=device, threads=threads)
        predict_all(entries, opened, target, size=size, most_told=sys.maxsize if is_piped(output) else TOLD)
        shown = write_page(html, target, opened, html_documents) if html is not None else 0
        target.finish()
        done = target.done
    for kind, count in done.repairs.items():
        say(f"{kind.replace('_', ' ')}: {count} ({done.examples[kind][0]})")
    if shown < done.documents and html is not None:
        say(f"{html} shows the first {shown} of {done.documents} documents (--html-documents)")
    if done.skipped:
        where = "" if is_piped(output) else f": see {skipped_path(Path(output))}"
        say(f"{done.skipped} of {done.index} documents were skipped{where}")
    say(f"{done.documents} documents: {done.entities} entities, {done.relations} relations")


def remaining(stream: ByteStream, size: int | None, target: Output, format: Format) -> Iterator[Entry]:
    """The documents that the output lacks; raises `UserError` where not one of the input can be read."""
    documents = DocumentStream(stream, format=format)
    before = target.done
    of_size = "" if size is None else f", {size} bytes"
    target.check({"input": f"{Path(stream.path).name}{of_size}", "format": documents.format})
    if before.index:
        if not documents.go_on(before.mark, before.index, target.ids()):
            what = f"its first {before.mark.taken} bytes are not those of which {before.documents} documents were"
            raise fault(stream.path, f"{what} predicted before: give that input again, or --anew to begin again")
        say(f"going on after {before.index} documents")
    entries = documents.entries()
    if before.documents:
        return entries
    tried = []
    for entry in entries:
        tried.append(entry)
        if entry.document is not None or len(tried) == TRIED:
            return chain(tried, entries)
    if not tried:
        raise fault(stream.path, "holds 0 documents: give a file with at least 1")
    raise none_usable(len(tried), tried[0].reason)


def none_usable(count: int, reason: str) -> UserError:
    """The error for an input of which nothing could be predicted: the first document's, on its own where it was all."""
    return UserError(
        reason if count == 1 else f"{reason}\nNone of the {count} documents can be used; this is the first."
    )


def predict_all(
    entries: Iterator[Entry], opened: "OpenRun", target: Output, *, size: int | None, most_told: int
) -> None:
    """Predict window by window, with a bar; a first signal to stop is obeyed once the window is written."""
    from core.prediction.windows import Fitting, predict_window, windows

    target.check(opened.identity())
    repairs = Issues()
    repairs.counts, repairs.examples = dict(target.done.repairs), dict(target.done.examples)
    fitting = Fitting(opened.trained.wordpieces, opened.positions, opened.config.data)
    first_reason = ""
    with meter("predicting", size, done=target.done.mark.taken, unit="bytes") as progress:
        for window in windows(entries, lambda document: fitting.encode(document, repairs)):
            tell(window.skipped, target.done.skipped, most_told)
            first_reason = first_reason or (window.skipped[0].reason if window.skipped else "")
            before = target.done
            with stop_on_signals() as stop:
                shown = Shown(progress, stop, before.documents)
                predict_window(
                    window,
                    opened.decoder,
                    target,
                    reading=opened.trained.state.reading,
                    issues=repairs,
                    advance=shown.advance,
                )
            progress.advance(window.mark.taken - before.mark.taken)
            if stop.asked:
                raise KeyboardInterrupt
    if not target.done.documents:
        raise none_usable(target.done.skipped, first_reason)


class Shown:
    """Shows the documents that are decoded, and that a stop was asked for."""

    def __init__(self, progress: ProgressBar, stop: StopRequest, documents: int) -> None:
        self._progress, self._stop, self._documents = progress, stop, documents
        self._answered = False

    def advance(self, done: int) -> None:
        """Count documents."""
        self._documents += done
        self._progress.advance(0, f"{self._documents} documents")
        if self._stop.asked and not self._answered:
            self._answered = True
            say("stopping once these documents are written; Ctrl-C again stops at once")


def tell(skipped: list[Skipped], before: int, most: int) -> None:
    """Say which documents are skipped, up to `most` of them in all."""
    for number, one in enumerate(skipped, start=before + 1):
        if number <= most:
            say(f"skipped: {one.reason}")
        elif number == most + 1:
            say("skipped: more, each with its reason in the side file")


def write_page(html: Path, target: Output, opened: "OpenRun", most: int) -> int:
    """Write the page of the first documents; how many it shows."""
    from core.prediction.html import render_predictions

    lines = target.first_lines(most)
    pairs = parse_predictions(b"".join(lines), html)
    atomic_write(html, render_predictions(pairs, opened.trained.labels).encode())
    return len(pairs)


def check_target(target: str) -> None:
    """Refuse a file that could not be written, before any work is done for it."""
    path = Path(target)
    if path.is_dir():
        raise UserError(f"{path} is a folder: give the path of a file to write")
    if is_piped(target):
        return
    if not path.parent.is_dir():
        raise UserError(f"{path}: there is no folder {path.parent}; make it first (mkdir -p {path.parent})")
    probe = path.parent / f".{path.name}.probe"
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}): give a path in a folder that is yours") from None
