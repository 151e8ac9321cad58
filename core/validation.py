"""The loss on held-out documents: the training forward without dropout, on samples that no epoch changes."""

from collections.abc import Sequence

import torch

from core.batches import collate, to_device
from core.candidates import draw_sample
from core.config import RunConfig
from core.documents import LabelSet
from core.loss import joint_loss
from core.model import JointModel
from core.train import LOSS_NAMES
from core.wordpieces import EncodedDocument

# Training epochs count from 0: this one's draws are nobody else's.
HELD_OUT_EPOCH = -1


def held_out_loss(
    model: JointModel,
    documents: Sequence[EncodedDocument],
    config: RunConfig,
    labels: LabelSet,
    *,
    padding: int,
    reading: float,
) -> dict[str, float]:
    """The mean over documents of each loss, each document a batch of its own."""
    device = next(model.parameters()).device
    totals = dict.fromkeys(LOSS_NAMES, 0.0)
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            for document in documents:
                sample = draw_sample(document, config.samples, labels, seed=config.seed, epoch=HELD_OUT_EPOCH)
                batch = to_device(collate([sample], padding=padding, multi_instance=model.multi_instance), device)
                losses = joint_loss(model(batch, reading=reading), batch.targets, config.loss)
                for name in LOSS_NAMES:
                    totals[name] += float(getattr(losses, name)) / len(documents)
    finally:
        model.train(was_training)
    return totals
