"""Checkpoint folders that a disk or an editor has damaged: one line that names the file, before any memory is taken."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import engram
from core.config.presets import to_yaml
from core.records.record import BEST, CONFIG
from core.training.checkpoints import (
    ARCHITECTURE,
    LABELS,
    STATE,
    TOKENIZER,
    WEIGHTS,
    ModelState,
    TrainedModel,
    save_model,
)
from tests.tiny import LABELS as TINY_LABELS
from tests.tiny import tiny_config, tiny_model, wordpieces


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with a model, drawn and never trained."""
    folder = tmp_path_factory.mktemp("run")
    config = tiny_config("memory-mrc", {})
    model = tiny_model(config)
    (folder / BEST).parent.mkdir()
    save_model(folder / BEST, TrainedModel(model, wordpieces(), TINY_LABELS, ModelState(epoch=0, step=0, reading=1.0)))
    (folder / CONFIG).write_text(to_yaml(config))
    return folder


@pytest.fixture
def best(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The checkpoint of a copy of that run, `run` in the working folder, next to a text to annotate."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(saved, "run")
    Path("text.txt").write_text("Ada works for Acme in Oslo.\n")
    return Path("run", BEST)


def predict(capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """The exit code and the first line of an annotation of the text by the run."""
    capsys.readouterr()
    code = engram.main(["predict", "run", "--input", "text.txt", "--output", "out.jsonl", "--anew"])
    return code, capsys.readouterr().err.split("\n")[0]


def test_the_undamaged_run_annotates(best: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert predict(capsys)[0] == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_size": "16"}, "hidden_size"),
        ({"hidden_size": None}, "hidden_size"),
        ({"hidden_size": 10**12}, "hidden_size"),
        ({"num_attention_heads": 3}, "no multiple of num_attention_heads (3)"),
        ({"num_hidden_layers": 10**9}, "num_hidden_layers"),
        ({"vocab_size": 2**24}, "word_embeddings.weight is"),
        ({"max_position_embeddings": 2**24}, "position_embeddings.weight is"),
        ({"intermediate_size": 2**24}, "intermediate.dense.weight is"),
        ({"model_type": None}, "model_type"),
        ({"model_type": "t5"}, "an encoder of the family 't5' is not known to work"),
        ({"hidden_act": "swoosh"}, "swoosh"),
        ({"layer_norm_eps": "small"}, "layer_norm_eps of its encoder is 'small'"),
        ({"pad_token_id": 10**6}, "encoder"),
    ],
)
def test_an_architecture_that_cannot_be_is_refused_before_it_is_built(
    best: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], message: str
) -> None:
    path = best / ARCHITECTURE
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    code, line = predict(capsys)
    assert code == 2
    assert line.startswith(f"engram: {best}")
    assert message in line


def test_an_architecture_without_its_family_is_refused(best: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = json.loads((best / ARCHITECTURE).read_text())
    del content["model_type"]
    (best / ARCHITECTURE).write_text(json.dumps(content))
    assert predict(capsys)[1].startswith(f"engram: {best / ARCHITECTURE}: Object missing required field model_type")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (ARCHITECTURE, "[1]"),
        (ARCHITECTURE, "[" * 100_000),
        (LABELS, "{}"),
        (LABELS, '{"entity_types": [], "relation_types": []}'),
        (STATE, '{"epoch": 0, "step": 0, "reading": 1e300}'),
        (STATE, '{"epoch": 0, "epoch": 1, "step": 0, "reading": 1}'),
        (STATE, None),
        (WEIGHTS, "weights"),
        (WEIGHTS, None),
        (f"{TOKENIZER}/tokenizer.json", "{}"),
        (f"{TOKENIZER}/tokenizer.json", "nothing"),
    ],
)
def test_a_damaged_file_of_a_checkpoint_is_named(
    best: Path, capsys: pytest.CaptureFixture[str], name: str, content: str | None
) -> None:
    if content is None:
        (best / name).unlink()
    else:
        (best / name).write_text(content)
    code, line = predict(capsys)
    assert code == 2
    assert str(best / name).removesuffix("/tokenizer.json") in line


def test_a_tokenizer_with_pieces_that_the_encoder_lacks_is_refused(
    best: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = best / TOKENIZER / "tokenizer.json"
    content = json.loads(path.read_text())
    piece = next(iter(content["model"]["vocab"]))
    content["model"]["vocab"][piece] = 10**6
    path.write_text(json.dumps(content))
    code, line = predict(capsys)
    assert code == 2
    assert "it has 1000001 word pieces, the encoder only" in line
