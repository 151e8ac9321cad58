"""Knock-outs of runs: test scores of the same weights with reading taken away, kept with a run.

A run that reads has them from its own end; finished runs of earlier versions get them from their checkpoints.
"""

import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import msgspec

from core.config.schema import RunConfig
from core.data.issues import Issues
from core.errors import UserError
from core.features.wordpieces import EncodedDocument
from core.files import atomic_write, content_hash, lock_folder
from core.model.decoder import Decoder
from core.model.knock_out import decode_knocked_out
from core.progress import StopRequest, progress_bar, say, stop_on_signals
from core.records.memory_use import KnockOut, KnockOutScores, MemoryUse
from core.records.record import read_record, write_record
from core.run.load import open_run, read_own_split
from core.scoring.evaluate import count_documents
from core.scoring.metrics import TASKS, DocumentCounts, score

KNOCK_OUTS: tuple[KnockOut, ...] = get_args(KnockOut)


def has_reads(config: RunConfig, reading: float) -> bool:
    """Whether a model of this config that reads with this strength has something to knock out."""
    return config.memory is not None and config.memory.ever_reads and reading > 0.0


def count_knock_outs(
    decoder: Decoder,
    documents: Sequence[EncodedDocument],
    *,
    reading: float,
    advance: Callable[[int], None],
) -> dict[KnockOut, list[DocumentCounts]]:
    """The counts of documents that have gold under every knock-out; each document is advanced once for each of them."""
    plain = [document.document for document in documents]
    counts = {}
    for knock_out in KNOCK_OUTS:
        decoded = decode_knocked_out(decoder, documents, knock_out, reading=reading, advance=advance)
        counts[knock_out] = count_documents(plain, [prediction.annotation for prediction in decoded])
    return counts


def score_knock_out(counts: Sequence[DocumentCounts], whole: Mapping[str, Any]) -> KnockOutScores:
    """The scores of a knock-out, and their differences from those of the whole model (task -> measure -> percent)."""
    scores = score(counts)
    f1 = {task: float(getattr(scores, task).f1) for task in TASKS}
    return KnockOutScores(f1, {task: value - whole[task]["f1"] for task, value in f1.items()})


def write_knock_outs(
    folder: Path,
    decoder: Decoder,
    documents: Sequence[EncodedDocument],
    memory_use: MemoryUse,
    *,
    whole: Mapping[str, Any],
    reading: float,
    stop: StopRequest,
) -> MemoryUse:
    """The memory use of a run with its knock-outs on test; their counts per document go to the folder."""
    started = time.perf_counter()
    with progress_bar("knock-outs", len(KNOCK_OUTS) * len(documents)) as progress:

        def advance(done: int) -> None:
            progress.advance(done)
            if stop.asked:
                raise KeyboardInterrupt

        counts = count_knock_outs(decoder, documents, reading=reading, advance=advance)
    for knock_out, by_document in counts.items():
        atomic_write(folder / f"documents.test.{knock_out}.json", msgspec.json.encode(by_document))
    return msgspec.structs.replace(
        memory_use,
        knock_outs={knock_out: score_knock_out(by_document, whole) for knock_out, by_document in counts.items()},
        knock_out_seconds=time.perf_counter() - started,
    )


def add_knock_outs(folder: Path, *, device: str | None, threads: int | None, stop: StopRequest) -> None:
    """Add knock-outs to the record of a finished run that reads; a UserError says why they cannot be."""
    with lock_folder(folder):
        record = read_record(folder)
        if record is None or record.status != "finished":
            raise UserError(f"{folder} is not finished: compute it first")
        memory_use = record.memory_use or MemoryUse()
        if memory_use.knock_outs:
            return
        if "test" not in record.metrics:
            raise UserError(f"{folder} has no test scores to compare with: only a run with data.test has knock-outs")
        opened = open_run(str(folder), runs=folder.parent, device=device, threads=threads)
        config, reading = opened.config, opened.trained.state.reading
        if not has_reads(config, reading):
            raise UserError(f"{folder} does not read a memory: there is nothing to knock out")
        path = str(config.data.test)
        known = record.provenance.data.get(path) if record.provenance else None
        # Scores of other documents would look like what the knock-out did.
        if known is not None and known != content_hash(Path(path)):
            raise UserError(f"{path} has changed since the run was scored on it: restore it, or compute the run again")
        encoded = opened.encode(read_own_split(opened, "test").documents, Issues())
        whole = record.metrics["test"]
        memory_use = write_knock_outs(
            folder, opened.decoder, encoded, memory_use, whole=whole, reading=reading, stop=stop
        )
        write_record(folder, msgspec.structs.replace(record, memory_use=memory_use))


def add_all_knock_outs(folders: Sequence[Path], *, device: str | None = None, threads: int | None = None) -> None:
    """Add knock-outs to run folders, and say why one gets none; a KeyboardInterrupt where a signal asked to stop."""
    with stop_on_signals() as stop:
        for number, folder in enumerate(folders, start=1):
            try:
                say(f"{folder}: knock-outs, run {number} of {len(folders)}")
                add_knock_outs(folder, device=device, threads=threads, stop=stop)
            except UserError as error:
                say(f"engram: skipped: {error}")
            except Exception:  # noqa: BLE001 - whatever one run fails of, the others are still to be computed
                say(f"engram: skipped: {folder}: {traceback.format_exc()}")
            if stop.asked:
                raise KeyboardInterrupt
