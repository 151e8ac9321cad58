"""Checkpoints: the model that validation chose, and the state from which an interrupted run resumes exactly.

Both are written aside and then renamed, so that a write that was killed never looks like a checkpoint. The chosen model
is self-contained (weights, architecture, tokenizer, labels, reading state): loading it needs neither the encoder's
source nor the data. Random draws are keyed by seed, epoch, step and document, so the training state has no generator to
save: weights, optimiser state, position and what validation has chosen so far are all there is.
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig

from core.config.model_source import check_architecture
from core.config.schema import RunConfig
from core.data.documents import LabelSet
from core.errors import UserError, fault, first_line, shorten
from core.features.wordpieces import WordPieces, load_wordpieces
from core.files import TEMPORARY_MARK, temporary_path
from core.input_files import Count, check_regular_file, read_bytes
from core.model.encoder import Encoder, build_transformer, check_family
from core.model.joint_model import JointModel
from core.parsing import parse_json
from core.records.memory_use import Place, PlaceUse
from core.training.loop import Position, TrainingState

WEIGHTS, ARCHITECTURE, LABELS = "model.safetensors", "encoder.json", "labels.json"
STATE, TOKENIZER = "state.json", "tokenizer"
OLD = ".old"
RESTORE = "restore it, or train or import again"


class ModelState(msgspec.Struct, frozen=True):
    """When the weights were taken, and how strongly memory was read then (0 = warm-up, 1 = fully)."""

    epoch: Count
    step: Count
    reading: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]


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
    """Put back the old model where `save_model` was killed between removing it and placing the new one."""
    for old in folder.parent.glob(f".{folder.name}{TEMPORARY_MARK}*{OLD}"):
        if not folder.exists():
            old.rename(folder)


def load_model(folder: Path, config: RunConfig) -> TrainedModel:
    """The model in a checkpoint folder, in evaluation mode; `UserError` where it is missing, damaged or another's."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no checkpoint there; the run is not finished, or kept none (training.keep: none)")
    labels: LabelSet = read_part(folder / LABELS, LabelSet)
    state: ModelState = read_part(folder / STATE, ModelState)
    architecture: dict[str, Any] = read_part(folder / ARCHITECTURE, dict[str, Any])
    check_regular_file(folder / WEIGHTS)
    try:
        weights = load_file(folder / WEIGHTS)
    except Exception as error:  # noqa: BLE001 - a damaged file makes the loader raise anything
        raise fault(folder / WEIGHTS, f"it is damaged: {first_line(error)}; {RESTORE}") from None
    try:
        check_architecture(architecture)
        check_family(architecture["model_type"])
    except UserError as error:
        raise fault(folder / ARCHITECTURE, f"{error}; {RESTORE}") from None
    model = build_checked_model(config, architecture, labels, weights, str(folder))
    wordpieces = load_wordpieces(str(folder / TOKENIZER))
    wordpieces.check_size(architecture["vocab_size"], folder / TOKENIZER, RESTORE)
    return TrainedModel(model.eval(), wordpieces, labels, state)


def read_part(path: Path, kind: Any) -> Any:
    """The content of a JSON file of a checkpoint; a UserError where it is missing or damaged."""
    return parse_json(read_bytes(path), kind, path, damaged=RESTORE)


def build_checked_model(
    config: RunConfig, architecture: dict[str, Any], labels: LabelSet, weights: dict[str, torch.Tensor], source: str
) -> JointModel:
    """The model of a config with these weights, of an encoder of this architecture; `UserError` where they differ.

    They are compared before any memory is taken: a damaged size may ask for more than there is.
    """
    try:
        with torch.device("meta"):
            outline = build_model(config, architecture, labels)
    except UserError as error:
        raise UserError(f"{source}: {error}") from None
    check_weights(outline, weights, source)
    model = build_model(config, architecture, labels)
    model.load_state_dict(weights)
    return model


def build_model(config: RunConfig, architecture: dict[str, Any], labels: LabelSet) -> JointModel:
    """The model of a config on an encoder of this architecture, its weights not set yet."""
    defaults = AutoConfig.for_model(architecture["model_type"])
    for name, default in defaults.to_dict().items():
        value = architecture.get(name)
        kinds = (int, float) if isinstance(default, float) else type(default)
        # `True` is a whole number to Python.
        if None not in (value, default) and (
            not isinstance(value, kinds) or isinstance(value, bool) != (kinds is bool)
        ):
            raise UserError(f"{name} of its encoder is {shorten(value)}, and has to be such as {shorten(default)}")
    try:
        own = type(defaults).from_dict(architecture)
    except Exception as error:  # noqa: BLE001 - whatever a library says of settings that are none
        raise UserError(f"its encoder cannot be built: {first_line(error)}") from None
    return JointModel(Encoder(build_transformer(own, config.encoder)), config, labels)


def check_weights(model: JointModel, weights: dict[str, torch.Tensor], source: str) -> None:
    """Compare weights with those of a model; `UserError` names what is missing, unknown or of another shape."""
    expected = model.state_dict()
    problems = [f"missing {name}" for name in expected if name not in weights]
    problems += [f"unknown {name}" for name in weights if name not in expected]
    problems += [
        f"{name} is {tuple(weights[name].shape)}, not {tuple(expected[name].shape)}"
        for name in expected
        if name in weights and expected[name].shape != weights[name].shape
    ]
    if problems:
        raise UserError(
            f"{source} holds another model than its config says: {problems[0]}"
            + (f" (and {len(problems) - 1} more)" if len(problems) > 1 else "")
            + "; use the config.yaml that was saved with these weights\n"
            + "\n".join(problems[:40])
        )


class ChosenEpoch(msgspec.Struct, frozen=True):
    """The epoch that validation has chosen so far, its strict relation F1, and what reading did at its validation."""

    state: ModelState
    headline: float
    reads: dict[Place, PlaceUse] = {}


@dataclass(frozen=True)
class RestoredTraining:
    """The position of a training checkpoint, what had been chosen, and the repairs counted so far."""

    position: Position
    chosen: ChosenEpoch | None
    repairs: dict[str, int]


def save_training(
    path: Path, state: TrainingState, *, run_id: str, chosen: ChosenEpoch | None, repairs: dict[str, int]
) -> None:
    """Write a training checkpoint in place of the last one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = temporary_path(path)
    content = {
        "run_id": run_id,
        "position": msgspec.to_builtins(state.position),
        "model": state.model.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "chosen": msgspec.to_builtins(chosen),
        "repairs": repairs,
    }
    try:
        torch.save(content, aside)
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def restore_training(
    path: Path, model: JointModel, optimizer: torch.optim.Optimizer, *, run_id: str
) -> RestoredTraining:
    """Fill model and optimiser from a checkpoint, or leave them at the start where there is none."""
    if not path.exists():
        return RestoredTraining(Position(), None, {})
    damaged = UserError(f"{path} is damaged: delete it, and the run starts again from its first step")
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # noqa: BLE001 - a damaged pickle makes the loader raise anything
        raise damaged from None
    if not isinstance(content, dict):
        raise damaged
    if content.get("run_id") != run_id:
        raise UserError(
            f"{path} is of run {shorten(content.get('run_id'))}, not of {run_id}: delete it, and the run starts again "
            "from its first step"
        )
    try:
        model.load_state_dict(content["model"])
        optimizer.load_state_dict(content["optimizer"])
        return RestoredTraining(
            msgspec.convert(content["position"], Position),
            msgspec.convert(content["chosen"], ChosenEpoch | None),
            msgspec.convert(content["repairs"], dict[str, int]),
        )
    except torch.OutOfMemoryError:
        raise
    except (LookupError, TypeError, AttributeError, RuntimeError, ValueError):
        raise damaged from None
