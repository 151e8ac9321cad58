"""run(folder) -> RunRecord: a run folder that holds config.yaml, computed to its record.

`python -m core.run FOLDER ...` is what engines start; a worker may be given several folders, one after another.
"""

import resource
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import msgspec
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from core.checkpoint import load_model
from core.config import RunConfig
from core.contents import content_hash
from core.decode import Decoder, Settings
from core.documents import Dirt
from core.encoder import Encoder, load_encoder
from core.errors import UserError
from core.evaluation import SplitResult, evaluate_split
from core.model import JointModel, initialise
from core.preparing import PreparedData, prepare
from core.presets import from_yaml
from core.progress import meter, say
from core.provenance import gather
from core.readers.predictions import write_predictions
from core.record import BEST, CONFIG, HISTORY, RunRecord, read_record, write_record
from core.replacing import replace_file
from core.signature import run_id
from core.tracking import NullTracker, Tracker
from core.train import Diverged, TrainingInput, total_steps, train
from core.training_facts import training_facts
from core.watching import Watcher


def run(folder: Path, tracker: Tracker | None = None) -> RunRecord:
    """Compute a run folder to its record; a finished run is not computed again.

    A run that fails or diverges is recorded as such and returned; a user's mistake is recorded and raised.
    """
    done = read_record(folder)
    if done is not None and done.status in ("finished", "imported"):
        return done
    config = from_yaml(folder / CONFIG)
    started = time.perf_counter()
    record = RunRecord(run_id=run_id(config), status="running", config=config.model_dump(mode="json"))
    try:
        record = msgspec.structs.replace(record, provenance=gather(data_hashes(config)))
        write_record(folder, record)
        record = compute(folder, config, record, tracker or NullTracker())
    except KeyboardInterrupt:
        write_record(folder, _ended(record, "interrupted", started, "stopped by the user"))
        raise
    except Diverged as error:
        record = _ended(record, "diverged", started, str(error))
    except UserError as error:
        write_record(folder, _ended(record, "failed", started, str(error)))
        raise
    except Exception:  # noqa: BLE001 - whatever a run dies of is recorded, and a study goes on without it
        record = _ended(record, "failed", started, traceback.format_exc())
    record = msgspec.structs.replace(record, seconds=time.perf_counter() - started, peak_memory_mib=peak_memory())
    write_record(folder, record)
    return record


def _ended(record: RunRecord, status: str, started: float, error: str) -> RunRecord:
    return msgspec.structs.replace(record, status=status, error=error, seconds=time.perf_counter() - started)


def compute(folder: Path, config: RunConfig, record: RunRecord, tracker: Tracker) -> RunRecord:
    """Train, choose, test: the record of a run that went well."""
    accelerator = build_accelerator(config)
    data = prepare(config)
    model = build(config, data)
    model.to(accelerator.device)
    decoder = Decoder(model, data.wordpieces, data.labels, Settings.of(config))
    steps = total_steps(config, len(data.splits["train"]))
    sizes = ", ".join(f"{len(part)} {name}" for name, part in data.splits.items())
    say(f"{folder}: {sizes} documents; {steps} steps on {accelerator.device}")
    tracker.start(record.config, run_id=record.run_id)
    with open(folder / HISTORY, "w", encoding="utf-8") as history, meter("training", steps) as progress:
        watcher = Watcher(
            folder, config, data, model, decoder, steps=steps, history=history, tracker=tracker, progress=progress
        )
        given = TrainingInput(data.splits["train"], data.labels, data.wordpieces.padding)
        train(model, given, config, accelerator, watcher)
    assert watcher.chosen is not None
    chosen = load_model(folder / BEST, config)
    model.load_state_dict(chosen.model.state_dict())
    facts = training_facts(one.document for one in data.splits["train"])
    metrics: dict[str, dict[str, Any]] = {}
    repairs = {name: dict(dirt.counts) for name, dirt in data.dirt.items()}
    for split in ("validation", "test"):
        if split in data.splits:
            dirt = Dirt()
            with meter(f"evaluating {split}", len(data.splits[split])) as progress:
                result = evaluate_split(
                    decoder,
                    data.splits[split],
                    reading=chosen.state.reading,
                    dirt=dirt,
                    facts=facts,
                    on_gold=True,
                    advance=progress.advance,
                )
            store(folder, split, result)
            metrics[split] = result.scores
            repairs[split] = repairs.get(split, {}) | dict(dirt.counts)
    tracker.finish(metrics, status="finished")
    return msgspec.structs.replace(
        record,
        status="finished",
        metrics=metrics,
        steps=steps,
        chosen_epoch=chosen.state.epoch,
        chosen_reading=chosen.state.reading,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        repairs=repairs,
    )


def build_accelerator(config: RunConfig) -> Accelerator:
    """One device and number format; a worker's next run may have others, so nothing of the last one stays."""
    AcceleratorState._reset_state(reset_partial_state=True)
    if config.runtime.threads is not None:
        torch.set_num_threads(config.runtime.threads)
    wanted = config.runtime.device
    if wanted.startswith("cuda"):
        if not torch.cuda.is_available():
            raise UserError(f"runtime.device is {wanted}, but this machine has no CUDA device: use cpu or auto")
        number = int(wanted.partition(":")[2] or 0)
        if number >= torch.cuda.device_count():
            raise UserError(f"runtime.device is {wanted}, but there are {torch.cuda.device_count()} CUDA devices")
        torch.cuda.set_device(number)
    mixed = "bf16" if config.training.precision == "bf16" else "no"
    return Accelerator(cpu=wanted == "cpu", mixed_precision=mixed)


def build(config: RunConfig, data: PreparedData) -> JointModel:
    """The model of a run, pretrained where its encoder is, everything else drawn by (seed, parameter name)."""
    loaded = load_encoder(config.encoder, vocabulary=data.wordpieces.size)
    pieces = int(loaded.transformer.config.vocab_size)
    if data.wordpieces.size > pieces:
        raise UserError(
            f"the tokenizer has {data.wordpieces.size} word pieces, encoder {config.encoder.source!r} {pieces}: "
            "give its own tokenizer (encoder.tokenizer)"
        )
    model = JointModel(
        Encoder(loaded.transformer),
        config.model,
        config.memory,
        entity_types=len(data.labels.entity_types),
        relation_types=len(data.labels.relation_types),
    )
    initialise(model, loaded, seed=config.seed)
    return model


def store(folder: Path, split: str, result: SplitResult) -> None:
    """Write the predictions and the counts per document of a split."""
    write_predictions(zip(result.documents, result.annotations, strict=True), folder / f"predictions.{split}.jsonl")
    replace_file(folder / f"documents.{split}.json", msgspec.json.encode(result.counts))


def data_hashes(config: RunConfig) -> dict[str, str]:
    """The content hash of every file that the run reads."""
    data = config.data
    paths = (data.train, data.validation, data.test, data.types)
    return {path: content_hash(Path(path)) for path in paths if path is not None}


def peak_memory() -> float:
    """The most resident memory that this process has held, in MiB."""
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale / 2**20


def main(folders: list[str]) -> int:
    """Compute run folders one after another; 1 where one of them failed, 130 where the user stopped it."""
    worst = 0
    for folder in folders:
        try:
            record = run(Path(folder))
        except UserError as error:
            say(str(error))
            worst = max(worst, 2)
            continue
        except KeyboardInterrupt:
            return 130
        say(f"{record.run_id} {record.status}")
        worst = max(worst, 0 if record.status in ("finished", "imported") else 1)
    return worst


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
