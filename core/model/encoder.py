"""Encoder: word pieces to states, by a transformer from a folder, package or hub name, or a small one from scratch.

A document is one window without special tokens, so the position table grows to `encoder.positions`; its new rows are
N(0, 0.02), keyed like every fresh weight.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, BertConfig, PreTrainedConfig, PreTrainedModel

from core.config.model_source import check_architecture
from core.config.schema import EncoderConfig
from core.errors import UserError, first_line, shorten
from core.features.batches import Pieces
from core.features.pretrained import load_pretrained
from core.model.encoder_attention import DOCUMENTS
from core.model.layers import Dropout, Linear

INITIAL_STD = 0.02


@dataclass(frozen=True)
class Family:
    """A family of encoders that is known to work, and in what it differs from the others."""

    title: str
    has_pooler: bool = False
    """Whether it carries a pooler, which nothing here reads, unless `add_pooling_layer` is off."""
    plain_attention: bool = False
    """Whether its attention exists as the plain formula only."""
    attends_flat: bool = False
    """Whether `core.model.encoder_attention` can stand in for its attention."""
    positions_after_padding: bool = False
    """Whether positions count from behind the index of the padding piece, and leave out pieces that are padding."""
    positions_set_reach: bool = False
    """Whether the size of the position table sets how far relative attention reaches, unless the config says it."""


FAMILIES = {
    "bert": Family("BERT", has_pooler=True, attends_flat=True),
    "roberta": Family("RoBERTa", has_pooler=True, attends_flat=True, positions_after_padding=True),
    "deberta-v2": Family("DeBERTa-v2/v3", plain_attention=True, positions_set_reach=True),
    "modernbert": Family("ModernBERT"),
}
"""Families by the `model_type` of their config."""


@dataclass(frozen=True)
class LoadedEncoder:
    """A transformer, and how many rows of each parameter are pretrained: all, or of a grown position table the first.

    Parameters that are not in `pretrained_rows` are fresh.
    """

    transformer: PreTrainedModel
    pretrained_rows: dict[str, int]


def load_encoder(config: EncoderConfig, *, vocabulary: int) -> LoadedEncoder:
    """The transformer of a config, its position table grown; `vocabulary` sizes the one from scratch."""
    if config.source == "scratch":
        architecture: PreTrainedConfig = scratch_architecture(config, vocabulary)
    else:
        architecture = load_pretrained(AutoConfig.from_pretrained, config.source, "encoder")
    try:
        check_family(architecture.model_type)
        check_architecture(architecture.to_dict())
        transformer = build_transformer(grow_config(architecture, config.positions), config)
    except UserError as error:
        raise UserError(f"encoder {config.source!r}: {error}") from None
    if config.source == "scratch" or not config.pretrained:
        return LoadedEncoder(transformer, {})
    pretrained: PreTrainedModel = load_pretrained(
        AutoModel.from_pretrained, config.source, "encoder", **model_options(architecture, config)
    )
    return LoadedEncoder(transformer, copy_weights(pretrained, transformer))


def model_options(architecture: PreTrainedConfig, config: EncoderConfig) -> dict[str, Any]:
    """What transformers is asked for: fp32, the attention kernel, no pooler."""
    family = FAMILIES[architecture.model_type]
    return {
        "dtype": torch.float32,
        "attn_implementation": "eager" if family.plain_attention else config.attention,
        **({"add_pooling_layer": False} if family.has_pooler else {}),
    }


def build_transformer(architecture: PreTrainedConfig, config: EncoderConfig) -> PreTrainedModel:
    """A transformer of this architecture with fresh weights; a UserError where there can be none."""
    try:
        transformer: PreTrainedModel = AutoModel.from_config(architecture, **model_options(architecture, config))
    except Exception as error:  # noqa: BLE001 - whatever a library says of sizes that do not fit together
        raise UserError(f"an encoder of these settings cannot be built: {first_line(error)}") from None
    if config.gradient_checkpointing:
        # Renamed within the fifth major version of transformers; the old name warns.
        name = "activation_checkpointing_enable"
        enable = getattr(transformer, name, None) or transformer.gradient_checkpointing_enable
        enable({"use_reentrant": False})
    return transformer


def check_family(model_type: str) -> None:
    """Raise a UserError for an encoder of a family that is not known to work."""
    if model_type not in FAMILIES:
        raise UserError(
            f"an encoder of the family {shorten(model_type)} is not known to work: use one of "
            f"{', '.join(family.title for family in FAMILIES.values())}"
        )


def scratch_architecture(config: EncoderConfig, vocabulary: int) -> BertConfig:
    """The small BERT of `encoder.scratch`."""
    sizes = config.scratch
    return BertConfig(
        vocab_size=vocabulary,
        hidden_size=sizes.width,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads,
        intermediate_size=sizes.intermediate,
        max_position_embeddings=config.positions,
    )


def position_offset(architecture: PreTrainedConfig) -> int:
    """Rows of the position table before the first position."""
    offset = FAMILIES[architecture.model_type].positions_after_padding
    return int(architecture.pad_token_id or 0) + 1 if offset else 0


def grow_config(architecture: PreTrainedConfig, positions: int) -> PreTrainedConfig:
    """The same architecture with room for `positions` word pieces."""
    grown = type(architecture).from_dict(architecture.to_dict())
    before = int(getattr(architecture, "max_position_embeddings", 0))
    grown.max_position_embeddings = max(before, positions + position_offset(architecture))
    # Growing the table must not move what was learned of relative positions.
    reach = int(getattr(architecture, "max_relative_positions", -1))
    if FAMILIES[architecture.model_type].positions_set_reach and reach < 1:
        grown.max_relative_positions = before
    return grown


def copy_weights(source: PreTrainedModel, target: PreTrainedModel) -> dict[str, int]:
    """Copy pretrained weights into a transformer with a longer position table; the rows copied of each parameter."""
    parameters = dict(target.named_parameters())
    rows: dict[str, int] = {}
    with torch.no_grad():
        for name, pretrained in source.named_parameters():
            if name in parameters:
                rows[name] = len(pretrained)
                parameters[name][: len(pretrained)].copy_(pretrained)
    return rows


class Encoder(nn.Module):
    """A transformer whose states are flat: from here on nothing is padded."""

    def __init__(self, transformer: PreTrainedModel) -> None:
        super().__init__()
        self.transformer = transformer
        self.family = FAMILIES[transformer.config.model_type]
        for module in transformer.modules():
            # The same modules with the same weights and names, computed faster.
            if type(module) is nn.Linear:
                module.__class__ = Linear
            elif type(module) is nn.Dropout:
                module.__class__ = Dropout
        self.flat = self.family.attends_flat and transformer.config._attn_implementation == "sdpa"
        if self.flat:
            transformer.set_attn_implementation(DOCUMENTS)

    @property
    def width(self) -> int:
        """The width H of its states."""
        return int(self.transformer.config.hidden_size)

    @property
    def positions(self) -> int:
        """The most word pieces that a document may have."""
        return int(self.transformer.config.max_position_embeddings) - position_offset(self.transformer.config)

    def forward(self, pieces: Pieces) -> Float[Tensor, "T H"]:
        """The last hidden states of the word pieces of all documents, behind one another."""
        if not any(pieces.counts):
            # An empty document alone: attention over nothing is no operation.
            return torch.zeros(0, self.width, device=pieces.ids.device)
        if self.flat and pieces.ids.device.type == "cpu":
            return self._flat_states(pieces)
        # A batch without padding needs no mask; attention without one takes a faster kernel.
        mask = pieces.mask.long() if len(set(pieces.counts)) > 1 else None
        states = self.transformer(input_ids=pieces.ids, attention_mask=mask).last_hidden_state
        if mask is None:
            return states.flatten(0, 1)
        rows = pieces.mask.flatten().nonzero().squeeze(1)
        return states.flatten(0, 1).index_select(0, rows)

    def _flat_states(self, pieces: Pieces) -> Float[Tensor, "T H"]:
        """The states of all documents as one row without padding, each document attending to itself."""
        if self.family.positions_after_padding:
            padding = position_offset(self.transformer.config) - 1
            is_piece = pieces.ids.ne(padding)
            positions = is_piece.cumsum(1) * is_piece + padding
        else:
            positions = torch.arange(pieces.ids.shape[1]).expand_as(pieces.ids)
        ids, positions = (rows[pieces.mask].unsqueeze(0) for rows in (pieces.ids, positions))
        states = self.transformer(input_ids=ids, position_ids=positions, counts=pieces.counts).last_hidden_state
        return states.squeeze(0)
