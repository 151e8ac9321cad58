"""Prediction files: ours and JEREX's, and one clear error for every fault."""

import copy
from pathlib import Path
from typing import Any

import msgspec
import pytest

from core.data.documents import Annotation, Document, Entity, LabelSet, Relation
from core.data.formats import read_corpus
from core.data.formats.predictions import encode_prediction, read_predictions
from core.errors import UserError

JEREX: dict[str, Any] = {
    "tokens": ["Ada", "met", "Babbage", "."],
    "mentions": [{"start": 0, "end": 1}, {"start": 2, "end": 3}, {"start": 1, "end": 2}],
    "entities": [{"mentions": [0], "type": "PER"}, {"mentions": [1], "type": "PER"}],
    "relations": [{"head": 0, "tail": 1, "type": "P1"}],
    "orig_id": 7,
}
LABELS = LabelSet(entity_types=("PER",), relation_types=("P1",))


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", ["p.json", "p.jsonl", "p"])
@pytest.mark.parametrize("form", ["list", "lines", "one object over lines"])
def test_a_list_or_lines_whatever_the_extension(tmp_path: Path, name: str, form: str) -> None:
    encoded = msgspec.json.encode(JEREX)
    content = {
        "list": msgspec.json.encode([JEREX, JEREX]),
        "lines": encoded + b"\n\n" + encoded,
        "one object over lines": msgspec.json.format(encoded),
    }[form]
    read = read_predictions(written(tmp_path / name, content))
    assert len(read) == (1 if form == "one object over lines" else 2)
    document, annotation = read[0]
    assert document == Document(id="document-0", tokens=("Ada", "met", "Babbage", "."), sentences=((0, 4),))
    assert annotation.mentions == ((0, 1), (2, 3), (1, 2))
    assert annotation.entities == (Entity(((0, 1),), "PER"), Entity(((2, 3),), "PER"))
    assert annotation.relations == (Relation(head=0, tail=1, type="P1"),)


def test_our_line_has_the_documented_form() -> None:
    document = Document(id="A", title="A", tokens=("a", "b"), sentences=((0, 2),), text="a b", offsets=((0, 1), (2, 3)))
    annotation = Annotation(((1, 2), (0, 1)), (Entity(((0, 1),), "X"),), (Relation(0, 0, "R", 0.75),))
    line = encode_prediction(document, annotation)
    assert line.endswith(b"\n")
    assert msgspec.json.decode(line) == {
        "id": "A",
        "title": "A",
        "tokens": ["a", "b"],
        "sentences": [[0, 2]],
        "mentions": [{"start": 1, "end": 2}, {"start": 0, "end": 1}],
        "entities": [{"mentions": [1], "type": "X"}],
        "relations": [{"head": 0, "tail": 0, "type": "R", "score": 0.75}],
        "text": "a b",
        "offsets": [[0, 1], [2, 3]],
    }


def test_scores_are_written_where_there_are_some_and_read_in_either_form(tmp_path: Path) -> None:
    document = Document(id="A", title="A", tokens=("a", "b"), sentences=((0, 2),))
    entities = (Entity(((0, 1),), "X"), Entity(((1, 2),), "Y"))
    scored = Annotation(((1, 2), (0, 1)), entities, (), (0.25, 0.5), (0.75, 1.0))
    line = msgspec.json.decode(encode_prediction(document, scored))
    assert line["mentions"] == [{"start": 1, "end": 2, "score": 0.25}, {"start": 0, "end": 1, "score": 0.5}]
    assert line["entities"] == [
        {"mentions": [1], "type": "X", "score": 0.75},
        {"mentions": [0], "type": "Y", "score": 1.0},
    ]
    assert read_predictions(written(tmp_path / "p.json", msgspec.json.encode(line)))[0].annotation == scored
    # A mention that only an entity holds has no score; pairs of numbers, as JEREX's evaluator stores them, neither.
    bare = Annotation(((1, 2),), entities, (), (0.25,))
    assert "score" not in msgspec.json.decode(encode_prediction(document, bare))["mentions"][1]
    pairs = {**line, "mentions": [[1, 2], [0, 1]]}
    (read,) = read_predictions(written(tmp_path / "q.json", msgspec.json.encode([pairs])))
    assert read.annotation == msgspec.structs.replace(scored, mention_scores=())


def test_a_corpus_takes_the_annotation_as_gold(tmp_path: Path) -> None:
    corpus = read_corpus(written(tmp_path / "p.json", msgspec.json.encode([JEREX])), labels=LABELS)
    assert corpus.documents[0].gold is not None
    assert len(corpus.documents[0].gold.mentions) == 3
    assert corpus.issues.counts == {"no_sentences": 1}


FAULTS = {
    "span": (("mentions", 1), {"start": 2, "end": 9}, "mentions[1] is 2 to 9, but the document has 4 tokens"),
    "empty span": (("mentions", 1), {"start": 2, "end": 2}, "mentions[1] is 2 to 2"),
    "mention": (("entities", 0, "mentions"), [3], "entities[0].mentions is 3, but there are 3 mentions: give 0 to 2"),
    "no mention": (("entities", 0, "mentions"), [], "entities[0].mentions is empty"),
    "head": (("relations", 0, "head"), 2, "relations[0].head is 2, but there are 2 entities: give 0 to 1"),
    "tail": (("relations", 0, "tail"), -1, "relations[0].tail is -1"),
    "entity type": (("entities", 1, "type"), "ORG", 'entities[1].type is "ORG", which is none of the 1 entity types'),
    "relation type": (("relations", 0, "type"), "P2", 'relations[0].type is "P2"'),
    "tokens": (("tokens",), [], "tokens holds 0 tokens"),
    "sentences": (("sentences",), [[0, 2], [3, 4]], "sentences[1] is [3, 4], but sentences cover all tokens"),
    "short sentences": (("sentences",), [[0, 2]], "sentences ends at 2, but there are 4 tokens"),
    "offsets": (("offsets",), [[0, 1]], "1 offsets for 4 tokens"),
    "kind": (("relations", 0, "head"), "0", "field relations[0].head is '0'"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("lines", [False, True])
def test_a_fault_names_file_document_and_field(tmp_path: Path, fault: str, lines: bool) -> None:
    keys, value, expected = FAULTS[fault]
    broken = copy.deepcopy({**JEREX, "title": "Title"})
    place: Any = broken
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    both = [JEREX, broken]
    content = b"\n".join(map(msgspec.json.encode, both)) if lines else msgspec.json.encode(both)
    path = written(tmp_path / "p.json", content)
    with pytest.raises(UserError) as caught:
        read_predictions(path, labels=LABELS)
    message = str(caught.value)
    assert expected in message
    assert message.startswith(f'{path}: document 1 "Title": ') or (lines and message.startswith(f"{path}: line 2: "))


def test_a_line_that_is_cut_off_is_named(tmp_path: Path) -> None:
    line = msgspec.json.encode(JEREX)
    path = written(tmp_path / "p.jsonl", line + b"\n" + line[:40])
    with pytest.raises(UserError, match=r"p.jsonl: line 2: the JSON breaks off after 40 bytes"):
        read_predictions(path)
