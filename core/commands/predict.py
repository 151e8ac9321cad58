"""`engram predict RUN`: annotate documents or raw text, in files of any size."""

import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from core.commands.thresholds import check_thresholds, explain_overridden, explain_unreached
from core.config.schema import Format
from core.data.formats.predictions import parse_predictions
from core.data.issues import Issues
from core.data.stream import DocumentStream, open_documents
from core.errors import UserError, fault
from core.files import atomic_write, check_file_path, write_json
from core.prediction.output import Output, is_pipe, open_output, settings_path, skipped_path
from core.progress import progress_bar, say, stop_on_signals

if TYPE_CHECKING:
    from core.run.load import OpenRun

MAX_NAMED = 5
"""So many of the skipped documents are named on stderr, where a side file has them all."""


def predict(
    run: str,
    *,
    input: str,
    output: Annotated[str, "FILE"],
    html: Path | None = None,
    html_documents: int = 100,
    format: Format = "auto",
    anew: bool = False,
    runs: Path = Path("runs"),
    mention_threshold: float | None = None,
    coref_threshold: float | None = None,
    relation_threshold: float | None = None,
    device: str | None = None,
    threads: int | None = None,
) -> None:
    """Predict mentions, clusters, typed entities and relations, one JSON line per document, in the order of the input.

    JSON lines, PubTator and text of any size are read, predicted and written bit by bit; the file of a JSON array has
    to fit in memory. A document that cannot be read or is too long for the model is skipped, named on stderr and kept
    in OUTPUT.skipped.jsonl (index and line in the input, reason, text); the others are predicted, and the exit code
    stays 0. Where no document at all can be read, it is 2 and nothing is written.
    OUTPUT.settings.json says by which run and settings the documents were predicted.
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
        mention_threshold: in place of the run's own, for this command only: a span is a mention from this score on.
        coref_threshold: the same for clusters: two merge while every pair of their mentions has at least this score.
        relation_threshold: the same for relations: one holds from this score on.
        device: auto, cpu, cuda or cuda:N (default: the run's own).
        threads: processor threads.
    """
    thresholds = check_thresholds(mention=mention_threshold, coref=coref_threshold, relation=relation_threshold)
    for path in (output, html):
        if path is not None and not is_pipe(path):
            check_file_path(Path(path))
    if html_documents < 1:
        raise UserError(f"--html-documents is {html_documents}, but a page shows at least 1: give 1 or more")
    with (
        open_documents(input, format=format) as documents,
        open_output(output, anew=anew, keep=html_documents if html else 0) as target,
    ):
        resume(documents, target)
        # Torch is loaded only once input and output are known to be usable.
        from core.run.load import open_run

        opened = open_run(run, runs=runs, device=device, threads=threads, thresholds=thresholds)
        if thresholds:
            say(explain_overridden(thresholds, opened.config.model))
        predict_all(documents, opened, target, max_named=sys.maxsize if is_pipe(output) else MAX_NAMED)
        done = target.done
        if not is_pipe(output):
            write_json(settings_path(Path(output)), describe_settings(opened, thresholds))
        if html is not None:
            from core.prediction.html import render_predictions

            pairs = parse_predictions(b"".join(target.first), html)
            atomic_write(html, render_predictions(pairs, opened.trained.labels, title=f"Predictions of {run}").encode())
    for kind, count in done.repairs.items():
        say(f"{kind.replace('_', ' ')}: {count} ({done.examples[kind][0]})")
    if html is not None and html_documents < done.documents:
        say(f"{html} shows the first {html_documents} of {done.documents} documents (--html-documents)")
    if done.skipped:
        side_file = "" if is_pipe(output) else f": see {skipped_path(Path(output))}"
        say(f"{done.skipped} of {done.index} documents were skipped{side_file}")
    for line in explain_unreached(done.unreached, opened.decoder.settings):
        say(line)
    say(f"{done.documents} documents: {done.entities} entities, {done.relations} relations")


def describe_settings(opened: "OpenRun", thresholds: Mapping[str, float]) -> dict[str, Any]:
    """What an output was predicted by: run, hash of its checkpoint, settings, and which of these are not the run's."""
    return {
        "run": str(opened.folder.absolute()),
        "checkpoint": opened.identity()["checkpoint"],
        "settings": opened.settings,
        "overridden": list(thresholds),
    }


def resume(documents: DocumentStream, target: Output) -> None:
    """Pass over the documents that the output has; raises `UserError` where they came from another input."""
    before = target.done
    with_size = "" if documents.size is None else f", {documents.size} bytes"
    target.check({"input": f"{Path(documents.path).name}{with_size}", "format": documents.format})
    if before.index:
        if not documents.resume(before.mark, before.index, target.ids()):
            what = f"its first {before.mark.taken} bytes are not those of which {before.documents} documents were"
            raise fault(documents.path, f"{what} predicted before: give that input again, or --anew to begin again")
        say(f"resuming after {before.index} documents")


def predict_all(documents: DocumentStream, opened: "OpenRun", target: Output, *, max_named: int) -> None:
    """Predict window by window, with a bar; a first signal to stop is obeyed once the window is written."""
    from core.prediction.windows import encode_limited, predict_window, windows

    target.check(opened.identity())
    repairs = Issues()
    repairs.counts, repairs.examples = dict(target.done.repairs), dict(target.done.examples)
    wordpieces, positions, data = opened.trained.wordpieces, opened.positions, opened.config.data
    first_reason, answered, decoded = "", False, target.done.documents
    with progress_bar("predicting", documents.size, unit="bytes") as progress:
        progress.resume(target.done.mark.taken)

        def advance(count: int) -> None:
            nonlocal answered, decoded
            decoded += count
            progress.advance(0, f"{decoded} documents")
            if stop.asked and not answered:
                answered = True
                say("stopping once these documents are written; Ctrl-C again stops at once")

        encode = partial(encode_limited, wordpieces=wordpieces, positions=positions, data=data, issues=repairs)
        for window in windows(documents.entries(), encode):
            for number, document in enumerate(window.skipped, start=target.done.skipped):
                first_reason = first_reason or document.reason
                if number < max_named:
                    say(f"skipped: {document.reason}")
            taken, reading = target.done.mark.taken, opened.trained.state.reading
            with stop_on_signals() as stop:
                predict_window(window, opened.decoder, target, reading=reading, issues=repairs, advance=advance)
            progress.advance(window.mark.taken - taken)
            if stop.asked:
                raise KeyboardInterrupt
    if not target.done.documents:
        if not first_reason:
            raise fault(documents.path, "holds 0 documents that can be used: give a file with at least 1")
        all_of_them = f"\nNone of the {target.done.skipped} documents can be used; this is the first."
        raise UserError(first_reason + (all_of_them if target.done.skipped > 1 else ""))
