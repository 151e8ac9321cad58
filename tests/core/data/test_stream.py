"""Documents one at a time: the same as those of a whole file, and the bad ones skipped."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.documents import Annotation, Document
from core.data.formats import Format, parse_corpus, read_corpus
from core.data.formats.docred import encode_docred
from core.data.formats.predictions import encode_prediction
from core.data.formats.text import corpus_from_text
from core.data.stream import RAW_CHARACTERS, ByteStream, DocumentStream, Entry
from core.errors import UserError
from tests.tiny import document

DOCUMENTS = [document(number % 3, extra=number % 2) for number in range(6)]
PUBTATOR = (
    "1|t|Aspirin helps.\n1|a|It does.\n1\t0\t7\tAspirin\tChemical\tD1\n\n"
    "2|t|Ibuprofen hurts.\n2|a|A lot.\n2\t0\t9\tIbuprofen\tChemical\tD2\n3|t|Three.\n\n1|t|Aspirin again.\n"
)
WHOLE: dict[str, bytes] = {
    "docred": encode_docred(DOCUMENTS),
    "predictions": b"".join(encode_prediction(one, one.gold or Annotation()) for one in DOCUMENTS),
    "pubtator": PUBTATOR.encode(),
    "text": "One. Two.\n\nThree.\r\n \r\nVier für fünf.\n".encode(),
}


def entries(raw: bytes, *, chunk: int = 11, format: Format = "auto", path: str = "input") -> list[Entry]:
    return list(DocumentStream(ByteStream(io.BytesIO(raw), path, chunk=chunk), format=format).entries())


def documents(raw: bytes, chunk: int = 11, path: str = "input") -> list[Document | None]:
    return [entry.document for entry in entries(raw, chunk=chunk, path=path)]


@pytest.mark.parametrize("format", list(WHOLE))
@pytest.mark.parametrize("chunk", [1, 7, 100_000])
def test_a_stream_gives_the_documents_of_the_whole_file(format: str, chunk: int) -> None:
    raw = WHOLE[format]
    wanted = list(parse_corpus(raw, "input").documents)
    assert documents(raw, chunk) == wanted
    assert documents(b"\xef\xbb\xbf" + raw, chunk) == wanted


def test_real_json_streams_to_the_same_documents(shared_path: Callable[[str], Path]) -> None:
    path = shared_path("data/docred_joint/dev_joint.json")
    found = documents(path.read_bytes(), 1 << 16)
    assert len(found) == 300
    assert found == list(read_corpus(path).documents)


def test_real_pubtator_streams_to_the_same_documents(shared_path: Callable[[str], Path]) -> None:
    raw = shared_path("data/cdr/CDR_DevelopmentSet.PubTator.txt").read_bytes()
    raw = b"\n\n".join(raw.split(b"\n\n")[:60])
    found = documents(raw, 1_000)
    assert len(found) == 60
    assert found == list(parse_corpus(raw, "input").documents)


@given(
    st.lists(st.sampled_from(["a", "B.", " ", "\n", "\r", "\r\n", "\xa0", "\n\n", "é"]), max_size=20), st.integers(1, 9)
)
def test_any_text_streams_to_the_same_documents(parts: list[str], chunk: int) -> None:
    text = "x" + "".join(parts)
    assert documents(text.encode(), chunk) == list(corpus_from_text(text, name="input").documents)


def test_json_may_come_as_lines_as_an_array_or_spread() -> None:
    objects = msgspec.json.decode(WHOLE["docred"])
    wanted = documents(WHOLE["docred"])
    assert documents("\n".join(json.dumps(one) for one in objects).encode()) == wanted
    assert documents(json.dumps(objects, indent=2).encode()) == wanted
    assert documents("\n".join(json.dumps(one, indent=2) for one in objects).encode()) == wanted
    lines = [json.loads(line) for line in WHOLE["predictions"].splitlines()]
    assert documents(json.dumps(lines).encode()) == documents(WHOLE["predictions"])


def test_jerex_predictions_stream_as_they_are_read() -> None:
    jerex = [
        {
            "tokens": ["Ada", "works", "."],
            "mentions": [[0, 1]],
            "clusters": [[0]],
            "entities": [{"cluster": 0, "type": "PER"}],
            "relations": [],
        }
    ] * 2
    raw = json.dumps(jerex).encode()
    assert documents(raw) == list(parse_corpus(raw, "input").documents)
    jerex = [jerex[0], {**jerex[0], "entities": [{"cluster": 4, "type": "PER"}]}]
    second = entries(json.dumps(jerex).encode())[1]
    assert "document 1: field entities[0].cluster is 4" in second.reason


def test_a_first_document_larger_than_a_chunk_still_tells_the_format() -> None:
    raw = json.dumps([{"title": "x" * 3_000_000, "sents": [["A", "."]]}]).encode()
    assert [one.tokens for one in documents(raw, 1 << 20) if one] == [("A", ".")]


GOOD = json.dumps({"title": "good", "sents": [["Ada", "lives", "."]]})
SPAN = {"title": "T", "sents": [["Ada"]], "vertexSet": [[{"pos": [0, 9], "sent_id": 0, "type": "PER"}]], "labels": []}
BAD_DOCRED: dict[str, tuple[str, str | None, str]] = {
    "malformed": ('{"title": "T", "sents": [["a"],, ["b"]]}', None, "is not JSON"),
    "word": ("nonsense", None, "is not JSON"),
    "type": ('{"title": "T", "sents": [["a", 3]]}', "T", "field sents[0][1] is 3"),
    "missing": ('{"title": "T"}', "T", "missing required field sents"),
    "no object": ("3", None, "found 3"),
    "empty": ('{"title": "T", "sents": [[], []]}', "T", "0 tokens"),
    "span": (json.dumps(SPAN), "T", "field vertexSet[0][0].pos is [0, 9]"),
    "deep": ('{"x": ' + "[" * 5_000 + "]" * 5_000 + "}", None, "nested too deeply"),
}


@pytest.mark.parametrize("kind", list(BAD_DOCRED))
@pytest.mark.parametrize("form", ["array", "lines"])
def test_a_bad_document_costs_no_other_one(kind: str, form: str) -> None:
    bad, title, reason = BAD_DOCRED[kind]
    raw = f"[{GOOD},\n{bad},\n{GOOD}]" if form == "array" else f"{GOOD}\n{bad}\n{GOOD}\n"
    first, second, third = entries(raw.encode())
    assert [first.document and first.document.id, third.document and third.document.id] == ["good", "good#2"]
    assert second.document is None
    told = second.skipped()
    assert (told.index, told.line, told.id, told.title) == (1, 2, None, title)
    assert reason in told.reason
    assert told.reason.startswith("input: document 1")
    assert told.raw.strip() == bad[:RAW_CHARACTERS].strip()
    assert told.size == len(bad) + (form == "lines")


def test_bytes_that_are_no_text_cost_their_document_alone() -> None:
    latin = GOOD.replace("lives", "é").encode("latin-1")
    for raw in (b"[%b, %b, %b]", b"%b\n%b\n%b"):
        found = entries(raw % (GOOD.encode(), latin, GOOD.encode()))
        assert [entry.document is None for entry in found] == [False, True, False]
        assert "not UTF-8" in found[1].reason
    found = entries(b"One.\n\nTw\xe9.\n\nThree.")
    assert [entry.document and entry.document.id for entry in found] == ["input-1", None, "input-3"]
    assert "document 1, line 3: byte 2 is 0xe9" in found[1].reason


BAD_PUBTATOR = {
    "2|t|Two.\n2\t0\t99\tTwo\tChemical\tD1\n": "the span is 0 to 99",
    "2|t|Two.\n2\tx\t3\tTwo\tChemical\tD1\n": "start is 'x'",
    "2|t|Two.\nsome words\n": "is not an annotation of document 2",
    "2|t|\n": "0 tokens",
    "what is this\n": "'what is this' is not ID|t|title",
}


@pytest.mark.parametrize("bad", list(BAD_PUBTATOR))
def test_a_bad_pubtator_document_costs_no_other_one(bad: str) -> None:
    raw = f"1|t|One.\n1\t0\t3\tOne\tChemical\tD1\n\n{bad}\n3|t|Three.\n"
    first, second, third = entries(raw.encode())
    assert [first.document and first.document.id, third.document and third.document.id] == ["1", "3"]
    assert second.document is None
    assert BAD_PUBTATOR[bad] in second.reason
    assert any(f"line {line}" in second.reason for line in (4, 5))


@pytest.mark.parametrize("raw", [b"", b" \n\t ", b"\xef\xbb\xbf"])
def test_an_empty_input_is_named(raw: bytes) -> None:
    with pytest.raises(UserError, match="input: is empty"):
        entries(raw)


def test_json_of_no_known_format_is_named() -> None:
    with pytest.raises(UserError, match="JSON of no known format"):
        entries(b'[{"text": "x"}]')


@pytest.mark.parametrize("format", list(WHOLE))
def test_reading_goes_on_at_any_document(format: str) -> None:
    raw = WHOLE[format]
    if format == "docred":
        raw = raw[:-2] + b', {"title": 3}, ' + raw[1:]
    whole = entries(raw)
    assert len(whole) > 2
    for number, entry in enumerate(whole[:-1]):
        stream = DocumentStream(ByteStream(io.BytesIO(raw), "input", chunk=5))
        ids = [one.document.id for one in whole[: number + 1] if one.document]
        assert stream.go_on(entry.mark, entry.index + 1, ids)
        assert list(stream.entries()) == whole[number + 1 :]


@pytest.mark.parametrize("place", [0, 30])
def test_another_beginning_is_noticed(place: int) -> None:
    raw = bytearray(WHOLE["predictions"])
    entry = entries(bytes(raw))[2]
    raw[place] ^= 1
    for changed in (raw, raw[:40]):
        stream: Any = DocumentStream(ByteStream(io.BytesIO(bytes(changed)), "input"), format="predictions")
        assert not stream.go_on(entry.mark, 3, ())
