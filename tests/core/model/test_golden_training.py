"""The training forward and its gradients against the recorded outputs of both reference implementations.

Logits are held to 1e-4, and to 1.5e-6 of a tensor's largest logit on top of that: the models that read inversely have
logits of 100 to 330, where one fp32 step is already 1.5e-5 to 3e-5, and a float64 run of the same weights differs from
the recording by up to 1.8e-4, which is the recording's own rounding. Fed the recorded encoder states, everything behind
the encoder is within 1e-4; only the relation layers of the memory models with mention pairs, whose values reach 300,
are up to 1.5e-4 away (some four fp32 steps).
"""

import copy
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from core.checkpoint_import.convert import ImportedCheckpoint
from core.checkpoint_import.weights import (
    DEAD,
    drop_aliases,
    name_pairs,
    our_name,
    read_checkpoint,
    resolve_alias,
)
from core.features.batches import TrainingBatch
from core.model.joint_model import JointModel
from core.training.loss import joint_loss
from tests.golden import MODELS, TRAIN, build_batch, load_golden, valid_logits

Arrays = dict[str, np.ndarray]
ABSOLUTE, RELATIVE = 1e-4, 1.5e-6
WIDE_RELATIONS = 2e-4
MASKS = {
    "int_h": "context_masks",
    "int_mention_pool": "mention_sample_masks",
    "int_mention_reprs": "mention_sample_masks",
    "int_entity_reprs": "entity_sample_masks",
    "int_rel_reprs": "rel_sample_masks",
}


@pytest.fixture(scope="module", params=MODELS)
def golden(request: pytest.FixtureRequest, shared: Path) -> tuple[Path, ImportedCheckpoint]:
    folder = shared / "golden" / request.param
    if not folder.is_dir():
        pytest.skip(f"no recorded model {folder}")
    return folder, load_golden(shared / "golden", request.param)


def recordings(folder: Path, name: str, memory: bool) -> Iterator[tuple[Arrays, Arrays, float]]:
    """A recorded batch with its recorded outputs: memory on, and for memory models off."""
    batch = dict(np.load(folder.parent / "batches" / f"{name}.npz"))
    yield batch, dict(np.load(folder / f"{name}.npz")), 1.0 if memory else 0.0
    if memory:
        yield batch, dict(np.load(folder / f"{name}_nomem.npz")), 0.0


def stages(model: JointModel, batch: TrainingBatch, states: Tensor, reading: float) -> dict[str, Tensor]:
    """What the training forward computes from encoder states, under the names of the recording."""
    read = model.read("tokens", states, batch.pieces.counts, reading)
    mentions = model.mentions(read, batch.spans, reading=reading)
    pooled = model.mentions(read, batch.spans, reading=0.0)
    entities = model.entities(mentions, batch.clusters)
    found: dict[str, Tensor] = {}
    hook = model.relation_head.register_forward_hook(lambda *call: found.update(int_rel_reprs=call[2]))
    relation = model.relations(read, mentions, entities, batch.targets.entity, batch.entity_pairs)
    hook.remove()
    return found | {
        "int_h": read,
        "int_mention_pool": pooled.vectors,
        "int_mention_reprs": mentions.vectors,
        "int_entity_reprs": entities.vectors,
        "mention": mentions.logits,
        "coref": model.coref(mentions, batch.span_pairs),
        "entity": entities.logits,
        "relation": relation,
    }


def furthest(ours: Tensor, recorded: Tensor) -> float:
    assert ours.shape == recorded.shape
    return float((ours - recorded).abs().max()) if recorded.numel() else 0.0


@pytest.mark.parametrize("name", TRAIN)
def test_logits_and_losses_equal_the_recording(golden: tuple[Path, ImportedCheckpoint], name: str) -> None:
    folder, imported = golden
    model = imported.trained.model
    for arrays, recorded, reading in recordings(folder, name, imported.config.memory is not None):
        batch = build_batch(arrays, multi_instance=model.multi_instance)
        with torch.no_grad():
            logits = model(batch, reading=reading)
            losses = joint_loss(logits, batch.targets, imported.config.loss)
        for task, wanted in valid_logits(recorded, arrays).items():
            bound = ABSOLUTE + RELATIVE * float(wanted.abs().max())
            assert furthest(getattr(logits, task), wanted) <= bound, (task, reading)
        for ours, theirs in (("mention",) * 2, ("coref",) * 2, ("entity",) * 2, ("relation", "rel"), ("total", "loss")):
            wanted_loss = float(recorded[f"loss_{theirs}"])
            assert float(getattr(losses, ours)) == pytest.approx(wanted_loss, abs=ABSOLUTE), (ours, reading)


@pytest.mark.parametrize("name", TRAIN)
def test_everything_behind_the_encoder_equals_the_recording(golden: tuple[Path, ImportedCheckpoint], name: str) -> None:
    folder, imported = golden
    model = imported.trained.model
    for arrays, recorded, reading in recordings(folder, name, imported.config.memory is not None):
        batch = build_batch(arrays, multi_instance=model.multi_instance)
        states = torch.from_numpy(recorded["int_h_bert"][arrays["context_masks"]])
        with torch.no_grad():
            assert furthest(model.encoder(batch.pieces), states) <= 1e-5
            ours = stages(model, batch, states, reading)
        wanted = valid_logits(recorded, arrays)
        wanted |= {key: torch.from_numpy(recorded[key][arrays[MASKS[key]]]) for key in MASKS if key in recorded}
        if imported.config.memory is not None:
            assert set(MASKS) <= set(wanted)
        wide = ("relation", "int_rel_reprs") if folder.name.startswith("mem_mrc") else ()
        for key, value in wanted.items():
            assert furthest(ours[key], value) <= (WIDE_RELATIONS if key in wide else ABSOLUTE), (key, reading)


def test_reading_changes_the_recorded_logits(golden: tuple[Path, ImportedCheckpoint]) -> None:
    folder, imported = golden
    if imported.config.memory is None:
        assert not list(folder.glob("*_nomem.npz"))
        return
    read, unread = (recorded for _, recorded, _ in recordings(folder, "train_doc0", memory=True))
    assert np.abs(read["logits_mention_clf"] - unread["logits_mention_clf"]).max() > 0.1


@pytest.mark.parametrize("golden", ["mem_grc_flow", "mem_mrc_flow"], indirect=True)
def test_our_rounding_is_no_larger_than_the_recordings(golden: tuple[Path, ImportedCheckpoint]) -> None:
    folder, imported = golden
    exact = copy.deepcopy(imported.trained.model).double()
    ours, theirs = 0.0, 0.0
    for name in ("train_doc1", "train_doc4", "train_pad01"):
        arrays, recorded, reading = next(recordings(folder, name, memory=True))
        batch = build_batch(arrays, multi_instance=exact.multi_instance)
        with torch.no_grad():
            rounded, wanted = imported.trained.model(batch, reading=reading), exact(batch, reading=reading)
        for task, value in valid_logits(recorded, arrays).items():
            ours = max(ours, furthest(getattr(rounded, task).double(), getattr(wanted, task)))
            theirs = max(theirs, furthest(value.double(), getattr(wanted, task)))
    assert ours <= 1.5 * theirs
    assert theirs > 3e-5


def test_gradient_norms_equal_the_recording(golden: tuple[Path, ImportedCheckpoint]) -> None:
    folder, imported = golden
    model = imported.trained.model
    arrays, _, reading = next(recordings(folder, "train_pad01", imported.config.memory is not None))
    batch = build_batch(arrays, multi_instance=model.multi_instance)
    model.zero_grad()
    joint_loss(model(batch, reading=reading), batch.targets, imported.config.loss).total.backward()
    recorded = json.loads((folder / "grad_norms_train_pad01.json").read_text())["grad_l2"]
    pairs = name_pairs(drop_aliases(read_checkpoint(folder / "model.safetensors").weights))
    ours = dict(model.named_parameters())
    seen = set()
    for name, wanted in recorded.items():
        own = our_name(resolve_alias(name), pairs)
        if wanted is None:
            assert DEAD.match(name), name
            continue
        assert own is not None
        gradient = ours[own].grad
        assert gradient is not None, own
        # The gradient of a key bias is zero in exact arithmetic: a softmax over keys does not see it.
        assert float(gradient.norm()) == pytest.approx(wanted, rel=1e-3, abs=1e-7), own
        seen.add(own)
    assert seen == set(ours)
    model.zero_grad()
