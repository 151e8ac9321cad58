"""Exact resume: everything that the next optimiser step depends on, in one file, whole or not at all.

Random draws are keyed by seed, epoch, step and document, so there is no generator to save: weights, optimiser state,
position and what validation has chosen so far are all there is.
"""

import os
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import torch

from core.checkpoint import ModelState
from core.errors import UserError
from core.model import JointModel
from core.replacing import aside_of
from core.train import Moment, Position


class Chosen(msgspec.Struct, frozen=True):
    """The epoch that validation has chosen so far, and its strict relation F1."""

    state: ModelState
    headline: float


@dataclass(frozen=True)
class Restored:
    """Where a checkpoint was taken, what had been chosen, and the repairs counted so far."""

    position: Position
    chosen: Chosen | None
    repairs: dict[str, int]


def save_training(path: Path, moment: Moment, *, run_id: str, chosen: Chosen | None, repairs: dict[str, int]) -> None:
    """Write a training checkpoint aside, then rename it over the last one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = aside_of(path)
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
        msgspec.convert(state["chosen"], Chosen | None),
        dict(state["repairs"]),
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError):
        raise UserError(f"{path} is damaged: delete it, and the run starts anew (its history is kept aside)") from None
    return state
