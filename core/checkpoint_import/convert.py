"""A reference checkpoint as a run of ours: its config, read off the tensors and its hyper-parameters, and its model."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.checkpoint_import.weights import (
    MODES,
    READ,
    Weights,
    drop_aliases,
    is_memory,
    read_checkpoint,
    read_json,
    rename,
)
from core.config.presets import validate
from core.config.schema import RunConfig
from core.data.documents import LabelSet
from core.errors import UserError
from core.features.wordpieces import WordPieces
from core.training.checkpoints import ModelState, TrainedModel, build_model, load_weights

# Attention heads of the published BERT sizes by width: the one size that no tensor shows.
HEADS_BY_WIDTH = {128: 2, 256: 4, 512: 8, 768: 12, 1024: 16}
THRESHOLDS = {"mention_threshold": 0.85, "coref_threshold": 0.85, "rel_threshold": 0.6}


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
    settings = read_json(config, "config") if config is not None else {}
    hyper = {**read.hyper_parameters, **settings.get("hparams", {})}
    weights = rename(read.weights)
    missing_part = next((name for name in ("encoder.transformer.", "mention_head.") if not _any(weights, name)), None)
    if missing_part:
        raise UserError(f"{checkpoint} is not a JEREX or memory checkpoint: it has no tensors of {missing_part}*")
    assumptions: list[str] = []
    labels = choose_labels(types, settings, read.hyper_parameters, weights, checkpoint)
    architecture = read_architecture(weights, settings.get("encoder", {}), hyper, assumptions)
    tree = infer_settings(read.weights, weights, settings, hyper, assumptions)
    tree["encoder"]["source"] = str(checkpoint.resolve())
    run = validate(tree)
    model = build_model(run, architecture, labels)
    load_weights(model, weights, str(checkpoint))
    vocabulary = int(weights["encoder.transformer.embeddings.word_embeddings.weight"].shape[0])
    if wordpieces.size > vocabulary:
        raise UserError(
            f"the tokenizer has {wordpieces.size} word pieces, the checkpoint's encoder knows {vocabulary}: give the "
            "tokenizer that it was trained with (--tokenizer)"
        )
    state = ModelState(epoch=0, step=0, reading=1.0 if run.memory is not None else 0.0)
    return ImportedCheckpoint(run, TrainedModel(model.eval(), wordpieces, labels, state), assumptions)


def _any(weights: Weights, prefix: str) -> bool:
    return any(name.startswith(prefix) for name in weights)


def choose_labels(
    types: LabelSet | None, settings: dict[str, Any], hyper: dict[str, Any], weights: Weights, where: Path
) -> LabelSet:
    """The types in class-index order: from the types file, the config, or the checkpoint itself; they must agree."""
    found: list[tuple[str, LabelSet]] = []
    if types is not None:
        found.append(("the types file", types))
    if "entity_types" in settings and "relation_types" in settings:
        found.append(("the config", LabelSet(tuple(settings["entity_types"]), tuple(settings["relation_types"]))))
    if hyper.get("entity_types") and hyper.get("relation_types"):
        found.append(("the checkpoint", LabelSet(_in_order(hyper["entity_types"]), _in_order(hyper["relation_types"]))))
    if not found:
        raise UserError(f"{where} carries no types: give the types file it was trained with (--types FILE)")
    first_name, first = found[0]
    for name, other in found[1:]:
        for kind in ("entity_types", "relation_types"):
            if getattr(first, kind) != getattr(other, kind):
                raise UserError(
                    f"{first_name} and {name} disagree about {kind} or their order (the class index): "
                    f"{list(getattr(first, kind))[:8]} against {list(getattr(other, kind))[:8]}; give the file that "
                    "the checkpoint was trained with"
                )
    memory = "memories.entity.slots" in weights
    rows = (
        len(weights["memories.entity.slots" if memory else "entity_head.output.weight"]),
        len(weights["memories.relation.slots" if memory else "relation_classifier.weight"]),
    )
    if rows != (len(first.entity_types), len(first.relation_types)):
        raise UserError(
            f"{first_name} has {len(first.entity_types)} entity and {len(first.relation_types)} relation types, the "
            f"checkpoint {rows[0]} and {rows[1]}: give the types file that it was trained with"
        )
    return first


def _in_order(types: dict[str, Any]) -> tuple[str, ...]:
    """Identifiers of JEREX's pickled types by their class index."""
    ordered = sorted(
        types.items(), key=lambda item: vars(item[1]).get("_index", 0) if not isinstance(item[1], dict) else 0
    )
    return tuple(
        str(vars(value).get("_identifier", key)) if hasattr(value, "__dict__") else key for key, value in ordered
    )


def read_architecture(
    weights: Weights, given: dict[str, Any], hyper: dict[str, Any], assumptions: list[str]
) -> dict[str, Any]:
    """BERT's architecture with every size from the tensors; heads and activation from the config."""
    prefix = "encoder.transformer."
    table = weights[f"{prefix}embeddings.word_embeddings.weight"]
    layers = {name.split(".")[4] for name in weights if name.startswith(f"{prefix}encoder.layer.")}
    width = int(table.shape[1])
    heads = given.get("num_attention_heads") or _heads_of(hyper)
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
        "hidden_act": given.get("hidden_act", "gelu"),
        "layer_norm_eps": given.get("layer_norm_eps", 1e-12),
        "max_position_embeddings": int(weights[f"{prefix}embeddings.position_embeddings.weight"].shape[0]),
        "type_vocab_size": int(weights[f"{prefix}embeddings.token_type_embeddings.weight"].shape[0]),
    }


def _heads_of(hyper: dict[str, Any]) -> int | None:
    for name in ("encoder_config_path", "encoder_path"):
        path = Path(str(hyper.get(name) or ""))
        path = path / "config.json" if path.is_dir() else path
        if path.suffix == ".json" and path.is_file():
            return read_json(path, "encoder config").get("num_attention_heads")
    return None


def infer_settings(
    original: Weights,
    weights: Weights,
    settings: dict[str, Any],
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
    losses = settings.get("loss_weights", {})
    return {
        "preset": f"{kind}-{relation_head}",
        "profile": "imported",
        "data": {"surface": "decoded"},
        "encoder": {"positions": rows["encoder.transformer.embeddings.position_embeddings.weight"]},
        "model": model,
        "memory": memory_settings(drop_aliases(original), weights, settings) if kind == "memory" else None,
        "samples": {"max_span_tokens": int(hyper.get("max_span_size", 10))},
        "loss": {name: losses[name] for name in ("mention", "coref", "entity", "relation") if name in losses},
    }


def memory_settings(original: Weights, weights: Weights, settings: dict[str, Any]) -> dict[str, Any]:
    """Which memories are read where and how, as the tensors of the reading modules show."""
    reads = [found.groups() for name in original if (found := READ.match(name))]
    modes = [mode for mode in ("inverse", "norm") if any(read[1] == mode for read in reads)]
    places_by_mode = {mode: {read[2] for read in reads if read[1] == mode} for mode in modes}
    places = set().union(*places_by_mode.values())
    if any(found != places for found in places_by_mode.values()):
        raise UserError(
            f"the checkpoint reads inverse and normal at different places ({places_by_mode}), which no setting here "
            "expresses; import a checkpoint that reads both at the same places"
        )
    used = [name for name in ("entity", "relation") if settings.get(f"use_{name}_memory", True)]
    read = {"memories": used[0] if len(used) == 1 else "both"} if used else {}
    tree: dict[str, Any] = {
        "entity_slot_width": int(weights["memories.entity.slots"].shape[1]),
        "relation_slot_width": int(weights["memories.relation.slots"].shape[1]),
        "read_mode": "-".join(MODES[mode] for mode in modes) if modes and used else "none",
        "read_grad": bool(settings.get("memory_read_grad", True)),
        "warmup": 0.0,
        **read,
    }
    if places:
        tree["places"] = "both" if len(places) == 2 else next(iter(places))
    return tree
