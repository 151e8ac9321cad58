"""Held-out documents: predictions, counts and scores of a model on a split, and its loss on it.

The loss is that of the training forward without dropout, on samples that are the same in every epoch. Both say in
passing what reading memory does: among the candidates of inference, and among those of a sample as in training.
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
from core.model.thresholds import Unreached, count_unreached
from core.records.memory_use import Place, PlaceUse
from core.scoring.diagnostics import Fact
from core.scoring.evaluate import count_documents, evaluate
from core.scoring.metrics import DocumentCounts
from core.training.loss import LOSS_NAMES, joint_loss
from core.training.memory_use import measure_reads


@dataclass(frozen=True)
class SplitResult:
    """The predictions of a model for a split, their counts per document, the `scores` as in a record, what reading
    does at each place (nothing where memory is not read), and the documents in which no score reached a threshold."""

    documents: list[Document]
    annotations: list[Annotation]
    counts: list[DocumentCounts]
    scores: dict[str, Any]
    reads: dict[Place, PlaceUse]
    unreached: dict[str, Unreached]


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
    with measure_reads(decoder.model, decoder.labels, max_span_tokens=decoder.settings.max_span_tokens) as measured:
        decoded = decoder.decode(
            documents, reading=reading, issues=issues, on_batch=measured.start_batch, advance=advance
        )
    plain = [document.document for document in documents]
    annotations = [prediction.annotation for prediction in decoded]
    unreached = count_unreached(decoded)
    candidates = [msgspec.structs.replace(prediction.annotation, relations=prediction.ranked) for prediction in decoded]
    scores: dict[str, Any] = msgspec.to_builtins(evaluate(plain, annotations, facts, candidates))
    if on_gold:
        decoded = decoder.decode(documents, reading=reading, issues=Issues(), on_gold=True)
        gold_scores = msgspec.to_builtins(evaluate(plain, [prediction.annotation for prediction in decoded]))
        tasks = [name for name in ("entity", "relation", "relation_strict") if gold_scores[name] is not None]
        scores["extra"]["on_gold"] = {name: gold_scores[name] for name in tasks}
    counts = count_documents(plain, annotations)
    return SplitResult(plain, annotations, counts, scores, measured.place_uses(), unreached)


# Training epochs count from 0: no epoch has these draws.
HELD_OUT_EPOCH = -1


@dataclass(frozen=True)
class HeldOutLoss:
    """The mean over documents of each loss, and place -> the factor of reading among the candidates of a sample."""

    losses: dict[str, float]
    factors: dict[Place, float | None]
    """Nothing at a place where no gold mention was read."""


def held_out_loss(
    model: JointModel,
    documents: Sequence[EncodedDocument],
    config: RunConfig,
    labels: LabelSet,
    *,
    padding: int,
    reading: float,
) -> HeldOutLoss:
    """The losses of held-out documents, each a batch of its own."""
    device = next(model.parameters()).device
    totals = dict.fromkeys(LOSS_NAMES, 0.0)
    was_training = model.training
    model.eval()
    try:
        limit = config.samples.max_span_tokens
        with torch.inference_mode(), measure_reads(model, labels, max_span_tokens=limit, only_factor=True) as measured:
            for document in documents:
                sample = draw_sample(document, config.samples, labels, seed=config.seed, epoch=HELD_OUT_EPOCH)
                measured.start_batch([document], [sample.spans])
                batch = to_device(collate([sample], padding=padding, multi_instance=model.multi_instance), device)
                losses = joint_loss(model(batch, reading=reading), batch.targets, config.loss)
                for name, value in losses.values().items():
                    totals[name] += value / len(documents)
    finally:
        model.train(was_training)
    return HeldOutLoss(totals, {place: use.factor for place, use in measured.place_uses().items()})
