"""Execute a run: a run folder that holds config.yaml is computed to its record."""

import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from core.config.presets import from_yaml
from core.config.schema import RunConfig
from core.config.signature import run_id
from core.data.formats.predictions import write_predictions
from core.data.formats.types_file import read_types
from core.data.issues import Issues
from core.errors import UserError
from core.features.prepare import PreparedData, prepare
from core.features.wordpieces import EncodedDocument
from core.files import atomic_write, file_hash, format_size, free_bytes, lock_folder
from core.model.decoder import Decoder, DecoderSettings
from core.model.encoder import Encoder, load_encoder
from core.model.joint_model import JointModel, initialise
from core.model.memory import set_constant_reads
from core.progress import StopRequest, progress_bar, say, stop_on_signals
from core.records.memory_use import MemoryUse
from core.records.provenance import collect_provenance
from core.records.record import (
    BEST,
    CONFIG,
    FINAL,
    LAST,
    RunRecord,
    Status,
    clean_up,
    clean_up_if_killed,
    delete_run_leftovers,
    read_record,
    write_record,
)
from core.records.tracking import Tracker
from core.run.device import find_device, keep_freed_memory, limit_onednn_cache, peak_memory, reset_peak_memory
from core.run.knock_out import has_reads, write_knock_outs
from core.run.observer import RunObserver
from core.scoring.diagnostics import Fact, training_facts
from core.training.checkpoints import ChosenEpoch, load_model, recover_model
from core.training.held_out import SplitResult, evaluate_split
from core.training.loop import Diverged, total_steps, train


@dataclass(frozen=True)
class ReadyRun:
    """What a run needs before its first step: device, documents and fresh model, and the seconds it took to get it."""

    accelerator: Accelerator
    data: PreparedData
    model: JointModel
    seconds: float


def get_ready(config: RunConfig, folder: Path) -> ReadyRun:
    """Read and build what a run needs; a UserError for whatever does not fit together. Nothing is written."""
    started = time.perf_counter()
    accelerator = build_accelerator(config)
    data = prepare(config)
    model = build_fresh_model(config, data).to(accelerator.device)
    check_disk(folder, model)
    return ReadyRun(accelerator, data, model, time.perf_counter() - started)


def run(folder: Path, ready: ReadyRun | None = None) -> RunRecord:
    """Compute a run folder to its record; a finished run is not computed again, an interrupted one is resumed exactly.

    A run that fails or diverges is recorded as such and returned; a user's mistake is recorded and raised, and so is a
    stop by signal, after the state has been saved. Whoever is `ready` already has found no mistake.
    """
    before = read_record(folder)
    if before is not None and before.status in FINAL:
        clean_up_if_killed(folder)
        return before
    config = from_yaml(folder / CONFIG)
    tracker = Tracker(config.tracking)
    with lock_folder(folder), stop_on_signals() as stop:
        # Until the lock was ours another process may have finished it.
        before = read_record(folder)
        if before is not None and before.status in FINAL:
            return before
        recover_model(folder / BEST)
        delete_run_leftovers(folder)
        started = time.perf_counter() - (ready.seconds if ready else 0.0)
        reset_peak_memory()
        record = RunRecord(run_id=run_id(config), status="running", config=config.model_dump(mode="json"))
        if before is not None and before.run_id == record.run_id:
            record = msgspec.structs.replace(record, seconds=before.seconds)

        def end(status: Status, error: str | None = None) -> RunRecord:
            """Write and track the record of the run as it ended."""
            seconds = record.seconds + time.perf_counter() - started
            ended = msgspec.structs.replace(
                record, status=status, error=error, seconds=seconds, peak_memory_mib=peak_memory()
            )
            write_record(folder, ended)
            tracker.finish(ended)
            return ended

        try:
            provenance = collect_provenance(data_hashes(config))
            record = msgspec.structs.replace(record, provenance=provenance, type_names=read_type_names(config))
            write_record(folder, record)
            tracker.start(record, folder)
            record = msgspec.structs.replace(record, url=tracker.url)
            record = compute(folder, config, ready or get_ready(config, folder), record, tracker, stop)
        except KeyboardInterrupt:
            end("interrupted", "interrupted by the user or the scheduler")
            raise
        except UserError as error:
            end("failed", str(error))
            raise
        except Diverged as error:
            return end("diverged", str(error))
        except Exception:  # noqa: BLE001 - whatever a run fails of is recorded, and a study continues without it
            return end("failed", traceback.format_exc())
        record = end("finished")
        clean_up(folder, keep=config.training.keep)
        return record


def compute(
    folder: Path, config: RunConfig, ready: ReadyRun, record: RunRecord, tracker: Tracker, stop: StopRequest
) -> RunRecord:
    """Train a model, evaluate the one that validation chose, and return the record with its scores."""
    accelerator, data, model = ready.accelerator, ready.data, ready.model
    decoder = Decoder(model, data.wordpieces, data.labels, DecoderSettings.from_config(config))
    steps = total_steps(config, len(data.splits["train"]))
    sizes = ", ".join(f"{len(documents)} {name}" for name, documents in data.splits.items())
    say(f"{folder}: {sizes} documents; {steps} steps on {accelerator.device}")
    for overlap in data.overlaps:
        say(f"warning: {overlap}")
    with progress_bar("training", steps) as progress:
        observer = RunObserver(
            folder,
            config,
            data,
            decoder,
            run_id=record.run_id,
            steps=steps,
            tracker=tracker,
            progress=progress,
            stop=stop,
        )
        train(model, data, config, accelerator, observer)
    assert observer.chosen is not None
    load_chosen(model, folder, config, observer.chosen)
    reading = observer.chosen.state.reading
    repairs = {name: dict(issues.counts) for name, issues in data.issues.items()} | {"epochs": observer.repairs}
    facts = training_facts(document.document for document in data.splits["train"])
    metrics: dict[str, dict[str, Any]] = {}
    reads = {"validation": observer.chosen.reads}
    for split in ("validation", "test"):
        if split in data.splits:
            issues = Issues()
            result = evaluate_and_write(
                folder, split, data.splits[split], decoder, reading=reading, facts=facts, issues=issues, stop=stop
            )
            metrics[split] = result.scores
            # Those of validation are of the same weights, and know a sample as in training too.
            reads.setdefault(split, result.reads)
            repairs[split] = repairs.get(split, {}) | dict(issues.counts)
    memory_use = MemoryUse(reads=reads) if has_reads(config, reading) else None
    if memory_use is not None and "test" in metrics:
        memory_use = write_knock_outs(
            folder, decoder, data.splits["test"], memory_use, whole=metrics["test"], reading=reading, stop=stop
        )
    return msgspec.structs.replace(
        record,
        metrics=metrics,
        steps=steps,
        chosen_epoch=observer.chosen.state.epoch,
        chosen_reading=reading,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        repairs={name: counts for name, counts in repairs.items() if counts},
        memory_use=memory_use,
        overlaps=list(data.overlaps),
    )


def load_chosen(model: JointModel, folder: Path, config: RunConfig, chosen: ChosenEpoch) -> None:
    """Set the weights that validation chose; `UserError` where the checkpoint is of another epoch."""
    best = load_model(folder / BEST, config)
    if best.state != chosen.state:
        # A kill between the two checkpoints heals as the same steps choose the same again: unless they differ.
        raise UserError(
            f"{folder / BEST} is of epoch {best.state.epoch}, but validation chose epoch {chosen.state.epoch}: the run "
            "was interrupted and resumed on a machine or version that gives different numbers; delete "
            f"{folder / LAST}, and it starts again from its first step"
        )
    model.load_state_dict(best.model.state_dict())


def evaluate_and_write(
    folder: Path,
    split: str,
    documents: list[EncodedDocument],
    decoder: Decoder,
    *,
    reading: float,
    facts: frozenset[Fact],
    issues: Issues,
    stop: StopRequest,
) -> SplitResult:
    """Evaluate a split, and write its predictions and its counts per document."""
    with progress_bar(f"evaluating {split}", len(documents)) as progress:

        def advance(done: int) -> None:
            progress.advance(done)
            if stop.asked:
                raise KeyboardInterrupt

        result = evaluate_split(
            decoder, documents, reading=reading, issues=issues, facts=facts, on_gold=True, advance=advance
        )
    write_predictions(zip(result.documents, result.annotations, strict=True), folder / f"predictions.{split}.jsonl")
    atomic_write(folder / f"documents.{split}.json", msgspec.json.encode(result.counts))
    return result


def check_disk(folder: Path, model: JointModel) -> None:
    """Refuse to start where the checkpoints would not fit: best and last, each next to its successor."""
    weights = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
    needed, free = 8 * weights + 2**24, free_bytes(folder)
    if free < needed:
        raise UserError(
            f"{format_size(free)} are free in {folder}, the checkpoints of this run need {format_size(needed)}: "
            "free some space, or give another disk (--runs DIR)"
        )


def build_accelerator(config: RunConfig) -> Accelerator:
    """One device and number format; a worker's next run may have others, so nothing of the last one stays."""
    AcceleratorState._reset_state(reset_partial_state=True)
    if config.runtime.threads is not None:
        torch.set_num_threads(config.runtime.threads)
    device = find_device(config.runtime.device)
    if device.type == "cpu":
        keep_freed_memory()
        limit_onednn_cache()
    if device.type == "cuda":
        torch.cuda.set_device(device)
    # Fused kernels may sum in another order each time; filling fresh memory would only cost time.
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    mixed = "bf16" if config.training.precision == "bf16" else "no"
    return Accelerator(cpu=device.type == "cpu", mixed_precision=mixed)


def build_fresh_model(config: RunConfig, data: PreparedData) -> JointModel:
    """The model of a run, pretrained where its encoder is, everything else drawn by (seed, parameter name)."""
    loaded = load_encoder(config.encoder, vocabulary=data.wordpieces.size)
    tokenizer = config.encoder.tokenizer or config.encoder.source
    way_out = "give the encoder's own tokenizer (--encoder.tokenizer)"
    data.wordpieces.check_size(int(loaded.transformer.config.vocab_size), tokenizer, way_out)
    model = JointModel(Encoder(loaded.transformer), config, data.labels)
    initialise(model, loaded, seed=config.seed)
    set_constant_reads(model.reads, data.splits["train"], config.samples, data.labels)
    return model


def read_type_names(config: RunConfig) -> dict[str, dict[str, str]]:
    """The readable names of the run's types, which a types file alone gives."""
    return read_types(config.data.types).type_names() if config.data.types is not None else {}


def data_hashes(config: RunConfig) -> dict[str, str]:
    """The content hash of every file that the run reads."""
    data = config.data
    paths = (data.train, data.validation, data.test, data.types)
    return {path: file_hash(Path(path)) for path in paths if path is not None}
