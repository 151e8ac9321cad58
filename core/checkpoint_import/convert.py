"""Conversion of a reference checkpoint: its config, read off the tensors and its hyper-parameters, and its model."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import torch

from core.checkpoint_import.weights import MODES, READ, Weights, drop_aliases, is_memory, read_checkpoint, rename
from core.config.model_source import check_architecture
from core.config.presets import validate
from core.config.schema import LossConfig, RunConfig
from core.data.documents import LabelSet
from core.errors import UserError, fault, shorten
from core.features.wordpieces import WordPieces
from core.input_files import read_source
from core.parsing import parse_json
from core.training.checkpoints import ModelState, TrainedModel, build_checked_model

# Attention heads of the published BERT sizes by width: the one size that no tensor shows.
HEADS_BY_WIDTH = {128: 2, 256: 4, 512: 8, 768: 12, 1024: 16}
THRESHOLDS = {"mention_threshold": 0.85, "coref_threshold": 0.85, "rel_threshold": 0.6}


Threshold = Annotated[float, msgspec.Meta(gt=0.0, lt=1.0)]
Activation = Literal[
    "gelu", "gelu_new", "gelu_fast", "gelu_pytorch_tanh", "quick_gelu", "relu", "silu", "swish", "tanh"
]
Heads = Annotated[int, msgspec.Meta(ge=1, le=1_024)]


class HyperParameters(msgspec.Struct, frozen=True):
    """What is read of a reference run's hyper-parameters, in its checkpoint or in its settings."""

    mention_threshold: Threshold | None = None
    coref_threshold: Threshold | None = None
    rel_threshold: Threshold | None = None
    prop_drop: Annotated[float, msgspec.Meta(ge=0.0, lt=1.0)] | None = None
    max_span_size: Annotated[int, msgspec.Meta(ge=1, le=100)] | None = None
    encoder_config_path: str | None = None
    encoder_path: str | None = None
    entity_types: dict[str, Any] | None = None
    relation_types: dict[str, Any] | None = None


class EncoderHeads(msgspec.Struct, frozen=True):
    """The one size of an encoder that no tensor shows, as its config gives it."""

    num_attention_heads: Heads | None = None


class EncoderSettings(EncoderHeads, frozen=True):
    """What is read of the config of a reference run's encoder."""

    hidden_act: Activation = "gelu"
    layer_norm_eps: Annotated[float, msgspec.Meta(gt=0.0, lt=1.0)] = 1e-12


class ReferenceConfig(msgspec.Struct, frozen=True):
    """What is read of a reference run's settings (JSON); everything else in them is ignored."""

    hparams: HyperParameters = HyperParameters()
    encoder: EncoderSettings = EncoderSettings()
    entity_types: tuple[str, ...] | None = None
    relation_types: tuple[str, ...] | None = None
    loss_weights: dict[str, float] = {}
    use_entity_memory: bool = True
    use_relation_memory: bool = True
    memory_read_grad: bool = True


@dataclass(frozen=True)
class ImportedCheckpoint:
    """A reference model as ours, the config it stands for, and what had to be assumed."""

    config: RunConfig
    trained: TrainedModel
    assumptions: list[str]


def import_checkpoint(
    checkpoint: Path, *, config: Path | None, types: LabelSet | None, wordpieces: WordPieces
) -> ImportedCheckpoint:
    """Read a checkpoint of JEREX or of the memory authors; `config` in the form of their run's settings.

    JEREX's own Lightning checkpoint carries types, order and thresholds; memory checkpoints carry neither, so config
    and types files give them.
    """
    read = read_checkpoint(checkpoint)
    reference = ReferenceConfig()
    if config is not None:
        reference = parse_json(read_source(config), ReferenceConfig, config)
    source = f"{checkpoint} with {config}" if config is not None else str(checkpoint)
    with faults_of(source):
        own = read_hyper_parameters(read.hyper_parameters)
        given = {name: value for name, value in msgspec.structs.asdict(reference.hparams).items() if value is not None}
        hyper = msgspec.structs.replace(own, **given)
        weights = rename(read.weights)
        for prefix in ("encoder.transformer.", "mention_head."):
            if not any(name.startswith(prefix) for name in weights):
                raise UserError(f"it is not a JEREX or memory checkpoint, as it has no tensors of {prefix}*")
        assumptions: list[str] = []
        labels = choose_labels(types, reference, own, weights)
        architecture = read_architecture(weights, reference.encoder, hyper, assumptions)
        check_architecture(architecture)
        settings = infer_settings(read.weights, weights, reference, hyper, assumptions)
        settings["encoder"]["source"] = str(checkpoint.resolve())
    run = validate(settings, where=f"{config or checkpoint}: ")
    model = build_checked_model(run, architecture, labels, weights, source)
    state = ModelState(epoch=0, step=0, reading=1.0 if run.memory is not None else 0.0)
    return ImportedCheckpoint(run, TrainedModel(model.eval(), wordpieces, labels, state), assumptions)


@contextmanager
def faults_of(source: str) -> Iterator[None]:
    """Put the names of files before what is wrong with them."""
    try:
        yield
    except UserError as error:
        raise fault(source, str(error)) from None


def read_hyper_parameters(values: dict[str, Any]) -> HyperParameters:
    """The hyper-parameters that a checkpoint carries."""
    try:
        return msgspec.convert(values, HyperParameters)
    except msgspec.ValidationError as error:
        message = str(error).replace("`", "").replace("$.", "hyper_parameters.")
        raise UserError(f"{message}: give JEREX's own .ckpt, or its state dict alone with --config") from None


def find_matrix(weights: Weights, name: str) -> torch.Tensor:
    """A tensor of two dimensions by our name; a UserError where there is none."""
    tensor = weights.get(name)
    if tensor is None or tensor.ndim != 2:
        found = "is missing" if tensor is None else f"has {tensor.ndim} dimensions"
        raise UserError(f"the matrix {name} of the model {found}: give a whole checkpoint")
    return tensor


def choose_labels(
    types: LabelSet | None, reference: ReferenceConfig, hyper: HyperParameters, weights: Weights
) -> LabelSet:
    """The types in class-index order: from the types file, the config, or the checkpoint itself; they must agree."""
    sources: dict[str, LabelSet] = {}
    if types is not None:
        sources["the types file"] = types
    if reference.entity_types is not None and reference.relation_types is not None:
        sources["the config"] = LabelSet(reference.entity_types, reference.relation_types)
    if hyper.entity_types and hyper.relation_types:
        sources["the checkpoint"] = LabelSet(_in_order(hyper.entity_types), _in_order(hyper.relation_types))
    if not sources:
        raise UserError("it carries no types: give the types file that it was trained with (--types FILE)")
    (first, labels), *others = sources.items()
    for name, other in others:
        for kind in ("entity_types", "relation_types"):
            if getattr(labels, kind) != getattr(other, kind):
                raise UserError(
                    f"{first} and {name} disagree about {kind} or their order (the class index): "
                    f"{shorten(list(getattr(labels, kind)))} against {shorten(list(getattr(other, kind)))}; give the "
                    "file that the checkpoint was trained with"
                )
    memory = "memories.entity.slots" in weights
    names = ("memories.entity.slots", "memories.relation.slots")
    names = names if memory else ("entity_head.output.weight", "relation_classifier.weight")
    rows = tuple(len(find_matrix(weights, name)) for name in names)
    if rows != (len(labels.entity_types), len(labels.relation_types)):
        raise UserError(
            f"{first} has {len(labels.entity_types)} entity and {len(labels.relation_types)} relation types, the "
            f"checkpoint {rows[0]} and {rows[1]}: give the types file that it was trained with"
        )
    return labels


def _in_order(types: dict[str, Any]) -> tuple[str, ...]:
    """Identifiers of JEREX's pickled types by their class index; keys of a plain dictionary in their own order."""
    attributes = {key: getattr(value, "__dict__", {}) for key, value in types.items()}
    indices = {key: own.get("_index", 0) for key, own in attributes.items()}
    if not all(isinstance(index, int) for index in indices.values()):
        raise UserError(f"its types have no class index ({shorten(indices)}): give the types file (--types FILE)")
    return tuple(str(attributes[key].get("_identifier", key)) for key in sorted(indices, key=indices.__getitem__))


def read_architecture(
    weights: Weights, encoder: EncoderSettings, hyper: HyperParameters, assumptions: list[str]
) -> dict[str, Any]:
    """BERT's architecture with every size from the tensors; heads and activation from the config."""
    prefix = "encoder.transformer."
    table = find_matrix(weights, f"{prefix}embeddings.word_embeddings.weight")
    layers = {name.split(".")[4] for name in weights if name.startswith(f"{prefix}encoder.layer.")}
    width = int(table.shape[1])
    heads = encoder.num_attention_heads or _read_heads(hyper)
    if heads is None:
        if width not in HEADS_BY_WIDTH:
            raise UserError(
                f"no tensor shows the number of attention heads of an encoder of width {width}: give --config with "
                '{"encoder": {"num_attention_heads": ...}}'
            )
        heads = HEADS_BY_WIDTH[width]
        assumptions.append(f"{heads} attention heads, as published BERT encoders of width {width} have")
    return {
        "model_type": "bert",
        "vocab_size": int(table.shape[0]),
        "hidden_size": width,
        "num_hidden_layers": len(layers),
        "num_attention_heads": heads,
        "intermediate_size": len(find_matrix(weights, f"{prefix}encoder.layer.0.intermediate.dense.weight")),
        "hidden_act": encoder.hidden_act,
        "layer_norm_eps": encoder.layer_norm_eps,
        "max_position_embeddings": len(find_matrix(weights, f"{prefix}embeddings.position_embeddings.weight")),
        "type_vocab_size": len(find_matrix(weights, f"{prefix}embeddings.token_type_embeddings.weight")),
    }


def _read_heads(hyper: HyperParameters) -> int | None:
    """The attention heads in the config of the encoder that the run started from, where that is a file here."""
    for name in (hyper.encoder_config_path, hyper.encoder_path):
        path = os.path.join(name, "config.json") if name and os.path.isdir(name) else name
        if path and path.endswith(".json") and os.path.isfile(path):
            config: EncoderHeads = parse_json(read_source(path), EncoderHeads, path)
            return config.num_attention_heads
    return None


def infer_settings(
    original: Weights,
    weights: Weights,
    reference: ReferenceConfig,
    hyper: HyperParameters,
    assumptions: list[str],
) -> dict[str, Any]:
    """Our settings of a reference run: table sizes from the tensors, thresholds from its hyper-parameters."""
    relation_head = "mrc" if "relation_head.instance.weight" in weights else "grc"
    thresholds = {}
    for name, default in THRESHOLDS.items():
        ours, value = name.replace("rel_", "relation_"), getattr(hyper, name)
        thresholds[ours] = default if value is None else value
        if value is None:
            assumptions.append(f"{ours} {default}")

    def rows(name: str) -> int:
        return len(find_matrix(weights, name))

    model: dict[str, Any] = {
        "relation_head": relation_head,
        "meta_width": int(find_matrix(weights, "mention_head.width_embedding.weight").shape[1]),
        "width_table": rows("mention_head.width_embedding.weight"),
        "edit_distance_table": rows("coref_head.edit_distance_embedding.weight"),
        "dropout": 0.1 if hyper.prop_drop is None else hyper.prop_drop,
        **thresholds,
    }
    if relation_head == "mrc":
        model["token_distance_table"] = rows("relation_head.token_distance_embedding.weight")
        model["sentence_distance_table"] = rows("relation_head.sentence_distance_embedding.weight")
    kind = "memory" if is_memory(original) else "jerex"
    return {
        "preset": f"{kind}-{relation_head}",
        "profile": "imported",
        "data": {"surface": "decoded"},
        "encoder": {"positions": rows("encoder.transformer.embeddings.position_embeddings.weight")},
        "model": model,
        "memory": memory_settings(drop_aliases(original), weights, reference) if kind == "memory" else None,
        "samples": {"max_span_tokens": hyper.max_span_size or 10},
        "loss": {name: weight for name, weight in reference.loss_weights.items() if name in LossConfig.model_fields},
    }


def memory_settings(original: Weights, weights: Weights, reference: ReferenceConfig) -> dict[str, Any]:
    """Our memory settings of a reference run: what is read where and how is seen from the tensors of the reads."""
    reads = [match.groups() for name in original if (match := READ.match(name))]
    places_by_mode = {ours: {place for _, mode, place in reads if mode == theirs} for theirs, ours in MODES.items()}
    places_by_mode = {mode: places for mode, places in places_by_mode.items() if places}
    places = set().union(*places_by_mode.values())
    if any(own != places for own in places_by_mode.values()):
        raise UserError(
            f"it reads inverse and normal at different places ({places_by_mode}), which no setting here "
            "expresses; import a checkpoint that reads both at the same places"
        )
    used = [name for name in ("entity", "relation") if getattr(reference, f"use_{name}_memory")]
    settings: dict[str, Any] = {
        "entity_slot_width": int(find_matrix(weights, "memories.entity.slots").shape[1]),
        "relation_slot_width": int(find_matrix(weights, "memories.relation.slots").shape[1]),
        "read_mode": "-".join(places_by_mode) if places_by_mode and used else "none",
        "read_grad": reference.memory_read_grad,
        "warmup": 0.0,
    }
    if used:
        settings["memories"] = used[0] if len(used) == 1 else "both"
    if places:
        settings["places"] = "both" if len(places) == 2 else next(iter(places))
    return settings
