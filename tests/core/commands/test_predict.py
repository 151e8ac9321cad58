"""`engram predict` as a user meets it: order, bad documents, interruptions at any moment, pages, pipes."""

import errno
import io
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import core.commands.predict
import core.features.wordpieces
import core.prediction.windows
from core.config.presets import to_yaml
from core.config.schema import RunConfig
from core.data.documents import Annotation
from core.data.formats.docred import document_to_docred
from core.data.formats.predictions import encode_prediction, read_predictions
from core.data.issues import Issues
from core.files import lock_folder
from core.model.joint_model import JointModel
from core.prediction.output import LINES, STATE, Output
from core.prediction.windows import Window, windows
from core.records.record import BEST, CONFIG
from core.training.checkpoints import ModelState, TrainedModel, save_model
from engram import main
from tests.tiny import (
    LABELS,
    document,
    tiny_config,
    tiny_decoder,
    tiny_model,
    wordpieces,
)

ROOT = Path(__file__).resolve().parents[3]
COUNT = 23
WINDOW = 4
DOCUMENTS = [document(number, extra=number * 7 % 5) for number in range(COUNT)]
IDS = [doc.id for doc in DOCUMENTS]
EMPTY = {"title": "empty", "sents": [[]]}


def run_parts() -> tuple[RunConfig, JointModel]:
    """A model that finds a few mentions, clusters and relations in most documents."""
    config = tiny_config("memory-grc", {"model": {"mention_threshold": 0.9, "relation_threshold": 0.7}})
    return config, tiny_model(config, seed=3, scale=40.0)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder as a finished training leaves it, as far as prediction reads it."""
    folder = tmp_path_factory.mktemp("run")
    config, model = run_parts()
    save_model(folder / BEST, TrainedModel(model, wordpieces(), LABELS, ModelState(epoch=1, step=1, reading=1.0)))
    (folder / CONFIG).write_text(to_yaml(config))
    return folder


@pytest.fixture(autouse=True)
def small_windows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(core.prediction.windows, "windows", partial(windows, documents=WINDOW, pieces=120))


def write(path: Path, items: list[Any]) -> Path:
    path.write_text(json.dumps(items))
    return path


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return write(tmp_path / "corpus.json", [document_to_docred(doc) for doc in DOCUMENTS])


@pytest.fixture
def predict(run: Path, corpus: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Runs the command; its code and what it stderr."""

    def call(*flags: object, input: object = corpus, output: object = "out.jsonl") -> tuple[int, str]:
        arguments = ["predict", run, "--input", input, "--output", output, "--threads", 1, "--device", "cpu", *flags]
        code = main([str(argument) for argument in arguments])
        return code, capfd.readouterr().err

    return call


Predict = Callable[..., tuple[int, str]]


def ids(path: Path | str) -> list[str]:
    return [json.loads(line)["id"] for line in Path(path).read_bytes().splitlines()]


def shown_ids(page: str) -> list[str]:
    """The ids of the documents on a page."""
    data = re.search('id="viewer-data">(.*)</script>', Path(page).read_text())
    assert data is not None
    return list(json.loads(data[1])["ids"])


def skipped(path: Path | str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_bytes().splitlines()]


def test_lines_come_in_the_order_of_the_input_and_say_what_the_decoder_says(predict: Predict, run: Path) -> None:
    code, stderr = predict()
    assert code == 0
    predicted = read_predictions("out.jsonl")
    assert [doc.document.tokens for doc in predicted] == [doc.tokens for doc in DOCUMENTS]
    config, model = run_parts()
    decoder = tiny_decoder(model, config)
    encoded = [wordpieces().encode(doc) for doc in DOCUMENTS]
    expected = [doc.annotation for doc in decoder.decode(encoded, reading=1.0, issues=Issues())]
    assert [doc.annotation.entities for doc in predicted] == [doc.entities for doc in expected]
    assert len({doc.entities for doc in expected}) > 5
    entities = sum(len(doc.entities) for doc in expected)
    relations = sum(len(doc.relations) for doc in expected)
    assert stderr.splitlines()[-1] == f"{COUNT} documents: {entities} entities, {relations} relations"
    assert sorted(os.listdir()) == ["corpus.json", "out.jsonl", "out.jsonl.settings.json"]
    # Every mention, entity and relation has the score that the decoder gave it.
    for doc, made in zip(predicted, expected, strict=True):
        assert doc.annotation.mention_scores == made.mention_scores
        # Other documents in the batch change the last digits of a softmax.
        assert doc.annotation.entity_scores == pytest.approx(made.entity_scores, abs=1e-6)
        assert len(made.mention_scores) == len(made.mentions)
        assert len(made.entity_scores) == len(made.entities)


def read_settings(output: str = "out.jsonl") -> dict[str, Any]:
    settings: dict[str, Any] = json.loads(Path(f"{output}.settings.json").read_bytes())
    return settings


def test_thresholds_of_the_command_line_are_used_said_and_recorded(predict: Predict, run: Path) -> None:
    code, stderr = predict()
    assert code == 0
    assert "threshold" not in stderr
    own = read_settings()
    assert own["run"] == str(run)
    assert own["overridden"] == []
    assert own["settings"]["mention_threshold"] == 0.9
    flags = ["--mention-threshold", 0.2, "--relation-threshold", 0.1, "--coref-threshold", 0.05]
    code, stderr = predict(*flags, output="low.jsonl")
    assert code == 0
    names = "mention threshold 0.2 (0.9), coref threshold 0.05 (0.85), relation threshold 0.1 (0.7)"
    assert f"not the thresholds of the run (in brackets): {names}" in stderr
    low = read_settings("low.jsonl")
    assert low["overridden"] == ["mention_threshold", "coref_threshold", "relation_threshold"]
    changed = {name for name, value in low["settings"].items() if value != own["settings"][name]}
    assert changed == set(low["overridden"])
    assert low["checkpoint"] == own["checkpoint"]
    few, many = (
        [len(getattr(doc.annotation, kind)) for doc in read_predictions(output) for kind in ("mentions", "relations")]
        for output in ("out.jsonl", "low.jsonl")
    )
    assert sum(many) > sum(few)
    assert all(more >= less for more, less in zip(many[::2], few[::2], strict=True))


@pytest.mark.parametrize("value", ["0", "1", "-0.5", "1.5", "nan"])
@pytest.mark.parametrize("kind", ["mention", "coref", "relation"])
def test_a_threshold_that_is_none_is_one_line(predict: Predict, kind: str, value: str) -> None:
    code, stderr = predict(f"--{kind}-threshold={value}")
    assert code == 2
    limit = "a threshold lies above 0 and below 1: give, for instance, 0.5"
    assert stderr == f"engram: --{kind}-threshold is {value}, but {limit}\n"
    assert os.listdir() == ["corpus.json"]


def test_a_prediction_with_other_thresholds_is_not_resumed(predict: Predict, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt(predict, monkeypatch)
    code, stderr = predict("--relation-threshold", "0.3")
    assert code == 2
    assert "predicted with another setting of the run" in stderr
    assert not Path("out.jsonl.settings.json").exists()
    assert predict()[0] == 0


def test_it_says_once_that_no_score_reached_a_threshold_also_when_resumed(
    predict: Predict, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lines(stderr: str) -> list[str]:
        return [line for line in stderr.splitlines() if line.startswith("highest ")]

    _, stderr = predict("--mention-threshold", "0.9999999")
    without = sum(not doc.annotation.mentions for doc in read_predictions("out.jsonl"))
    assert without
    (line,) = [line for line in lines(stderr) if "mention" in line]
    assert f"no mention in {without} of {COUNT} documents (--mention-threshold sets another)" in line
    _, stderr = predict("--relation-threshold", "0.99999")
    pairs = [doc.annotation for doc in read_predictions("out.jsonl") if len(doc.annotation.entities) > 1]
    without = sum(not annotation.relations for annotation in pairs)
    assert without
    (whole,) = [line for line in lines(stderr) if "relation" in line]
    assert f"no relation in {without} of {len(pairs)} documents with two entities or more" in whole
    with monkeypatch.context() as patch:
        add, calls = Output.add, []

        def stopping(*arguments: Any) -> None:
            calls.append(1)
            if len(calls) > 2:
                raise KeyboardInterrupt
            add(*arguments)

        patch.setattr(Output, "add", stopping)
        assert predict("--relation-threshold", "0.99999")[0] == 130
    _, stderr = predict("--relation-threshold", "0.99999")
    assert "resuming after" in stderr
    assert [line for line in lines(stderr) if "relation" in line] == [whole]


@pytest.mark.parametrize("stop", range(1, 7))
def test_a_prediction_that_dies_while_it_writes_resumes_to_the_same_bytes(
    predict: Predict, stop: int, monkeypatch: pytest.MonkeyPatch, corpus: Path
) -> None:
    items = [document_to_docred(doc) for doc in DOCUMENTS]
    items[3:3] = [EMPTY, {"title": "tiny 0", "sents": [["Ada", "Ada"]]}]
    items[17:17] = [{"title": "tiny 1", "sents": [["Ada"] * 100]}, {"title": "tiny 1", "sents": [["Ada"]]}]
    write(corpus, items)
    assert predict(output="whole.jsonl")[0] == 0
    whole = [Path(f"whole.jsonl{end}").read_bytes() for end in ("", ".skipped.jsonl")]
    add, calls = Output.add, []

    def torn(self: Output, lines: bytes, skipped: bytes, done: Any) -> None:
        calls.append(1)
        if len(calls) == stop:
            # What a killed process leaves: lines that no state speaks of, the last one cut off.
            for file in self._files:
                file.write(lines[: len(lines) // 2 + 1])
                file.flush()
            raise MemoryError
        add(self, lines, skipped, done)

    monkeypatch.setattr(Output, "add", torn)
    with pytest.raises(MemoryError):
        predict()
    assert not Path("out.jsonl").exists()
    monkeypatch.setattr(Output, "add", add)
    code, stderr = predict()
    assert code == 0
    assert ("resuming after" in stderr) == (stop > 1)
    assert [Path(f"out.jsonl{end}").read_bytes() for end in ("", ".skipped.jsonl")] == whole
    assert stderr.splitlines()[-1].startswith(f"{COUNT + 2} documents: ")
    assert not Path("out.jsonl.part").exists()


SMALL_WINDOWS = f"""
import sys; from functools import partial; import core.prediction.windows, engram
core.prediction.windows.windows = partial(core.prediction.windows.windows, documents={WINDOW}, pieces=120)
sys.exit(engram.main(sys.argv[1:]))
"""


def test_a_killed_process_resumes_to_the_same_bytes(predict: Predict, run: Path, corpus: Path) -> None:
    items = json.loads(corpus.read_text())
    write(corpus, [*items, EMPTY] * 3)
    flags = ["--input", str(corpus), "--output", "out.jsonl", "--threads", "1", "--device", "cpu"]
    process = subprocess.Popen(
        [sys.executable, "-c", SMALL_WINDOWS, "predict", str(run), *flags],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.DEVNULL,
    )
    state, count = Path("out.jsonl.part") / STATE, random.Random(time.time_ns()).randrange(1, 2 * COUNT)
    while process.poll() is None and (not state.exists() or documents_in(state) < count):
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert state.exists()
    assert not Path("out.jsonl").exists()
    code, stderr = predict()
    assert code == 0
    assert "resuming after" in stderr
    assert predict(output="whole.jsonl")[0] == 0
    for end in ("", ".skipped.jsonl"):
        assert Path(f"out.jsonl{end}").read_bytes() == Path(f"whole.jsonl{end}").read_bytes()


def documents_in(state: Path) -> int:
    documents: int = json.loads(state.read_bytes())["done"]["documents"]
    return documents


def test_a_first_signal_is_obeyed_once_its_window_is_written(predict: Predict, monkeypatch: pytest.MonkeyPatch) -> None:
    decode = core.prediction.windows.Decoder.decode
    calls: list[int] = []

    def interrupted(*arguments: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return decode(*arguments, **named)

    monkeypatch.setattr(core.prediction.windows.Decoder, "decode", interrupted)
    code, stderr = predict()
    assert code == 130
    assert "stopping once these documents are written" in stderr
    assert f"{2 * WINDOW} documents are kept in out.jsonl.part; the same command resumes there" in stderr
    assert ids(Path("out.jsonl.part") / LINES) == IDS[: 2 * WINDOW]
    code, stderr = predict()
    assert code == 0
    assert f"resuming after {2 * WINDOW} documents" in stderr
    assert ids("out.jsonl") == IDS


def interrupt(predict: Predict, monkeypatch: pytest.MonkeyPatch, *, after: int = 2) -> None:
    """Leave a prediction of which some windows are done."""
    with monkeypatch.context() as patch:
        add, calls = Output.add, []

        def stopping(*arguments: Any) -> None:
            calls.append(1)
            if len(calls) > after:
                raise KeyboardInterrupt
            add(*arguments)

        patch.setattr(Output, "add", stopping)
        assert predict()[0] == 130


def test_another_input_or_run_is_refused_until_asked_to_begin_again(
    predict: Predict, corpus: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt(predict, monkeypatch)
    items = json.loads(corpus.read_text())
    before = {path: path.read_bytes() for path in sorted(Path("out.jsonl.part").glob("[!.]*"))}
    longer = write(Path("longer.json"), [*items, items[0]])
    other = Path("changed") / "corpus.json"
    other.parent.mkdir()
    other.write_text(corpus.read_text().replace("Ada", "Eda", 1))
    for input, reason in ((longer, "another input"), (other, "are not those of which 8 documents were predicted")):
        code, stderr = predict(input=input)
        assert code == 2
        assert reason in stderr
        assert "--anew" in stderr
        assert stderr.count("\n") == 1
    config = (run / CONFIG).read_text()
    (run / CONFIG).write_text(config.replace("mention_threshold: 0.9", "mention_threshold: 0.95"))
    code, stderr = predict()
    (run / CONFIG).write_text(config)
    assert code == 2
    assert "predicted with another setting of the run" in stderr
    assert {path: path.read_bytes() for path in before} == before
    code, stderr = predict("--anew", input=longer)
    assert code == 0
    assert "resuming" not in stderr
    assert ids("out.jsonl") == [*IDS, "tiny 0#2"]


def test_a_damaged_folder_is_named_with_the_way_out(predict: Predict, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt(predict, monkeypatch)
    lines = Path("out.jsonl.part") / LINES
    lines.write_bytes(lines.read_bytes()[:-1])
    code, stderr = predict()
    assert code == 2
    assert "is damaged" in stderr
    assert "--anew" in stderr
    lines.with_name(STATE).write_text("{")
    assert predict()[0] == 2
    assert predict("--anew")[0] == 0


def test_a_process_that_died_with_its_output_in_place_leaves_nothing_in_the_way(
    predict: Predict, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt(predict, monkeypatch)
    (Path("out.jsonl.part") / LINES).rename("out.jsonl")
    assert predict()[0] == 0
    assert ids("out.jsonl") == IDS


def test_two_processes_never_write_one_output(predict: Predict) -> None:
    folder = Path("out.jsonl.part")
    folder.mkdir()
    with lock_folder(folder):
        code, stderr = predict()
    assert code == 2
    assert "out.jsonl.part is being computed by process" in stderr


def test_what_cannot_be_predicted_is_told_and_kept_beside_the_output(predict: Predict, corpus: Path) -> None:
    good = [document_to_docred(doc) for doc in DOCUMENTS[:9]]
    long = {"title": "long", "sents": [["Ada", "Turing"]] * 40}
    bad: list[Any] = [EMPTY, long, 7, {"title": "T", "sents": "x"}, {**good[0], "labels": [{"h": 0, "t": 9, "r": "x"}]}]
    items = [*good[:5], *bad, *good[5:], *bad]
    write(corpus, items)
    code, stderr = predict()
    assert code == 0
    assert ids("out.jsonl") == IDS[:9]
    side = skipped("out.jsonl.skipped.jsonl")
    assert [entry["index"] for entry in side] == [5, 6, 7, 8, 9, 14, 15, 16, 17, 18]
    assert [entry["title"] for entry in side[:5]] == ["empty", "long", None, "T", "tiny 0"]
    assert [json.loads(entry["raw"]) for entry in side[:5]] == bad
    assert [entry["id"] for entry in side if entry["id"]] == ["long", "long#2"]
    assert "word pieces, and this run reads 64: cut the document into parts" in side[1]["reason"]
    assert "field labels[0].t is 9" in side[4]["reason"]
    lines = stderr.splitlines()
    assert sum(line.startswith("skipped: corpus.json") or "corpus.json: document" in line for line in lines) == 5
    assert lines[-2] == "10 of 19 documents were skipped: see out.jsonl.skipped.jsonl"
    write(corpus, good)
    assert predict()[0] == 0
    assert not Path("out.jsonl.skipped.jsonl").exists()


def test_a_truncated_file_is_refused(predict: Predict, corpus: Path) -> None:
    raw = corpus.read_bytes()
    corpus.write_bytes(raw[: len(raw) * 2 // 3])
    code, stderr = predict()
    assert code == 2
    assert "the file is truncated" in stderr
    assert os.listdir() == ["corpus.json"]


@pytest.mark.parametrize("many", [1, 3, 30])
def test_a_file_without_a_usable_document_is_bad_input(predict: Predict, corpus: Path, many: int) -> None:
    write(corpus, [EMPTY] * many)
    code, stderr = predict("--html", "out.html")
    assert code == 2
    assert "sents holds 0 tokens" in stderr
    assert (f"None of the {many} documents" in stderr) == (many > 1)
    assert os.listdir() == ["corpus.json"]


@pytest.mark.parametrize("raw", ["[]", "", "  \n", '[{"title": "x", "se'])
def test_an_input_without_documents_is_bad_input(predict: Predict, corpus: Path, raw: str) -> None:
    corpus.write_text(raw)
    code, stderr = predict()
    assert code == 2
    assert "corpus.json: " in stderr
    assert os.listdir() == ["corpus.json"]
    if raw == "[]":
        assert "holds 0 documents" in predict("--format", "docred")[1]


def test_inputs_and_outputs_that_cannot_be_are_named(predict: Predict, tmp_path: Path) -> None:
    for flags, words in (
        ({"input": "corpus.jso"}, "no such file. Did you mean corpus.json?"),
        ({"input": tmp_path}, "is a folder, not a file"),
        ({"output": tmp_path}, "is a folder: give the path of a file"),
        ({"output": "no/out.jsonl"}, "there is no folder no: make it first"),
    ):
        code, stderr = predict(**flags)
        assert (code, words in stderr) == (2, True), stderr
    assert predict("--html-documents", 0)[0] == 2
    assert os.listdir() == ["corpus.json"]


def test_a_pipe_gets_the_same_lines_and_a_page_of_the_first(
    predict: Predict, corpus: Path, run: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert predict("--html", "file.html", "--html-documents", 3)[0] == 0
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(corpus.read_bytes())))
    flags = ["--threads", "1", "--html", "pipe.html", "--html-documents", "3"]
    assert main(["predict", str(run), "--input", "-", "--output", "-", *flags]) == 0
    out, err = capfd.readouterr()
    assert out.encode() == Path("out.jsonl").read_bytes()
    assert f"pipe.html shows the first 3 of {COUNT} documents (--html-documents)" in err
    assert Path("pipe.html").read_bytes() == Path("file.html").read_bytes()
    assert shown_ids("file.html") == IDS[:3]


def test_a_page_survives_an_interruption(predict: Predict, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt(predict, monkeypatch)
    assert predict("--html", "resumed.html")[0] == 0
    assert predict("--html", "whole.html")[0] == 0
    assert Path("resumed.html").read_bytes() == Path("whole.html").read_bytes()
    assert shown_ids("whole.html") == IDS


def test_text_and_prediction_lines_are_read_too(predict: Predict) -> None:
    Path("notes.txt").write_text("Ada Byron works for Acme in Oslo.\n\n" * 9)
    assert predict(input="notes.txt")[0] == 0
    assert ids("out.jsonl") == [f"notes-{number}" for number in range(1, 10)]
    lines = b"".join(encode_prediction(doc, doc.gold or Annotation()) for doc in DOCUMENTS)
    Path("lines.jsonl").write_bytes(lines.replace(b'"tokens":', b'"tokens" ', 1))
    assert predict(input="lines.jsonl")[0] == 0
    assert ids("out.jsonl") == IDS[1:]


def test_no_more_than_a_window_is_read_ahead_or_held(
    predict: Predict, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    ahead: list[int] = []

    def watched(entries: Iterator[Any], encode: Any) -> Iterator[Window]:
        def counting() -> Iterator[Any]:
            for entry in entries:
                read.append(entry.index)
                yield entry

        written = 0
        for window in windows(counting(), encode, documents=WINDOW, pieces=120):
            assert len(window) <= WINDOW
            ahead.append(len(read) - written)
            written += len(window)
            yield window

    monkeypatch.setattr(core.prediction.windows, "windows", watched)
    assert predict()[0] == 0
    assert read == list(range(COUNT))
    assert max(ahead) <= WINDOW
    assert len(ahead) > COUNT // WINDOW


def test_a_full_disk_keeps_what_is_done(predict: Predict, monkeypatch: pytest.MonkeyPatch) -> None:
    fsync, calls = os.fsync, []

    def full(descriptor: int) -> None:
        calls.append(1)
        if len(calls) > 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        code, stderr = predict()
    assert code == 2
    assert "cannot be written (No space left on device)" in stderr
    assert f"make room and give the same command again ({2 * WINDOW} documents are kept in out.jsonl.part)" in stderr
    assert predict()[0] == 0
    assert ids("out.jsonl") == IDS
