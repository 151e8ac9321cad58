"""The chosen model of a run, whole and self-contained: weights, architecture, tokenizer, labels, reading state.

A checkpoint is written aside and then renamed, so that a cut-off write never looks like a model. It needs neither the
encoder's source nor the data to be loaded again.

Exact resume: everything that the next optimiser step depends on, in one file, whole or not at all.

Random draws are keyed by seed, epoch, step and document, so there is no generator to save: weights, optimiser state,
position and what validation has chosen so far are all there is.
"""

import json
import os
import pickle
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers import AutoConfig

from core.config.schema import RunConfig
from core.data.documents import LabelSet
from core.errors import UserError, first_line
from core.features.wordpieces import WordPieces, load_wordpieces
from core.files import TEMPORARY_MARK, temporary_path
from core.model.encoder import Encoder, build_transformer
from core.model.joint_model import JointModel
from core.training.loop import Position, TrainingState

WEIGHTS, ARCHITECTURE, LABELS, STATE, TOKENIZER = (
    "model.safetensors",
    "encoder.json",
    "labels.json",
    "state.json",
    "tokenizer",
)
OLD = ".old"


class ModelState(msgspec.Struct, frozen=True):
    """When the weights were taken, and how strongly memory was read then (0 = warm-up, 1 = fully)."""

    epoch: int
    step: int
    reading: float


@dataclass(frozen=True)
class TrainedModel:
    """A model with everything that prediction needs."""

    model: JointModel
    wordpieces: WordPieces
    labels: LabelSet
    state: ModelState


def save_model(folder: Path, trained: TrainedModel) -> None:
    """Write a model to a folder, in place of what was there, whole or not at all."""
    aside = temporary_path(folder)
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        save_file(
            {name: tensor.detach().cpu().contiguous() for name, tensor in trained.model.state_dict().items()},
            aside / WEIGHTS,
        )
        (aside / ARCHITECTURE).write_text(trained.model.encoder.transformer.config.to_json_string(use_diff=False))
        (aside / LABELS).write_bytes(msgspec.json.encode(trained.labels))
        (aside / STATE).write_bytes(msgspec.json.encode(trained.state))
        trained.wordpieces.tokenizer.save_pretrained(aside / TOKENIZER)
        old = aside.with_name(aside.name + OLD)
        shutil.rmtree(old, ignore_errors=True)
        if folder.exists():
            folder.rename(old)
        aside.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def recover_model(folder: Path) -> None:
    """Put back the model that `save_model` was killed over, between taking the old one away and placing the new."""
    for old in folder.parent.glob(f".{folder.name}{TEMPORARY_MARK}*{OLD}"):
        if not folder.exists():
            old.rename(folder)


def load_model(folder: Path, config: RunConfig) -> TrainedModel:
    """The model in a checkpoint folder, in evaluation mode; a damaged or foreign one is one clear line."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no checkpoint there; the run was not finished, or kept none (training.keep: none)")
    try:
        labels = msgspec.json.decode((folder / LABELS).read_bytes(), type=LabelSet)
        state = msgspec.json.decode((folder / STATE).read_bytes(), type=ModelState)
        architecture = json.loads((folder / ARCHITECTURE).read_text())
        weights = load_file(folder / WEIGHTS)
    except (OSError, ValueError, msgspec.MsgspecError, SafetensorError) as error:
        raise UserError(f"checkpoint {folder} is damaged: {first_line(error)}; train or import it again") from None
    model = build_model(config, architecture, labels)
    check_weights(model, weights, str(folder))
    model.load_state_dict(weights)
    return TrainedModel(model.eval(), load_wordpieces(str(folder / TOKENIZER)), labels, state)


def build_model(config: RunConfig, architecture: dict[str, Any], labels: LabelSet) -> JointModel:
    """The model of a config on an encoder of this architecture, its weights not yet set."""
    kind = AutoConfig.for_model(architecture["model_type"])
    transformer = build_transformer(type(kind).from_dict(architecture), config.encoder)
    return JointModel(Encoder(transformer), config, labels)


def check_weights(model: JointModel, weights: dict[str, torch.Tensor], where: str) -> None:
    """Refuse weights that are not this model's, naming what is missing, unknown or of another shape."""
    wanted = model.state_dict()
    problems = [f"missing {name}" for name in wanted if name not in weights]
    problems += [f"unknown {name}" for name in weights if name not in wanted]
    problems += [
        f"{name} is {tuple(weights[name].shape)}, not {tuple(wanted[name].shape)}"
        for name in wanted
        if name in weights and wanted[name].shape != weights[name].shape
    ]
    if problems:
        raise UserError(
            f"{where} holds another model than its config says: {problems[0]}"
            + (f" (and {len(problems) - 1} more)" if len(problems) > 1 else "")
            + "; use the config.yaml that was saved with these weights\n"
            + "\n".join(problems[:40])
        )


class ChosenEpoch(msgspec.Struct, frozen=True):
    """The epoch that validation has chosen so far, and its strict relation F1."""

    state: ModelState
    headline: float


@dataclass(frozen=True)
class Restored:
    """Where a checkpoint was taken, what had been chosen, and the repairs counted so far."""

    position: Position
    chosen: ChosenEpoch | None
    repairs: dict[str, int]


def save_training(
    path: Path, moment: TrainingState, *, run_id: str, chosen: ChosenEpoch | None, repairs: dict[str, int]
) -> None:
    """Write a training checkpoint aside, then rename it over the last one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = temporary_path(path)
    state = {
        "run_id": run_id,
        "position": msgspec.to_builtins(moment.position),
        "model": moment.model.state_dict(),
        "optimizer": moment.optimizer.state_dict(),
        "chosen": msgspec.to_builtins(chosen),
        "repairs": repairs,
    }
    try:
        torch.save(state, aside)
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def restore_training(path: Path, model: JointModel, optimizer: torch.optim.Optimizer, *, run_id: str) -> Restored:
    """Fill model and optimiser from a checkpoint, or leave them at the start where there is none."""
    if not path.exists():
        return Restored(Position(), None, {})
    state = _read(path)
    if state.get("run_id") != run_id:
        raise UserError(f"{path} is of run {state.get('run_id')}, not of {run_id}: delete it to start anew")
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return Restored(
        msgspec.convert(state["position"], Position),
        msgspec.convert(state["chosen"], ChosenEpoch | None),
        dict(state["repairs"]),
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError):
        raise UserError(f"{path} is damaged: delete it, and the run starts anew (its history is kept aside)") from None
    return state
