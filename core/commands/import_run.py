"""`engram import CHECKPOINT`: a run folder of a checkpoint of JEREX or of the memory authors."""

import os
import shutil
from pathlib import Path
from typing import Annotated

from core.data.formats.types_file import read_types
from core.errors import UserError, first_line
from core.files import atomic_write, check_writable, content_hash, make_folder, temporary_path
from core.records.record import BEST, CONFIG, RunRecord, write_record


def import_run(
    checkpoint: Path,
    *,
    tokenizer: str,
    output: Annotated[Path, "DIR"],
    config: Path | None = None,
    types: Path | None = None,
) -> None:
    """Make a run of a checkpoint, which `evaluate` and `predict` accept: no retraining to compare with a baseline.

    JEREX's own .ckpt carries its types and thresholds; a bare state dict or a memory checkpoint needs --config and
    --types.

    Args:
        checkpoint: a .ckpt, .bin or .safetensors file, or a folder that holds one.
        tokenizer: the tokenizer it was trained with: a folder, a vocab.txt or tokenizer.json, package:NAME, a hub name.
        output: the run folder to make.
        config: the reference run's settings (JSON with hparams, encoder, memory_flow_modules, ...).
        types: the types file it was trained with; the order of its keys is the class index.
    """
    if not checkpoint.exists():
        raise UserError(f"{checkpoint}: no such checkpoint; give a .ckpt, .bin or .safetensors file, or its folder")
    labels = read_types(types) if types is not None else None
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UserError(f"{output} is not empty: give a new folder (--output DIR)")
    from safetensors import SafetensorError

    from core.checkpoint_import.convert import import_checkpoint
    from core.config.presets import to_yaml
    from core.config.signature import run_id
    from core.features.wordpieces import load_wordpieces
    from core.progress import say
    from core.records.provenance import collect_provenance
    from core.training.checkpoints import save_model

    wordpieces = load_wordpieces(tokenizer)
    imported = import_checkpoint(checkpoint, config=config, types=labels, wordpieces=wordpieces)
    vocabulary = imported.trained.model.encoder.transformer.config.vocab_size
    wordpieces.check_size(vocabulary, tokenizer, "give the tokenizer that it was trained with (--tokenizer)")
    record = RunRecord(
        run_id=run_id(imported.config),
        status="imported",
        config=imported.config.model_dump(mode="json"),
        provenance=collect_provenance({str(checkpoint): content_hash(checkpoint)}),
        chosen_reading=imported.trained.state.reading,
        parameters=sum(parameter.numel() for parameter in imported.trained.model.parameters()),
        type_names=imported.trained.labels.type_names(),
        notes=[f"assumed: {assumption}" for assumption in imported.assumptions],
    )
    check_writable(output, "give a folder that is yours (--output DIR)")
    # Written aside: a full disk leaves no half of a run, which would be in the way of the next try.
    aside = temporary_path(output.absolute())
    try:
        make_folder((aside / BEST).parent, "give a folder that is yours (--output DIR)")
        save_model(aside / BEST, imported.trained)
        atomic_write(aside / CONFIG, to_yaml(imported.config).encode())
        write_record(aside, record)
        os.replace(aside, output)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{output} cannot be written ({first_line(error)}): free some space") from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    for assumption in imported.assumptions:
        say(f"not in the checkpoint, assumed: {assumption}")
    print(f"{imported.config.preset} imported to {output} ({record.parameters:,} parameters)")
