"""A model on a split: predictions, counts per document, and every score.

The loss on held-out documents: the training forward without dropout, on samples that no epoch changes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import torch

from core.config.schema import RunConfig
from core.data.documents import Annotation, Document, LabelSet
from core.data.issues import Issues
from core.features.batches import collate, to_device
from core.features.candidates import draw_sample
from core.features.wordpieces import EncodedDocument
from core.model.decoder import Decoder
from core.model.joint_model import JointModel
from core.scoring.diagnostics import Fact
from core.scoring.evaluate import count_documents, evaluate
from core.scoring.metrics import DocumentCounts
from core.training.loop import LOSS_NAMES
from core.training.loss import joint_loss


@dataclass(frozen=True)
class SplitResult:
    """What a model says about a split, and how good that is: `scores` as in a record."""

    documents: list[Document]
    annotations: list[Annotation]
    counts: list[DocumentCounts]
    scores: dict[str, Any]


def evaluate_split(
    decoder: Decoder,
    documents: Sequence[EncodedDocument],
    *,
    reading: float,
    issues: Issues,
    facts: frozenset[Fact] | None = None,
    on_gold: bool = False,
    advance: Callable[[int], None] = lambda done: None,
) -> SplitResult:
    """Decode and score documents that have gold.

    `extra.ranking` is over all relation candidates, accepted or not. With `on_gold` the documents are decoded a second
    time on gold mentions and clusters: `extra.on_gold` holds the relation scores that no mention gain can lift.
    """
    decoded = decoder.decode(documents, reading=reading, issues=issues, advance=advance)
    plain = [one.document for one in documents]
    annotations = [one.annotation for one in decoded]
    candidates = [msgspec.structs.replace(one.annotation, relations=one.ranked) for one in decoded]
    scores: dict[str, Any] = msgspec.to_builtins(evaluate(plain, annotations, facts, candidates))
    if on_gold:
        given = decoder.decode(documents, reading=reading, issues=Issues(), on_gold=True)
        on = msgspec.to_builtins(evaluate(plain, [one.annotation for one in given]))
        scores["extra"]["on_gold"] = {name: on[name] for name in ("entity", "relation", "relation_strict")}
    return SplitResult(plain, annotations, count_documents(plain, annotations), scores)


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
