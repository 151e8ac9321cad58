"""`engram evaluate RUN`: score a run's checkpoint on one of its splits or any annotated file.

On request also with its reading knocked out, and what its memories attend to is stored.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from core.commands.console import print_json, print_knock_outs, print_scores
from core.commands.thresholds import check_thresholds, explain_overridden, explain_unreached
from core.config.memory import MemoryConfig
from core.config.schema import Format, RunConfig
from core.data.documents import describe_unlabelled
from core.data.formats import read_corpus
from core.data.issues import Issues
from core.errors import UserError, did_you_mean
from core.records.memory_attention import attention_path, write_attention
from core.scoring.metrics import TASKS, Scores, document_f1

if TYPE_CHECKING:
    from core.features.wordpieces import EncodedDocument
    from core.run.load import OpenRun
    from core.training.held_out import SplitResult

ATTENTION_DOCUMENTS = 10
"""Documents whose attention is stored where none are named."""


def evaluate(
    run: str,
    *,
    split: Literal["validation", "test"] = "test",
    input: Path | None = None,
    format: Format = "auto",
    json: bool = False,
    knock_out: bool = False,
    attention: bool = False,
    documents: tuple[Annotated[str, "TITLE"], ...] = (),
    runs: Path = Path("runs"),
    mention_threshold: float | None = None,
    coref_threshold: float | None = None,
    relation_threshold: float | None = None,
    device: str | None = None,
    threads: int | None = None,
) -> None:
    """Decode and score documents that have gold, with every diagnostic; writes nothing but, if asked, attention.

    Args:
        run: a run id, a unique prefix of one, or a run folder.
        split: which of the run's own splits.
        input: an annotated file in place of the run's splits (an imported run has none).
        format: the format of the input; auto recognises it by the content.
        json: one JSON object instead of tables.
        knock_out: also score the same weights with reading taken away: does the model use its memory?
        attention: also store which tokens and mentions the slots of the memories read: a line per document in
            attention.SPLIT.jsonl, in the run's folder.
        documents: the documents whose attention is stored, by title or id, or how many of the first (default: 10).
        runs: the folder of run folders.
        mention_threshold: in place of the run's own, for this command only: a span is a mention from this score on.
        coref_threshold: the same for clusters: two merge while every pair of their mentions has at least this score.
        relation_threshold: the same for relations: one holds from this score on.
        device: auto, cpu, cuda or cuda:N (default: the run's own).
        threads: processor threads.
    """
    if documents and not attention:
        raise UserError("--documents names the documents whose attention is stored: add --attention")
    thresholds = check_thresholds(mention=mention_threshold, coref=coref_threshold, relation=relation_threshold)
    if attention and thresholds:
        raise UserError(
            "--attention keeps what a study's report draws, by the run's own thresholds: leave one of both out"
        )
    corpus = read_corpus(input, format=format) if input is not None else None
    # Torch is loaded only once the input is known to be usable.
    from core.progress import progress_bar, say
    from core.run.load import open_run, read_own_split
    from core.training.held_out import evaluate_split

    opened = open_run(run, runs=runs, device=device, threads=threads, thresholds=thresholds)
    if thresholds:
        say(explain_overridden(thresholds, opened.config.model))
    config, state = opened.config, opened.trained.state
    memory = None
    if attention or knock_out:
        memory = reading_memory(config, name=run, reading=state.reading, epoch=state.epoch, with_attention=attention)
    corpus = corpus or read_own_split(opened, split)
    missing = [document.id for document in corpus.documents if document.gold is None]
    if missing:
        raise UserError(f"{len(missing)} documents have no gold to score against, first {missing[0]!r}: use predict")
    if knock_out and (unlabelled := sum(document.lacks_relations for document in corpus.documents)):
        reason = describe_unlabelled(unlabelled, len(corpus.documents))
        raise UserError(
            f"--knock-out compares relation scores, but {reason}: give annotated documents, or leave it out"
        )
    issues = Issues()
    encoded = opened.encode(corpus.documents, issues)
    chosen = choose_documents(encoded, documents) if attention else []
    with progress_bar("evaluating", len(encoded)) as progress:
        result = evaluate_split(
            opened.decoder, encoded, reading=state.reading, issues=issues, on_gold=True, advance=progress.advance
        )
    result.scores["extra"]["repairs"] = dict(issues.counts)
    knock_outs = compare_knock_outs(opened, encoded, result) if knock_out else {}
    if json:
        more = {"knock_outs": knock_outs} if knock_out else {}
        print_json(result.scores | more | ({"thresholds": thresholds} if thresholds else {}))
    else:
        print_scores(msgspec.convert(result.scores, Scores))
        if knock_out:
            print_knock_outs(result.scores, knock_outs)
    for line in explain_unreached(result.unreached, opened.decoder.settings):
        say(line)
    if memory is not None and attention:
        store_attention(opened, chosen, memory, attention_path(opened.folder, "input" if input else split))


def reading_memory(
    config: RunConfig, *, name: str, reading: float, epoch: int, with_attention: bool = True
) -> MemoryConfig:
    """The memory of a run that reads it, by default with an attention; a UserError says why another does not."""
    memory = config.memory
    if memory is None:
        raise UserError(f"{name} has no memory ({config.preset}), so nothing is read: give a run that reads one")
    if reading == 0.0 or not memory.ever_reads or (with_attention and memory.reads == "constant"):
        settings = f"read_mode {memory.read_mode}, reads {memory.reads}, warmup {memory.warmup}"
        raise UserError(f"{name}, chosen at epoch {epoch}, does not read its memory ({settings}): give a run that does")
    return memory


def compare_knock_outs(
    opened: "OpenRun", documents: Sequence["EncodedDocument"], whole: "SplitResult"
) -> dict[str, dict[str, Any]]:
    """Knock-out -> its F1, difference from the whole model, and better and worse documents; each by task."""
    from core.progress import progress_bar
    from core.run.knock_out import KNOCK_OUTS, count_knock_outs, score_knock_out

    compared: dict[str, dict[str, Any]] = {}
    reading = opened.trained.state.reading
    with progress_bar("knock-outs", len(KNOCK_OUTS) * len(documents)) as progress:
        knocked_out = count_knock_outs(opened.decoder, documents, reading=reading, advance=progress.advance)
    for name, counts in knocked_out.items():
        better, worse = dict.fromkeys(TASKS, 0), dict.fromkeys(TASKS, 0)
        for task in TASKS:
            for before, after in zip(whole.counts, counts, strict=True):
                gain = document_f1(after, task) - document_f1(before, task)
                better[task] += gain > 0
                worse[task] += gain < 0
        scores = msgspec.to_builtins(score_knock_out(counts, whole.scores))
        compared[name] = scores | {"better": better, "worse": worse}
    return compared


def choose_documents(documents: Sequence["EncodedDocument"], names: Sequence[str]) -> list["EncodedDocument"]:
    """The documents with these titles or ids, in that order; one whole number asks for so many of the first."""
    # Of documents with one title, the first; an id is one document's.
    known = {encoded.document.title or encoded.document.id: encoded for encoded in reversed(documents)}
    known |= {encoded.document.id: encoded for encoded in documents}
    if len(names) == 1 and names[0] not in known and names[0].isdecimal() and int(names[0]) > 0:
        return list(documents[: int(names[0])])
    for name in names:
        if name not in known:
            raise UserError(
                f"no document {name!r} among the {len(documents)}.{did_you_mean(name, known)} "
                "--documents takes titles, ids, or a number of documents from 1"
            )
    return [known[name] for name in names] or list(documents[:ATTENTION_DOCUMENTS])


def store_attention(
    opened: "OpenRun", documents: Sequence["EncodedDocument"], memory: MemoryConfig, path: Path
) -> None:
    """Decode the documents once more, one by one, and write what their reads attend to."""
    from core.model.memory_attention import document_attention
    from core.progress import progress_bar, say

    attention = []
    with progress_bar("attention", len(documents)) as progress:
        for encoded in documents:
            attention.append(document_attention(opened.decoder, encoded, memory, reading=opened.trained.state.reading))
            progress.advance()
    write_attention(path, attention)
    say(f"attention on {len(attention)} documents: {path}; the report of a study draws the first")
