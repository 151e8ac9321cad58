"""Inputs of every command: small whole files of each kind that any of them reads, made in one folder."""

import json
import platform
import shutil
from pathlib import Path
from typing import Any

import msgspec
import torch
import yaml

from core.config.presets import build
from core.data.documents import Document
from core.data.formats.docred import write_docred
from core.data.formats.predictions import write_predictions
from core.records.memory_attention import DocumentAttention, ReadAttention, attention_path, write_attention
from core.records.record import read_record, write_record
from core.records.timings import StepCosts
from core.run.execute import run
from studies.cost_calibration import Calibration, find_setup, find_system, save_calibrations
from tests.core.checkpoint_import.test_convert import LABELS, random_weights
from tests.core.checkpoint_import.test_convert import write as write_weights
from tests.reports.memory_use_records import make_memory_use
from tests.tiny import document, wordpieces, write_run, write_types

RELEASED = Path(__file__).parents[1] / "released"
PUBTATOR = (
    "1|t|Aspirin helps Ada.\n1|a|It was made in Oslo. Ada liked it.\n1\t0\t7\tAspirin\tChemical\tD1\n"
    "1\t14\t17\tAda\tDisease\tD2\n1\t40\t43\tAda\tDisease\tD2\n1\tCID\tD1\tD2\n\n"
    "2|t|Lithium.\n2|a|Nothing else.\n2\t0\t7\tLithium\tChemical\tD3|D4\n\n3|t|Nothing.\n3|a|At all.\n"
)


def make_inputs(folder: Path) -> None:
    """Write every file that a mutation changes, in the folder where `tests.fuzz.targets` names it."""
    folder.mkdir(parents=True)
    documents = [document(number) for number in range(3)]
    write_docred(documents, folder / "docred.json")
    write_types(folder / "types.json")
    (folder / "pubtator.txt").write_text(PUBTATOR)
    (folder / "text.txt").write_text("Ada Byron works for Acme in Paris.\n\nShe left. \n\nAlan Turing was born.\n")
    pairs = [(one, one.gold) for one in documents if one.gold is not None]
    write_predictions(pairs, folder / "predictions.jsonl")
    write_predictions(pairs, folder / "copy.jsonl")
    (folder / "jerex.json").write_text(json.dumps([as_jerex(one) for one in documents]))
    data = {
        "train": str(folder / "docred.json"),
        "test": str(folder / "docred.json"),
        "types": str(folder / "types.json"),
    }
    settings = {"data": data, "training": {"epochs": 2, "lr": 0.001}, "memory": {"slot_width": 32}}
    (folder / "settings.yaml").write_text(yaml.safe_dump(settings))
    make_studies(folder)
    shutil.copytree(RELEASED, folder / "runs")
    for counts in (folder / "runs").glob("*/s*/documents.test.json"):
        shutil.copy(folder / "predictions.jsonl", counts.with_name("predictions.test.jsonl"))
        store_memory_use(counts.parent, documents[0])
    costs = StepCosts(4, 0.5, 0.1, 2.0, {"train": 3, "validation": 3}, 300.0, 1_000)
    files = {"name": None, **dict.fromkeys(("train", "test"), str(folder / "docred.json"))}
    config = build("jerex-grc", profile="quick", row={"data": files})
    measured = Calibration(find_setup(config), find_system(config), "plain", platform.node(), costs)
    save_calibrations([measured], folder / "runs")
    make_model(folder / "model", folder)
    make_checkpoint(folder / "import")


def store_memory_use(run_folder: Path, one: Document) -> None:
    """Attention and knock-outs of a run that reads; nothing for one without memory."""
    record = read_record(run_folder)
    assert record is not None
    if record.config["memory"] is None:
        return
    use = make_memory_use({"reading-off": -2.0, "mean-read": -1.0})
    write_record(run_folder, msgspec.structs.replace(record, memory_use=use))
    for name in use.knock_outs:
        shutil.copy(run_folder / "documents.test.json", run_folder / f"documents.test.{name}.json")
    assert one.gold is not None
    spans = tuple(span for entity in one.gold.entities for span in entity.mentions)
    weights = tuple((0.5,) * len(spans) for _ in range(2))
    read = ReadAttention("entity", "mentions", "normal", ("PER", "LOC"), weights)
    shown = DocumentAttention(
        one.id, one.title, one.tokens, one.sentences, spans, ("PER",) * len(spans), 40, "written", 1.0, (read,)
    )
    write_attention(attention_path(run_folder, "test"), [shown])


def as_jerex(one: Document) -> dict[str, Any]:
    """A document with its gold as JEREX's joint evaluator stores predictions."""
    gold = one.gold
    assert gold is not None
    mentions = sorted({span for entity in gold.entities for span in entity.mentions})
    return {
        "tokens": list(one.tokens),
        "mentions": [list(span) for span in mentions],
        "clusters": [[mentions.index(span) for span in entity.mentions] for entity in gold.entities],
        "entities": [{"cluster": number, "type": entity.type} for number, entity in enumerate(gold.entities)],
        "relations": [{"head": one.head, "tail": one.tail, "type": one.type} for one in gold.relations],
    }


def make_studies(folder: Path) -> None:
    """A study of rows, of which one is of prediction files, one of axes, and one that is a search."""
    wide = {"preset": "memory-grc", "settings": {"memory": {"slot_width": 32}}, "title": "a wide one", "group": "x"}
    theirs = {"predictions": ["predictions.jsonl", "jerex.json"], "gold": "docred.json"}
    study: dict[str, Any] = {
        "question": "Does it help?",
        "baseline": "plain",
        "seeds": [0, 1],
        "metric": "relation",
        "varies": ["memory"],
        "rows": {"plain": {"preset": "jerex-grc"}, "wide": wide, "theirs": theirs},
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    axes: dict[str, Any] = {
        "question": "Where is it best?",
        "baseline": "slot-width=32+lr=0.1",
        "base": {"preset": "memory-grc"},
        "axes": [
            {"name": "slot-width", "values": [32, 64]},
            {"name": "lr", "path": "training.lr", "values": [0.1, 0.2]},
        ],
    }
    (folder / "axes.yaml").write_text(yaml.safe_dump(axes, sort_keys=False))
    search = axes | {"baseline": "base", "search": {"trials": 3, "rungs": [1], "seeds": [100], "startup": 2}}
    (folder / "search.yaml").write_text(yaml.safe_dump(search, sort_keys=False))


def make_model(run_folder: Path, folder: Path) -> None:
    """A run with its checkpoint, as `engram train` leaves it."""
    data = {name: str(folder / "docred.json") for name in ("train", "validation", "test")}
    data["types"] = str(folder / "types.json")
    write_run(run_folder, folder / "docred.json", training={"epochs": 1}, data=data)
    assert run(run_folder).status == "finished"


def make_checkpoint(folder: Path) -> None:
    """What `engram import` reads: weights in both forms, the reference's settings, types, and a tokenizer."""
    folder.mkdir()
    weights = random_weights(multi_instance=True, memory=True, width=128)
    write_weights(folder / "model.safetensors", weights)
    torch.save({"state_dict": weights, "epoch": 1}, folder / "model.ckpt")
    types = {
        "entities": {name: {"short": name, "verbose": name} for name in LABELS.entity_types},
        "relations": {name: {"short": name, "verbose": name} for name in LABELS.relation_types},
    }
    (folder / "types.json").write_text(json.dumps(types))
    vocabulary = wordpieces().tokenizer.get_vocab()
    (folder / "vocab.txt").write_text("\n".join(sorted(vocabulary, key=lambda piece: vocabulary[piece])))
    wordpieces().tokenizer.save_pretrained(folder / "tokenizer")
    (folder / "config.json").write_text(json.dumps({"hparams": {"mention_threshold": 0.5}, "encoder": {}}))
