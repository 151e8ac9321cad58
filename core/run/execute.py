"""run(folder) -> RunRecord: a run folder that holds config.yaml, computed to its record."""

import resource
import shutil
import sys
import time
import traceback
from contextlib import suppress
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
from core.data.issues import Issues
from core.errors import UserError
from core.features.prepare import PreparedData, prepare
from core.files import atomic_write, content_hash, lock_folder
from core.model.decoder import Decoder, DecoderSettings
from core.model.encoder import Encoder, load_encoder
from core.model.joint_model import JointModel, initialise
from core.model.memory import set_constant_reads
from core.progress import ProgressBar, StopRequest, progress_bar, say, stop_on_signals
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
from core.records.tracking import Tracker, build_tracker
from core.run.device import find_device, keep_freed_memory
from core.run.observer import RunObserver
from core.scoring.diagnostics import training_facts
from core.training.checkpoints import load_model, recover_model
from core.training.held_out import SplitResult, evaluate_split
from core.training.loop import Diverged, TrainingInput, total_steps, train


def run(folder: Path, tracker: Tracker | None = None) -> RunRecord:
    """Compute a run folder to its record; a finished run is not computed again, a cut-off one goes on exactly.

    A run that fails or diverges is recorded as such and returned; a user's mistake is recorded and raised, and so is a
    stop by signal, after the state has been saved.
    """
    done = read_record(folder)
    if done is not None and done.status in FINAL:
        clean_up_if_killed(folder)
        return done
    config = from_yaml(folder / CONFIG)
    told = tracker if tracker is not None else build_tracker(config.tracking)
    with lock_folder(folder), stop_on_signals() as stop:
        # Until the lock was ours another process may have finished it.
        done = read_record(folder)
        if done is not None and done.status in FINAL:
            return done
        recover_model(folder / BEST)
        delete_run_leftovers(folder)
        started = time.perf_counter()
        reset_peak_memory()
        record = RunRecord(run_id=run_id(config), status="running", config=config.model_dump(mode="json"))
        before = done.seconds if done is not None and done.run_id == record.run_id else 0.0

        def ended(status: Status, error: str | None = None) -> RunRecord:
            seconds = before + time.perf_counter() - started
            return msgspec.structs.replace(
                record, status=status, error=error, seconds=seconds, peak_memory_mib=peak_memory()
            )

        try:
            record = msgspec.structs.replace(record, provenance=collect_provenance(data_hashes(config)), seconds=before)
            write_record(folder, record)
            told.start(record, folder)
            record = compute(folder, config, record, told, stop)
            record = ended("finished")
        except KeyboardInterrupt:
            record = ended("interrupted", "stopped by the user")
            write_record(folder, record)
            told.finish(record)
            raise
        except Diverged as error:
            record = ended("diverged", str(error))
        except UserError as error:
            record = ended("failed", str(error))
            write_record(folder, record)
            told.finish(record)
            raise
        except Exception:  # noqa: BLE001 - whatever a run dies of is recorded, and a study goes on without it
            record = ended("failed", traceback.format_exc())
        write_record(folder, record)
        told.finish(record)
        if record.status == "finished":
            clean_up(folder, keep=config.training.keep)
    return record


def compute(folder: Path, config: RunConfig, record: RunRecord, tracker: Tracker, stop: StopRequest) -> RunRecord:
    """Train, choose, test: the record of a run that went well."""
    accelerator = build_accelerator(config)
    data = prepare(config)
    model = build_fresh_model(config, data)
    model.to(accelerator.device)
    check_disk(folder, model)
    decoder = Decoder(model, data.wordpieces, data.labels, DecoderSettings.from_config(config))
    steps = total_steps(config, len(data.splits["train"]))
    sizes = ", ".join(f"{len(part)} {name}" for name, part in data.splits.items())
    say(f"{folder}: {sizes} documents; {steps} steps on {accelerator.device}")
    with progress_bar("training", steps) as progress:
        run_observer = RunObserver(
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
        given = TrainingInput(data.splits["train"], data.labels, data.wordpieces.padding)
        train(model, given, config, accelerator, run_observer)
    assert run_observer.chosen is not None
    chosen = run_observer.chosen
    best = load_model(folder / BEST, config)
    if best.state != chosen.state:
        # A kill between the two checkpoints heals as the same steps choose the same again: unless they differ.
        raise UserError(
            f"{folder / BEST} is of epoch {best.state.epoch}, validation chose epoch {chosen.state.epoch}: the run was "
            f"cut off and gone on where it computes other numbers; delete {folder / LAST} to start anew"
        )
    model.load_state_dict(best.model.state_dict())
    facts = training_facts(one.document for one in data.splits["train"])
    counted = {name: dict(issues.counts) for name, issues in data.issues.items()} | {"epochs": run_observer.repairs}
    metrics: dict[str, dict[str, Any]] = {}
    for split in ("validation", "test"):
        if split in data.splits:
            issues = Issues()
            with progress_bar(f"evaluating {split}", len(data.splits[split])) as progress:

                def advance(done: int, progress: ProgressBar = progress) -> None:
                    progress.advance(done)
                    if stop.asked:
                        raise KeyboardInterrupt

                result = evaluate_split(
                    decoder,
                    data.splits[split],
                    reading=chosen.state.reading,
                    issues=issues,
                    facts=facts,
                    on_gold=True,
                    advance=advance,
                )
            store(folder, split, result)
            metrics[split] = result.scores
            counted[split] = counted.get(split, {}) | dict(issues.counts)
    return msgspec.structs.replace(
        record,
        metrics=metrics,
        steps=steps,
        chosen_epoch=chosen.state.epoch,
        chosen_reading=chosen.state.reading,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        repairs={name: counts for name, counts in counted.items() if counts},
    )


def check_disk(folder: Path, model: JointModel) -> None:
    """Refuse to start where the checkpoints would not fit: best and last, each beside its successor."""
    weights = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
    needed, free = 8 * weights + 2**24, shutil.disk_usage(folder).free
    if free < needed:
        raise UserError(
            f"{free / 2**20:.0f} MiB are free in {folder}, the checkpoints of this run need {needed / 2**20:.0f} MiB: "
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
    pieces = int(loaded.transformer.config.vocab_size)
    if data.wordpieces.size > pieces:
        raise UserError(
            f"the tokenizer has {data.wordpieces.size} word pieces, encoder {config.encoder.source!r} {pieces}: "
            "give its own tokenizer (encoder.tokenizer)"
        )
    model = JointModel(Encoder(loaded.transformer), config, data.labels)
    initialise(model, loaded, seed=config.seed)
    set_constant_reads(model.reads, data.splits["train"], config.samples, data.labels)
    return model


def store(folder: Path, split: str, result: SplitResult) -> None:
    """Write the predictions and the counts per document of a split."""
    write_predictions(zip(result.documents, result.annotations, strict=True), folder / f"predictions.{split}.jsonl")
    atomic_write(folder / f"documents.{split}.json", msgspec.json.encode(result.counts))


def data_hashes(config: RunConfig) -> dict[str, str]:
    """The content hash of every file that the run reads."""
    data = config.data
    paths = (data.train, data.validation, data.test, data.types)
    return {path: content_hash(Path(path)) for path in paths if path is not None}


def reset_peak_memory() -> None:
    """Let the peak begin anew, as a worker's next run is not the last one's heir; only Linux can."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory() -> float:
    """The most resident memory that this process has held since its peak was last forgotten, in MiB."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale / 2**20
