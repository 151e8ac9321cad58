"""Small documents, encoders and models, made on the spot: what tests of the model train and decode."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch

from core.config.presets import build, merge, to_yaml
from core.config.schema import RunConfig
from core.data.documents import Annotation, Document, Entity, LabelSet, Relation
from core.data.formats.docred import write_docred
from core.features.batches import TrainingBatch, collate
from core.features.candidates import draw_sample
from core.features.prepare import PreparedData
from core.features.wordpieces import EncodedDocument, WordPieces, learn_wordpieces
from core.model.decoder import Decoder, DecoderSettings
from core.model.joint_model import JointModel
from core.records.record import CONFIG
from core.run.execute import build_fresh_model

# Tensors of a few hundred numbers: threads would only wait for one another.
torch.set_num_threads(1)

LABELS = LabelSet(entity_types=("PER", "ORG", "LOC"), relation_types=("works_for", "based_in", "born_in"))
TYPE_NAMES = {"entity": {"PER": "person"}, "relation": {"works_for": "employer / 100 %"}}
SYSTEMS = ("jerex-grc", "jerex-mrc", "memory-grc", "memory-mrc")
FIRST = ("Ada", "Alan", "Grace", "Kurt", "Emmy", "Paul")
LAST = ("Byron", "Turing", "Hopper", "Noether")
FIRMS = ("Acme", "Initech", "Globex")
PLACES = ("Paris", "Oslo", "Lima", "Kyoto", "Accra")
TINY: dict[str, Any] = {
    "tracking": {"wandb": "disabled"},
    "encoder": {
        "source": "scratch",
        "positions": 64,
        "scratch": {"width": 16, "layers": 1, "heads": 2, "intermediate": 16, "vocabulary": 200},
    },
    "model": {
        "meta_width": 4,
        "width_table": 6,
        "edit_distance_table": 12,
        "token_distance_table": 20,
        "sentence_distance_table": 4,
    },
    "samples": {"max_span_tokens": 3, "neg_mentions": 12, "neg_corefs": 8, "neg_relations": 6},
    "training": {"lr": 1e-3, "lr_warmup": 0.0},
}


def document(number: int, *, extra: int = 0) -> Document:
    """A short text on a person, a firm and two places; `extra` sentences without mentions make it longer."""
    person = (FIRST[number % len(FIRST)], LAST[number % len(LAST)])
    firm, place = FIRMS[number % len(FIRMS)], PLACES[number % len(PLACES)]
    birthplace = PLACES[(number + 2) % len(PLACES)]
    sentences = [[*person, "works", "for", firm, "in", place, "."], [person[1], "was", "born", "in", birthplace, "."]]
    sentences += [["It", "rained", "all", "day", "."]] * extra
    bounds, start = [], 0
    for sentence in sentences:
        bounds.append((start, start + len(sentence)))
        start += len(sentence)
    entities = [
        Entity(((0, 2), (8, 9)), "PER"),
        Entity(((4, 5),), "ORG"),
        Entity(((6, 7),), "LOC"),
        Entity(((12, 13),), "LOC"),
    ]
    relations = [Relation(0, 1, "works_for"), Relation(1, 2, "based_in"), Relation(0, 3, "born_in")]
    return Document(
        id=f"tiny {number}",
        title=f"tiny {number}",
        tokens=tuple(token for sentence in sentences for token in sentence),
        sentences=tuple(bounds),
        gold=Annotation.from_entities(entities, relations),
    )


@cache
def wordpieces() -> WordPieces:
    """Word pieces learned from the small documents; long words stay in several pieces."""
    return learn_wordpieces([document(number, extra=1) for number in range(8)], size=90)


def encoded(*documents: Document) -> list[EncodedDocument]:
    return [wordpieces().encode(one) for one in documents]


def tiny_config(preset: str = "jerex-grc", row: Mapping[str, Any] | None = None) -> RunConfig:
    """The config of a preset with everything small, and some settings on top."""
    return build(preset, row=merge(TINY, row or {}))


def write_corpus(path: Path, *, count: int) -> Path:
    """A DocRED file of the first small documents."""
    write_docred([document(number) for number in range(count)], path)
    return path


def write_types(path: Path) -> Path:
    """A types file of the small documents, in which some types have the readable names `TYPE_NAMES`."""
    kinds = {"entity": ("entities", LABELS.entity_types), "relation": ("relations", LABELS.relation_types)}
    named = {
        key: {name: {"verbose": TYPE_NAMES[kind].get(name, name)} for name in types}
        for kind, (key, types) in kinds.items()
    }
    path.write_text(json.dumps(named))
    return path


def write_run(folder: Path, corpus: Path, preset: str = "memory-mrc", **row: Any) -> RunConfig:
    """A run folder that holds only its config: a corpus that trains, validates and tests, on one CPU thread."""
    settings = {
        "data": {name: str(corpus) for name in ("train", "validation", "test")},
        "training": {"epochs": 2, "batch_size": 2, "lr": 1e-3, "lr_warmup": 0.1},
        "runtime": {"device": "cpu", "threads": 1, "log_every": 1},
    }
    config = tiny_config(preset, merge(settings, row))
    folder.mkdir(parents=True)
    (folder / CONFIG).write_text(to_yaml(config))
    return config


def tiny_model(config: RunConfig, *, seed: int = 0, scale: float = 1.0) -> JointModel:
    """A fresh model of a config, in evaluation mode; `scale` enlarges its head weights, so that decisions differ."""
    data = PreparedData({"train": encoded(*map(document, range(4)))}, LABELS, wordpieces(), {})
    model = build_fresh_model(config.model_copy(update={"seed": seed}), data)
    if scale != 1.0:
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if not name.startswith("encoder."):
                    parameter.mul_(scale)
    return model.eval()


def tiny_batch(config: RunConfig, documents: Sequence[EncodedDocument], *, epoch: int = 0) -> TrainingBatch:
    """The training batch of some documents."""
    samples = [draw_sample(one, config.samples, LABELS, seed=config.seed, epoch=epoch) for one in documents]
    return collate(samples, padding=wordpieces().padding, multi_instance=config.model.relation_head == "mrc")


def tiny_decoder(model: JointModel, config: RunConfig) -> Decoder:
    return Decoder(model, wordpieces(), LABELS, DecoderSettings.from_config(config))


def dead_process() -> int:
    """The id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid
