"""Word pieces to states: a transformer by folder, package or hub name, or a small one from scratch.

BERT, RoBERTa, DeBERTa-v2/v3 and ModernBERT are known to work. A document is one window without special tokens, so the
position table grows to `encoder.positions`; its new rows are N(0, 0.02), keyed like every fresh weight.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, BertConfig, PreTrainedConfig, PreTrainedModel

from core.config.schema import EncoderConfig
from core.errors import UserError
from core.features.batches import Pieces
from core.features.pretrained import load_pretrained
from core.model.encoder_attention import DOCUMENTS
from core.model.layers import Dropout, Linear

FAMILIES = {"bert": "BERT", "roberta": "RoBERTa", "deberta-v2": "DeBERTa-v2/v3", "modernbert": "ModernBERT"}
INITIAL_STD = 0.02


@dataclass(frozen=True)
class LoadedEncoder:
    """A transformer and the names of its parameters that hold fresh values instead of pretrained ones.

    `grown` names position tables whose first rows are pretrained: parameter name -> number of those rows.
    """

    transformer: PreTrainedModel
    fresh: frozenset[str]
    grown: dict[str, int]


def load_encoder(config: EncoderConfig, *, vocabulary: int) -> LoadedEncoder:
    """The transformer of a config, its position table grown; `vocabulary` sizes the one from scratch."""
    if config.source == "scratch":
        architecture = scratch_architecture(config, vocabulary)
    else:
        architecture = load_pretrained(AutoConfig.from_pretrained, config.source, "encoder")
    check_family(architecture, config.source)
    if config.source == "scratch" or not config.pretrained:
        transformer = build_transformer(grow_config(architecture, config.positions), config)
        return LoadedEncoder(transformer, frozenset(dict(transformer.named_parameters())), {})
    plain: PreTrainedModel = load_pretrained(
        AutoModel.from_pretrained,
        config.source,
        "encoder",
        attn_implementation=choose_attention(architecture, config),
        dtype=torch.float32,
        **without_pooler(architecture),
    )
    transformer = build_transformer(grow_config(architecture, config.positions), config)
    return LoadedEncoder(transformer, *copy_weights(plain, transformer))


def check_family(architecture: PreTrainedConfig, source: str) -> None:
    """Refuse an encoder of a family that is not known to work."""
    if architecture.model_type not in FAMILIES:
        raise UserError(
            f"encoder {source!r} is of the family {architecture.model_type!r}: "
            f"use one of {', '.join(FAMILIES.values())}"
        )


def without_pooler(architecture: PreTrainedConfig) -> dict[str, bool]:
    """BERT and RoBERTa carry a pooler that nothing here reads."""
    return {"add_pooling_layer": False} if architecture.model_type in ("bert", "roberta") else {}


def choose_attention(architecture: PreTrainedConfig, config: EncoderConfig) -> str:
    """The attention kernel of an encoder: DeBERTa's relative attention exists as the plain formula only."""
    return "eager" if architecture.model_type == "deberta-v2" else config.attention


def build_transformer(architecture: PreTrainedConfig, config: EncoderConfig) -> PreTrainedModel:
    """A transformer of this architecture with fresh weights."""
    transformer: PreTrainedModel = AutoModel.from_config(
        architecture,
        attn_implementation=choose_attention(architecture, config),
        dtype=torch.float32,
        **without_pooler(architecture),
    )
    if config.gradient_checkpointing:
        # Renamed within the fifth major version of transformers; the old name warns.
        name = "activation_checkpointing_enable"
        enable = getattr(transformer, name, None) or transformer.gradient_checkpointing_enable
        enable({"use_reentrant": False})
    return transformer


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
    """Rows of the position table before the first position: RoBERTa counts from padding_idx + 1."""
    return int(architecture.pad_token_id or 0) + 1 if architecture.model_type == "roberta" else 0


def grow_config(architecture: PreTrainedConfig, positions: int) -> PreTrainedConfig:
    """The same architecture with room for `positions` word pieces."""
    grown = type(architecture).from_dict(architecture.to_dict())
    known = int(getattr(architecture, "max_position_embeddings", 0))
    grown.max_position_embeddings = max(known, positions + position_offset(architecture))
    # DeBERTa sizes its relative positions by the table unless told otherwise: growing must not move what it learned.
    if architecture.model_type == "deberta-v2" and int(getattr(architecture, "max_relative_positions", -1)) < 1:
        grown.max_relative_positions = known
    return grown


def copy_weights(source: PreTrainedModel, target: PreTrainedModel) -> tuple[frozenset[str], dict[str, int]]:
    """Copy pretrained weights into a transformer with a longer position table; the names of what stays fresh."""
    weights = dict(source.named_parameters())
    fresh: set[str] = set()
    grown: dict[str, int] = {}
    with torch.no_grad():
        for name, parameter in target.named_parameters():
            given = weights.get(name)
            if given is None:
                fresh.add(name)
            elif given.shape == parameter.shape:
                parameter.copy_(given)
            else:
                parameter[: len(given)].copy_(given)
                grown[name] = len(given)
    return frozenset(fresh), grown


class Encoder(nn.Module):
    """A transformer that gives flat states: the padding between documents ends here."""

    def __init__(self, transformer: PreTrainedModel) -> None:
        super().__init__()
        self.transformer = transformer
        self.family = str(transformer.config.model_type)
        for module in transformer.modules():
            # The same modules with the same weights and names, computed faster.
            if type(module) is nn.Linear:
                module.__class__ = Linear
            elif type(module) is nn.Dropout:
                module.__class__ = Dropout
        self.flat = self.family in ("bert", "roberta") and transformer.config._attn_implementation == "sdpa"
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
        mask = pieces.mask
        if not any(pieces.counts):
            # An empty document alone: attention over nothing is no operation.
            return torch.zeros(0, self.width, device=pieces.ids.device)
        if self.flat and pieces.ids.device.type == "cpu":
            return self._flat_states(pieces)
        # A batch without padding needs no mask; attention without one takes a faster kernel.
        attention = mask.long() if len(set(pieces.counts)) > 1 else None
        states = self.transformer(input_ids=pieces.ids, attention_mask=attention).last_hidden_state
        if attention is None:
            return states.flatten(0, 1)
        rows = mask.flatten().nonzero().squeeze(1)
        return states.flatten(0, 1).index_select(0, rows)

    def _flat_states(self, pieces: Pieces) -> Float[Tensor, "T H"]:
        """The states of all documents as one row without padding, each document attending to itself."""
        if self.family == "roberta":
            # RoBERTa counts from behind its padding index, and leaves out pieces that are padding.
            padding = position_offset(self.transformer.config) - 1
            counted = pieces.ids.ne(padding)
            positions = counted.cumsum(1) * counted + padding
        else:
            positions = torch.arange(pieces.ids.shape[1]).expand_as(pieces.ids)
        ids, places = (part[pieces.mask].unsqueeze(0) for part in (pieces.ids, positions))
        states = self.transformer(input_ids=ids, position_ids=places, counts=pieces.counts).last_hidden_state
        return states.squeeze(0)
