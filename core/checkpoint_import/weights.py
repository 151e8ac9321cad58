"""Weights of JEREX's and the memory authors' checkpoints, loaded without running code, and their names in our model.

Lightning checkpoints of JEREX pickle classes of `jerex.entities`; torch's weights-only loader maps exactly those, and
three inert Lightning names, to stand-ins without behaviour and refuses everything else. Names and facts:
lavis-nlp/jerex (MIT) and kosciukiewicz/similarity-based-memory-re (facts only).
"""

import pickle
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from core.errors import UserError, fault, first_line, shorten
from core.input_files import check_regular_file

Weights = dict[str, torch.Tensor]
PREFIXES = ("_model.model.", "_model.", "model.")
IGNORED = re.compile(r"^bert\.(embeddings\.(position_ids|token_type_ids)|pooler\..*)$")
ALIASES = {
    "_entity_classification._memory_module.": "entity_memory_module.",
    "relation_classification._memory_module.": "relation_memory_module.",
}
DEAD = re.compile(r"^entity_pair_representation\.entity_type_embeddings\.weight$")


class _TypeStandIn:
    """An entity or relation type of a JEREX checkpoint: attributes, no behaviour."""


class _Inert:
    """A Lightning class that a checkpoint names and nothing here uses."""


class _InertDict(dict[str, Any]):
    """Lightning's attribute dict, as a plain dict."""


SAFE_NAMES: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    (_TypeStandIn, "jerex.entities.EntityType"),
    (type("_RelationStandIn", (_TypeStandIn,), {}), "jerex.entities.RelationType"),
    (_Inert, "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint"),
    (type("_InertMonitor", (_Inert,), {}), "pytorch_lightning.callbacks.lr_monitor.LearningRateMonitor"),
    (_InertDict, "pytorch_lightning.utilities.parsing.AttributeDict"),
]


@dataclass(frozen=True)
class ReferenceCheckpoint:
    """A reference's weights under its own names, prefix removed, and the hyper-parameters it carries (maybe none)."""

    weights: Weights
    hyper_parameters: dict[str, Any]


def read_checkpoint(path: Path) -> ReferenceCheckpoint:
    """Load a safetensors file, a `save_pretrained` folder, or a torch / Lightning checkpoint, running no code in it."""
    if path.is_dir():
        inside = [path / name for name in ("model.safetensors", "pytorch_model.bin") if (path / name).is_file()]
        if not inside:
            raise UserError(
                f"{path}: a folder without model.safetensors or pytorch_model.bin: give the checkpoint file itself"
            )
        path = inside[0]
    if not path.exists():
        raise UserError(f"{path}: no such checkpoint file; give a .safetensors, .bin or .ckpt file or its folder")
    check_regular_file(path)
    loaded = _load_file(path)
    if not isinstance(loaded, dict):
        raise fault(path, f"holds {type(loaded).__name__}, not a state dict; give JEREX's .ckpt or pytorch_model.bin")
    content = loaded.get("state_dict", loaded)
    hyper_parameters = loaded.get("hyper_parameters", {}) if "state_dict" in loaded else {}
    hyper_parameters = {} if hyper_parameters is None else hyper_parameters
    for name, part in (("state_dict", content), ("hyper_parameters", hyper_parameters)):
        if not isinstance(part, dict):
            raise fault(path, f"its {name} is {type(part).__name__}, not a dictionary; give JEREX's .ckpt")
    weights = {name: value for name, value in content.items() if isinstance(value, torch.Tensor)}
    size = path.stat().st_size
    for name, tensor in weights.items():
        if not isinstance(name, str):
            raise fault(path, f"the name {shorten(name)} of a tensor is no text: give a state dict of names")
        plain = tensor.layout is torch.strided and not (tensor.is_meta or tensor.is_quantized or tensor.is_complex())
        if not plain or tensor.nbytes > size:
            what = f"tensor {shorten(name)} of shape {tuple(tensor.shape)} holds no plain numbers of this file"
            raise fault(path, f"{what}: save the weights again, each whole and dense")
    known = {name: value for name, value in hyper_parameters.items() if isinstance(name, str)}
    return ReferenceCheckpoint(strip_prefix(weights), known)


def _load_file(path: Path) -> Any:
    """What a file of weights holds; a UserError where it is damaged, or needs more than weights and type tables."""
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with torch.serialization.safe_globals(SAFE_NAMES), warnings.catch_warnings():
            # That the pickle protocol is a newer one does not matter to a user: the file loads, or it is refused.
            warnings.simplefilter("ignore", UserWarning)
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        name = re.search(r"GLOBAL ([\w.]+\.\w+)", str(error))
        if name:
            raise UserError(
                f"{path} is refused: its pickle needs {name[1]}, and only weights and JEREX's type tables are loaded; "
                "nothing in it was run. If you trust the file, save its state dict alone "
                "(torch.save(model.state_dict(), ...)) where it was made"
            ) from None
        raise UserError(
            f"{path} is refused: it is not a torch checkpoint of weights, and nothing in it was run; give a .ckpt, "
            ".bin or .safetensors file"
        ) from None
    except Exception as error:  # noqa: BLE001 - a damaged pickle makes the loader raise anything
        raise UserError(f"{path} is not a readable checkpoint: {first_line(error)}; copy it again") from None


def strip_prefix(weights: Weights) -> Weights:
    """The weights without the prefix that a wrapper put before all of them."""
    for prefix in PREFIXES:
        if weights and all(name.startswith(prefix) for name in weights):
            return {name.removeprefix(prefix): tensor for name, tensor in weights.items()}
    return dict(weights)


def resolve_alias(name: str) -> str:
    """The name of the tensor that an alias repeats; other names unchanged."""
    for alias, original in ALIASES.items():
        if name.startswith(alias):
            # The entity head holds the bare matrix, the relation head the whole memory around it.
            own = name.removeprefix(alias)
            return original + ("memory_module." if own.startswith("_memory_matrix") else "") + own
    return name


def drop_aliases(weights: Weights) -> Weights:
    """The weights with every shared tensor once; two copies that differ are an error."""
    unique: Weights = {}
    sources: dict[str, str] = {}
    for name, tensor in weights.items():
        if IGNORED.match(name):
            continue
        original = resolve_alias(name)
        source = sources.setdefault(original, name)
        same_kind = original not in unique or unique[original].dtype == tensor.dtype
        if not same_kind or not torch.equal(unique.get(original, tensor), tensor):
            raise UserError(
                f"tensors {source} and {name} differ, though they are one in the model: the file is damaged; copy it "
                "again"
            )
        unique[original] = tensor
    return unique


def is_memory(weights: Weights) -> bool:
    """Whether the weights are the memory authors' model rather than JEREX."""
    return any(name.startswith(("entity_memory_module.", "relation_memory_module.")) for name in weights)


def name_pairs(weights: Weights) -> dict[str, str]:
    """Their name -> our name of every module; encoder, reads and slots are matched by pattern in `our_name`."""
    memory = is_memory(weights)
    coref = "_coreference_resolution" if memory else "coreference_resolution"
    pairs = {
        "mention_localization.linear": "mention_head.hidden",
        "mention_localization.mention_classifier": "mention_head.output",
        "mention_localization.size_embeddings": "mention_head.width_embedding",
        f"{coref}.coref_linear": "coref_head.hidden",
        f"{coref}.coref_classifier": "coref_head.output",
        f"{coref}.coref_ed_embeddings": "coref_head.edit_distance_embedding",
        "entity_pair_representation.entity_pair_linear": "relation_head.hidden",
    }
    multi_instance = "entity_pair_representation" if memory else "relation_classification"
    pairs |= {
        f"{multi_instance}.pair_linear": "relation_head.instance",
        f"{multi_instance}.rel_linear": "relation_head.hidden",
        f"{multi_instance}.token_distance_embeddings": "relation_head.token_distance_embedding",
        f"{multi_instance}.sentence_distance_embeddings": "relation_head.sentence_distance_embedding",
    }
    if memory:
        pairs["_entity_classification.entity_clf_linear"] = "entity_head.project"
        pairs["relation_classification._relation_clf_linear"] = "relation_classifier.project"
    else:
        pairs["entity_classification.linear"] = "entity_head.hidden"
        pairs["entity_classification.entity_classifier"] = "entity_head.output"
        pairs["entity_pair_representation.entity_embeddings"] = "type_embedding"
        pairs["relation_classification.entity_type_embeddings"] = "type_embedding"
        pairs["relation_classification.rel_classifier"] = "relation_classifier"
    return pairs


READ = re.compile(r"^(entity|relation)_memory_module\.reading_module\._(inverse|norm)_memory_weights\.(\w+)\.weight$")
CONCAT = re.compile(r"^memory_read_linear_weights\.(\w+)\.(weight|bias)$")
SLOTS = re.compile(r"^(entity|relation)_memory_module\.memory_module\._memory_matrix\.weight$")
MODES = {"inverse": "inverse", "norm": "normal"}


def our_name(name: str, pairs: dict[str, str]) -> str | None:
    """Our name of a reference's tensor; None where neither reference has such a tensor."""
    module, _, leaf = name.rpartition(".")
    if name.startswith("bert."):
        return "encoder.transformer." + name.removeprefix("bert.")
    if module in pairs:
        return f"{pairs[module]}.{leaf}"
    if match := READ.match(name):
        return f"reads.{match[3]}.reads.{MODES[match[2]]}.{match[1]}.key.weight"
    if match := CONCAT.match(name):
        return f"reads.{match[1]}.combine.normal.concat.{match[2]}"
    if match := SLOTS.match(name):
        return f"memories.{match[1]}.slots"
    return None


def rename(weights: Weights) -> Weights:
    """A reference's weights under our names; unknown names are an error that lists them."""
    unique = drop_aliases(weights)
    memory, pairs = is_memory(unique), name_pairs(unique)
    renamed: Weights = {}
    unknown = []
    for name, tensor in unique.items():
        if memory and DEAD.match(name):
            continue
        ours = our_name(name, pairs)
        if ours is None:
            unknown.append(name)
        else:
            renamed[ours] = tensor
    if unknown:
        raise UserError(
            f"it holds {len(unknown)} tensors that neither JEREX nor the memory model has, first "
            f"{unknown[0]}: give a checkpoint of one of the two\n" + "\n".join(unknown)
        )
    return renamed
