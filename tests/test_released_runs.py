"""Runs that the first release computed (commit ec1eba4; checkpoints and predictions left out) are read as it read them.

`tests/released` holds a study of two rows over two seeds on a part of the embedded corpus, and the tables that the
release made of it.
"""

import json
import shutil
from pathlib import Path

import msgspec
import pandas as pd
import pytest

import engram
from core.config.presets import from_yaml
from core.config.schema import RunConfig
from core.config.signature import run_id, signature
from core.data import synthetic
from core.data.datasets import DATA_FILES
from core.records.history import last_step, read_history
from core.records.record import read_record
from core.scoring.metrics import TASKS, DocumentCounts, score

RELEASED = Path(__file__).with_name("released")
RUNS = sorted(path.parent for path in RELEASED.glob("*/s*/record.json"))
DOCUMENTS = {"train": 80, "validation": 6, "test": 8}


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files that the release trained on, where its configs name them."""
    for name, content in synthetic.files().items():
        documents = json.loads(content)
        (tmp_path / f"{name}.json").write_text(
            json.dumps(documents[: DOCUMENTS[name]] if name in DOCUMENTS else documents)
        )
    monkeypatch.chdir(tmp_path)


def with_data_here(config: RunConfig) -> RunConfig:
    """The config with its files in this folder, wherever the release had them."""
    files = {name: Path(path).name for name in DATA_FILES if (path := getattr(config.data, name)) is not None}
    return config.model_copy(update={"data": config.data.model_copy(update=files)})


@pytest.mark.parametrize("folder", RUNS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_config_record_history_and_counts_agree(folder: Path, corpus: None) -> None:
    config, record = with_data_here(from_yaml(folder / "config.yaml")), read_record(folder)
    assert record is not None
    assert (signature(config), f"s{config.seed}") == (folder.parent.name, folder.name)
    assert record.run_id == run_id(config)
    assert record.config == json.loads((folder / "record.json").read_bytes())["config"]
    # What later releases added is not there.
    later = {"memory_use": None, "type_names": {}, "overlaps": [], "url": None}
    assert msgspec.to_builtins(record) == json.loads((folder / "record.json").read_bytes()) | later
    history = read_history(folder / "history.jsonl")
    assert last_step(folder / "history.jsonl") == record.steps == 160
    assert sum("validation/mention/f1" in row for row in history) == 8
    counts = msgspec.json.decode((folder / "documents.test.json").read_bytes(), type=list[DocumentCounts])
    again = msgspec.to_builtins(score(counts))
    for task in TASKS:
        assert again[task] == pytest.approx(record.metrics["test"][task])


def test_the_report_of_a_released_study_is_the_same_to_the_digit(tmp_path: Path, corpus: None) -> None:
    runs = tmp_path / "runs"
    shutil.copytree(RELEASED, runs)
    study = runs / "studies" / "small@quick"
    assert engram.main(["report", str(runs / "small.yaml"), "--profile", "quick", "--runs", str(runs)]) == 0
    for name in ("table", "comparisons"):
        released, now = (pd.read_csv(folder / f"{name}.csv") for folder in (study, study / "report"))
        # Later releases add columns.
        pd.testing.assert_frame_equal(now[released.columns.to_list()], released)


def test_a_released_study_is_finished(tmp_path: Path, corpus: None, capsys: pytest.CaptureFixture[str]) -> None:
    runs = tmp_path / "runs"
    shutil.copytree(RELEASED, runs)
    flags = ["--data.name", "none", "--data.train", "train.json", "--data.validation", "validation.json"]
    flags += ["--data.test", "test.json", "--data.types", "types.json", "--training.epochs", "8"]
    flags += ["--training.batch-size", "4", "--training.lr", "3e-3"]  # the release's quick
    flags += ["--runtime.log-every", "40", "--tracking.wandb", "disabled", "--seeds", "2", "--runs", str(runs)]
    assert engram.main(["study", "plan", str(runs / "small.yaml"), "--profile", "quick", *flags]) == 0
    assert "4 finished" in capsys.readouterr().out
