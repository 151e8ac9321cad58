"""Files as users and damaged disks leave them: every command answers in one line, or passes over what is harmless."""

import json
import os
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import engram
from core.config.presets import to_yaml
from core.data import stream
from core.data.documents import Annotation
from core.data.formats import read_corpus
from core.data.formats.predictions import write_predictions
from core.data.stream import read_documents
from core.records.record import CONFIG, HISTORY, RECORD, RunRecord, write_record
from core.run.execute import run
from core.scoring.evaluate import match_documents
from tests.tiny import tiny_config, write_corpus, write_run

MENTION = '{"pos": [0, 1], "sent_id": 0, "type": "X", "name": "a"}'
DOCUMENT = '{"title": "A", "sents": [["a", ":", "name", "\\"type\\":"]], "vertexSet": [[%s]], "labels": []}'
PREDICTION = '{"title": "A", "tokens": ["a", ":"], "mentions": [], "entities": [], "relations": []%s}'


def refused(capsys: pytest.CaptureFixture[str], *words: str | Path) -> str:
    """The one line with which a command refuses its input."""
    assert engram.main([str(word) for word in words]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    assert len(lines[0]) < 400
    return lines[0].removeprefix("engram: ")


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.fixture
def gold(tmp_path: Path) -> Path:
    return write(tmp_path / "gold.json", f"[{DOCUMENT % MENTION}]")


@pytest.mark.parametrize("kind", ["a folder", "a pipe", "a device"])
def test_what_is_no_file_is_refused_and_not_waited_for(
    tmp_path: Path, gold: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    path = {"a folder": tmp_path / "folder", "a pipe": tmp_path / "pipe", "a device": Path("/dev/zero")}[kind]
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    folder = tmp_path / "runs" / "aaa" / "s0"
    folder.mkdir(parents=True)
    write(folder / CONFIG, "{}")
    (folder / RECORD).symlink_to(path)
    for words in (
        ("data", "report", path),
        ("data", "report", gold, "--types", path),
        ("score", "--gold", path, "--predictions", gold),
        ("score", "--gold", gold, "--predictions", path),
        ("predict", folder, "--input", path, "--output", tmp_path / "out.jsonl"),
        ("train", "jerex-grc", "--data.train", path, "--runs", tmp_path / "runs"),
        ("train", "jerex-grc", "--config", path),
        ("runs", "show", folder),
    ):
        line = refused(capsys, *words)
        named = folder / RECORD if words[0] == "runs" else path
        assert line.startswith(f"{named}: is {kind}, not a file: "), words
    assert "or - and the documents on stdin" in refused(capsys, "predict", folder, "--input", path, "--output", "out")
    assert engram.main(["runs", "list", "--runs", str(tmp_path / "runs")]) == 0
    assert f"is {kind}, not a file" in capsys.readouterr().out


REPEATED = {
    "in a document": (DOCUMENT % MENTION).replace('"labels"', '"title": "B", "labels"'),
    "in a mention": DOCUMENT % MENTION.replace('"name"', '"pos": [1, 2], "name"'),
    "apart from its colon": DOCUMENT % MENTION.replace('"name"', '"type" : "Y", "name"'),
    "written with escapes": DOCUMENT % MENTION.replace('"name"', '"typ\\u0065": "Y", "name"'),
    "first null": (DOCUMENT % MENTION).replace('"title"', '"title": null, "title"'),
    "in a prediction": PREDICTION % ', "relations": []',
}


@pytest.mark.parametrize("where", REPEATED)
def test_a_key_that_stands_twice_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], where: str) -> None:
    for name, content in (("list.json", f"[{REPEATED[where]}]"), ("lines.jsonl", REPEATED[where] + "\n")):
        path = write(tmp_path / name, content)
        line = refused(capsys, "data", "report", path)
        assert line.startswith(f"{path}: ")
        assert "is there twice in one object: leave one of them out" in line


def test_what_only_looks_like_a_repeated_key_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    known = {"title": None, "tokens": [":", "type", '"title":', "Ä"], "sentences": None, "text": "a : b"}
    entities = [{"mentions": [0], "type": ":", "note": {"type": 1, "mentions": 2}}]
    line = known | {"mentions": [{"start": 0, "end": 1}], "entities": entities, "relations": []}
    for ascii_only in (True, False):
        path = write(tmp_path / "p.jsonl", json.dumps(line, ensure_ascii=ascii_only, separators=(" , ", " : ")))
        assert engram.main(["data", "report", str(path)]) == 0, capsys.readouterr().err


def test_gold_without_a_list_of_relations_gives_the_other_scores(
    tmp_path: Path, gold: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mention = {"start": 0, "end": 1, "score": 0.9}
    relation = {"head": 0, "tail": 0, "type": "R", "score": 0.8}
    line = {"title": "A", "tokens": ["a", ":", "name", '"type":'], "mentions": [mention]}
    line |= {"entities": [{"mentions": [0], "type": "X"}], "relations": [relation]}
    predictions = write(tmp_path / "p.jsonl", json.dumps(line))
    bare = write(tmp_path / "bare.json", f"[{DOCUMENT % MENTION}]".replace(', "labels": []', ""))
    words = ["score", "--gold", str(bare), "--predictions", str(predictions)]
    assert engram.main([*words, "--json"]) == 0
    scores: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert scores["entity"]["f1"] == scores["mention"]["f1"] == 100
    assert scores["relation"] is None
    assert scores["relation_strict"] is None
    note = "relation scores refused: 1 of 1 gold documents have no list of relations (DocRED: the field labels)"
    assert scores["extra"]["notes"] == [note]
    assert not {"ranking", "by_relation_type", "by_sentence_distance"} & scores["extra"].keys()
    assert not [name for part in ("counts", "lenient", "gold_macro") for name in scores["extra"][part] if "rel" in name]
    assert engram.main(words) == 0
    assert note in capsys.readouterr().out
    # An empty list says that there are none: then a predicted one is wrong.
    assert engram.main(["score", "--gold", str(gold), "--predictions", str(predictions), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["extra"]["counts"]["relation"]["fp"] == 1
    assert "no relation scores can be compared" in refused(capsys, "compare", predictions, predictions, "--gold", bare)


def test_a_run_is_not_scored_on_documents_without_a_list_of_relations(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = write_corpus(tmp_path / "corpus.json", count=4)
    bare = [{key: value for key, value in one.items() if key != "labels"} for one in json.loads(corpus.read_bytes())]
    write(tmp_path / "bare.json", json.dumps(bare))
    folder = tmp_path / "aaa" / "s0"
    write_run(folder, corpus, "jerex-grc", data={"train": str(corpus), "test": str(tmp_path / "bare.json")})
    with pytest.raises(Exception, match=r"bare\.json: 4 of 4 gold documents have no list of relations"):
        run(folder)


def test_documents_that_two_splits_share_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus = write_corpus(tmp_path / "corpus.json", count=6)
    documents: list[dict[str, Any]] = json.loads(corpus.read_bytes())
    same_text = documents[0] | {"title": "another title"}
    same_title = documents[1] | {"sents": [*documents[1]["sents"], ["New", "."]]}
    new = documents[2] | {"title": "new", "sents": [*documents[2]["sents"], ["New", "."]]}
    test = write(tmp_path / "test.json", json.dumps([same_text, same_title, new]))
    sentence = "2 of 3 test documents are also train documents (1 by their text, 1 by their title alone)"
    words = ["--data.train", str(corpus), "--data.test", str(test), "--runs", str(tmp_path / "runs")]
    assert engram.main(["study", "plan", "attribution", "--profile", "quick", "--data.name", "none", *words]) == 0
    printed = capsys.readouterr()
    assert sentence in printed.out + printed.err
    folder = tmp_path / "aaa" / "s0"
    write_run(folder, corpus, "jerex-grc", data={"train": str(corpus), "test": str(test)})
    record = run(folder)
    assert [line for line in record.overlaps if line.startswith(sentence)]
    assert f"warning: {sentence}" in capsys.readouterr().err
    assert json.loads((folder / RECORD).read_bytes())["overlaps"] == record.overlaps


DAMAGED = {
    "not UTF-8": b'{"run_id": "\xff"}',
    "nested deeply": b'{"config": ' + b"[" * 100_000,
    "a number": b"3",
    "a list": b"[]",
    "a key is missing": b'{"run_id": "x"}',
    "infinity": b'{"run_id": "x", "status": "finished", "config": {}, "seconds": 1e999}',
    "not a number": b'{"run_id": "x", "status": "finished", "config": {}, "seconds": NaN}',
    "an absurd size": b'{"run_id": "x", "status": "finished", "config": {}, "steps": 100000000000000000000000}',
    "a negative size": b'{"run_id": "x", "status": "finished", "config": {}, "parameters": -1}',
    "a score of another kind": b'{"run_id": "x", "status": "finished", "config": {}, "metrics": {"test": '
    b'{"coref": {"f1": "a"}}}}',
    "a diagnostic of another kind": b'{"run_id": "x", "status": "finished", "config": {}, "metrics": {"test": '
    b'{"extra": {"coreference": 3}}}}',
    "empty": b"",
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_one_damaged_record_is_shown_as_damaged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    for name in ("aaa", "bbb"):
        folder = tmp_path / name / "s0"
        folder.mkdir(parents=True)
        config = tiny_config("jerex-grc")
        write(folder / CONFIG, to_yaml(config))
        write_record(folder, RunRecord(run_id=f"{name}-s0", status="finished", config=config.model_dump(mode="json")))
    path = write(tmp_path / "bbb" / "s0" / RECORD, DAMAGED[damage])
    assert engram.main(["runs", "list", "--runs", str(tmp_path), "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out)
    assert (first["run"], first["status"]) == ("aaa-s0", "finished")
    if damage != "a diagnostic of another kind":  # which no list reads
        assert (second["run"], second["status"]) == ("bbb-s0", "damaged")
        assert second["error"].startswith(f"{path} is damaged: ")
    assert refused(capsys, "runs", "show", path.parent).startswith(f"{path} is damaged: ")
    assert refused(capsys, "compare", "aaa-s0", "bbb-s0", "--runs", tmp_path).startswith(str(tmp_path))


ROWS = {
    "not UTF-8": b'{"kind": "step", "step": 2, "\xff": 1}',
    "a number": b"3",
    "a key is missing": b'{"kind": "step"}',
    "a text for a number": b'{"kind": "step", "step": 2, "loss/total": "x"}',
    "an absurd step": b'{"kind": "step", "step": 1000000000000000000000000}',
    "an absurd score": b'{"kind": "validation", "step": 2, "validation/coref/f1": 1e300}',
    "nested deeply": b"[" * 100_000,
    "thousands of digits": b'{"kind": "step", "step": %s}' % (b"1" * 10_000),
}


@pytest.mark.parametrize("damage", ROWS)
def test_a_history_is_read_up_to_its_damaged_row_which_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    from core.records.history import last_step, read_history

    good = b'{"kind": "step", "step": %d, "loss/total": NaN, "reading": 0.0}\n'
    path = write(tmp_path / HISTORY, good % 1 + ROWS[damage] + b"\n" + good % 3 + b'{"kind": "st')
    assert [row["step"] for row in read_history(path)] == [1]
    line = capsys.readouterr().err
    assert line.startswith(f"{path} is damaged in line 2 (")
    assert line.endswith("2 of its 3 rows are left out\n")
    assert last_step(path) == 1


@pytest.mark.parametrize("digits", [13, 5_000])
def test_an_offset_of_too_many_digits_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], digits: int
) -> None:
    path = write(tmp_path / "x.txt", f"1|t|abc\n1\t0\t{'1' * digits}\tabc\tX\tD1\n")
    line = refused(capsys, "data", "report", path)
    assert line.startswith(f'{path}: document 0 "1", line 2: end is ')
    assert line.endswith("of at most 12 digits: correct the line")


def test_no_message_is_long_or_holds_control_characters(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    title = "\x1b[31m\r" + "long " * 1_000
    mention = {"pos": [5, 6], "sent_id": 0, "type": "X" * 5_000}
    path = write(tmp_path / "g.json", json.dumps([{"title": title, "sents": [["a"]], "vertexSet": [[mention]]}]))
    line = refused(capsys, "data", "report", path)
    assert line.startswith(f"{path}: document 0 ")
    assert line.endswith("give a half-open span with 0 <= start < end <= 1")
    assert line.isprintable()
    write(path, json.dumps([{"title": 3, "sents": [[["b" * 100_000] * 100]]}]))
    assert refused(capsys, "data", "report", path).startswith(f"{path}: document 0: field ")


@pytest.mark.parametrize(
    "content", [b"1|t|a\n" + b"1\t0\t1\ta\tX\tD\n" * 90, b"a\n\n" + b"\n" * 900 + b"b\n", b"words " * 200]
)
def test_a_document_without_an_end_is_not_waited_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.setattr(stream, "DOCUMENT_LIMIT", 500)
    monkeypatch.setattr(stream, "HEAD_BYTES", 10)
    path = write(tmp_path / "endless.txt", content)
    line = refused(capsys, "data", "split", path, "--shares", ".4", ".3", ".3")
    assert line.startswith(f"{path}: a document and the blank lines around it take more than 500 bytes")


def test_a_file_that_is_too_large_is_refused_by_its_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "large.json"
    path.touch()
    os.truncate(path, 1 << 40)
    assert refused(capsys, "data", "report", path).startswith(f"{path}: holds 1,099,511,627,776 bytes, and at most ")


def test_scoring_keeps_little_of_a_prediction_file(
    tmp_path: Path, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gold = shared / "data" / "docred_joint" / "dev_joint.json"
    documents = list(read_corpus(gold).documents[:60])
    monkeypatch.setattr(stream, "HEAD_BYTES", 1_000)
    path = tmp_path / "p.jsonl"
    write_predictions([(document, document.gold or Annotation()) for document in documents], path)
    tracemalloc.start()
    try:
        annotations: Sequence[Annotation] = match_documents(
            documents, gold, read_documents(path, format="predictions"), path
        )
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(annotations) == len(documents)
    # Read whole, it takes thirteen times its size.
    assert peak < 4 * path.stat().st_size
