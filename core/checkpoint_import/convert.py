"""Conversion of a reference checkpoint: its config, read off the tensors and its hyper-parameters, and its model."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from core.checkpoint_import.weights import MODES, READ, Weights, drop_aliases, is_memory, read_checkpoint, rename
from core.config.presets import validate
from core.config.schema import LossConfig, RunConfig
from core.data.documents import LabelSet
from core.errors import UserError
from core.features.wordpieces import WordPieces
from core.input_files import read_source
from core.parsing import parse_json
from core.training.checkpoints import ModelState, TrainedModel, build_model, load_weights

# Attention heads of the published BERT sizes by width: the one size that no tensor shows.
HEADS_BY_WIDTH = {128: 2, 256: 4, 512: 8, 768: 12, 1024: 16}
THRESHOLDS = {"mention_threshold": 0.85, "coref_threshold": 0.85, "rel_threshold": 0.6}


class ReferenceConfig(msgspec.Struct, frozen=True):
    """What is read of a reference run's settings (JSON); everything else in them is ignored."""

    hparams: dict[str, Any] = {}
    encoder: dict[str, Any] = {}
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
    hyper = {**read.hyper_parameters, **reference.hparams}
    weights = rename(read.weights)
    for prefix in ("encoder.transformer.", "mention_head."):
        if not any(name.startswith(prefix) for name in weights):
            raise UserError(f"{checkpoint} is not a JEREX or memory checkpoint: it has no tensors of {prefix}*")
    assumptions: list[str] = []
    labels = choose_labels(types, reference, read.hyper_parameters, weights, checkpoint)
    architecture = read_architecture(weights, reference.encoder, hyper, assumptions)
    settings = infer_settings(read.weights, weights, reference, hyper, assumptions)
    settings["encoder"]["source"] = str(checkpoint.resolve())
    run = validate(settings)
    model = build_model(run, architecture, labels)
    load_weights(model, weights, str(checkpoint))
    if wordpieces.size > architecture["vocab_size"]:
        raise UserError(
            f"the tokenizer has {wordpieces.size} word pieces, the checkpoint's encoder only "
            f"{architecture['vocab_size']}: give the tokenizer that it was trained with (--tokenizer)"
        )
    state = ModelState(epoch=0, step=0, reading=1.0 if run.memory is not None else 0.0)
    return ImportedCheckpoint(run, TrainedModel(model.eval(), wordpieces, labels, state), assumptions)


def choose_labels(
    types: LabelSet | None, reference: ReferenceConfig, hyper: dict[str, Any], weights: Weights, checkpoint: Path
) -> LabelSet:
    """The types in class-index order: from the types file, the config, or the checkpoint itself; they must agree."""
    sources: dict[str, LabelSet] = {}
    if types is not None:
        sources["the types file"] = types
    if reference.entity_types is not None and reference.relation_types is not None:
        sources["the config"] = LabelSet(reference.entity_types, reference.relation_types)
    if hyper.get("entity_types") and hyper.get("relation_types"):
        sources["the checkpoint"] = LabelSet(_in_order(hyper["entity_types"]), _in_order(hyper["relation_types"]))
    if not sources:
        raise UserError(f"{checkpoint} carries no types: give the types file that it was trained with (--types FILE)")
    (first, labels), *others = sources.items()
    for name, other in others:
        for kind in ("entity_types", "relation_types"):
            if getattr(labels, kind) != getattr(other, kind):
                raise UserError(
                    f"{first} and {name} disagree about {kind} or their order (the class index): "
                    f"{list(getattr(labels, kind))[:8]} against {list(getattr(other, kind))[:8]}; give the file that "
                    "the checkpoint was trained with"
                )
    memory = "memories.entity.slots" in weights
    rows = (
        len(weights["memories.entity.slots" if memory else "entity_head.output.weight"]),
        len(weights["memories.relation.slots" if memory else "relation_classifier.weight"]),
    )
    if rows != (len(labels.entity_types), len(labels.relation_types)):
        raise UserError(
            f"{first} has {len(labels.entity_types)} entity and {len(labels.relation_types)} relation types, the "
            f"checkpoint {rows[0]} and {rows[1]}: give the types file that it was trained with"
        )
    return labels


def _in_order(types: dict[str, Any]) -> tuple[str, ...]:
    """Identifiers of JEREX's pickled types by their class index; keys of a plain dictionary in their own order."""
    attributes = {key: getattr(value, "__dict__", {}) for key, value in types.items()}
    ordered = sorted(attributes.items(), key=lambda item: item[1].get("_index", 0))
    return tuple(str(own.get("_identifier", key)) for key, own in ordered)


def read_architecture(
    weights: Weights, encoder: dict[str, Any], hyper: dict[str, Any], assumptions: list[str]
) -> dict[str, Any]:
    """BERT's architecture with every size from the tensors; heads and activation from the config."""
    prefix = "encoder.transformer."
    table = weights[f"{prefix}embeddings.word_embeddings.weight"]
    layers = {name.split(".")[4] for name in weights if name.startswith(f"{prefix}encoder.layer.")}
    width = int(table.shape[1])
    heads = encoder.get("num_attention_heads") or _read_heads(hyper)
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
        "num_attention_heads": int(heads),
        "intermediate_size": int(weights[f"{prefix}encoder.layer.0.intermediate.dense.weight"].shape[0]),
        "hidden_act": encoder.get("hidden_act", "gelu"),
        "layer_norm_eps": encoder.get("layer_norm_eps", 1e-12),
        "max_position_embeddings": int(weights[f"{prefix}embeddings.position_embeddings.weight"].shape[0]),
        "type_vocab_size": int(weights[f"{prefix}embeddings.token_type_embeddings.weight"].shape[0]),
    }


def _read_heads(hyper: dict[str, Any]) -> int | None:
    """The attention heads in the config of the encoder that the run started from, where that is a file here."""
    for name in ("encoder_config_path", "encoder_path"):
        path = Path(str(hyper.get(name) or ""))
        path = path / "config.json" if path.is_dir() else path
        if path.suffix == ".json" and path.is_file():
            config: dict[str, Any] = parse_json(read_source(path), dict[str, Any], path)
            return config.get("num_attention_heads")
    return None


def infer_settings(
    original: Weights,
    weights: Weights,
    reference: ReferenceConfig,
    hyper: dict[str, Any],
    assumptions: list[str],
) -> dict[str, Any]:
    """Our settings of a reference run: table sizes from the tensors, thresholds from its hyper-parameters."""
    rows = {name: int(tensor.shape[0]) for name, tensor in weights.items() if tensor.ndim == 2}
    relation_head = "mrc" if "relation_head.instance.weight" in weights else "grc"
    thresholds = {}
    for name, default in THRESHOLDS.items():
        ours = name.replace("rel_", "relation_")
        thresholds[ours] = hyper.get(name, default)
        if name not in hyper:
            assumptions.append(f"{ours} {default}")
    model: dict[str, Any] = {
        "relation_head": relation_head,
        "meta_width": int(weights["mention_head.width_embedding.weight"].shape[1]),
        "width_table": rows["mention_head.width_embedding.weight"],
        "edit_distance_table": rows["coref_head.edit_distance_embedding.weight"],
        "dropout": float(hyper.get("prop_drop", 0.1)),
        **thresholds,
    }
    if relation_head == "mrc":
        model["token_distance_table"] = rows["relation_head.token_distance_embedding.weight"]
        model["sentence_distance_table"] = rows["relation_head.sentence_distance_embedding.weight"]
    kind = "memory" if is_memory(original) else "jerex"
    return {
        "preset": f"{kind}-{relation_head}",
        "profile": "imported",
        "data": {"surface": "decoded"},
        "encoder": {"positions": rows["encoder.transformer.embeddings.position_embeddings.weight"]},
        "model": model,
        "memory": memory_settings(drop_aliases(original), weights, reference) if kind == "memory" else None,
        "samples": {"max_span_tokens": int(hyper.get("max_span_size", 10))},
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
            f"the checkpoint reads inverse and normal at different places ({places_by_mode}), which no setting here "
            "expresses; import a checkpoint that reads both at the same places"
        )
    used = [name for name in ("entity", "relation") if getattr(reference, f"use_{name}_memory")]
    settings: dict[str, Any] = {
        "entity_slot_width": int(weights["memories.entity.slots"].shape[1]),
        "relation_slot_width": int(weights["memories.relation.slots"].shape[1]),
        "read_mode": "-".join(places_by_mode) if places_by_mode and used else "none",
        "read_grad": reference.memory_read_grad,
        "warmup": 0.0,
    }
    if used:
        settings["memories"] = used[0] if len(used) == 1 else "both"
    if places:
        settings["places"] = "both" if len(places) == 2 else next(iter(places))
    return settings
