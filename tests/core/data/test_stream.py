"""Documents one at a time: the same as those of a whole file, and the bad ones skipped."""

import hashlib
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
from core.data.formats import parse_corpus, read_corpus
from core.data.formats.docred import encode_docred
from core.data.formats.predictions import encode_prediction, parse_predictions
from core.data.stream import RAW_CHARACTERS, DocumentStream, Entry
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


def entries(raw: bytes) -> list[Entry]:
    return list(DocumentStream(io.BytesIO(raw), "input").entries())


def documents(raw: bytes) -> list[Document | None]:
    return [entry.document for entry in entries(raw)]


@pytest.mark.parametrize("format", list(WHOLE))
def test_a_stream_gives_the_documents_of_the_whole_file(format: str, tmp_path: Path) -> None:
    raw = WHOLE[format]
    (tmp_path / "input").write_bytes(raw)
    wanted = list(read_corpus(tmp_path / "input").documents)
    assert documents(raw) == wanted
    assert documents(b"\xef\xbb\xbf" + raw) == wanted


def test_real_json_streams_to_the_same_documents(shared_path: Callable[[str], Path]) -> None:
    path = shared_path("data/docred_joint/dev_joint.json")
    found = documents(path.read_bytes())
    assert len(found) == 300
    assert found == list(read_corpus(path).documents)


def test_real_pubtator_streams_to_the_same_documents(shared_path: Callable[[str], Path]) -> None:
    raw = shared_path("data/cdr/CDR_DevelopmentSet.PubTator.txt").read_bytes()
    raw = b"\n\n".join(raw.split(b"\n\n")[:60])
    found = documents(raw)
    assert len(found) == 60
    assert found == list(parse_corpus(raw, "input", format="pubtator").documents)


@given(st.lists(st.sampled_from(["a", "B.", " ", "\n", "\r", "\r\n", "\xa0", "\n\n", "é"]), max_size=20))
def test_any_text_streams_to_the_same_documents(parts: list[str]) -> None:
    raw = ("x" + "".join(parts)).encode()
    assert documents(raw) == list(parse_corpus(raw, "input", format="text").documents)


def test_json_may_come_as_lines_as_an_array_or_spread() -> None:
    objects = msgspec.json.decode(WHOLE["docred"])
    wanted = documents(WHOLE["docred"])
    assert documents("\n".join(json.dumps(one) for one in objects).encode()) == wanted
    assert documents(json.dumps(objects, indent=2).encode()) == wanted
    assert documents(json.dumps(objects[0], indent=2).encode()) == wanted[:1]
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
    wanted = [msgspec.structs.replace(one.document, gold=one.annotation) for one in parse_predictions(raw, "input")]
    assert documents(raw) == wanted
    jerex = [jerex[0], {**jerex[0], "entities": [{"cluster": 4, "type": "PER"}]}]
    second = entries(json.dumps(jerex).encode())[1]
    assert "document 1: field entities[0].cluster is 4" in second.reason


def test_the_format_is_seen_beyond_a_first_document_of_any_size() -> None:
    line = json.dumps({"title": "x" * 3_000_000, "sents": [["A", "."]]})
    for raw in (f"[{line}]", f"{line}\n", f"{{}}\n{line}\n"):
        assert [one.tokens for one in documents(raw.encode()) if one] == [("A", ".")]


GOOD = json.dumps({"title": "good", "sents": [["Ada", "lives", "."]]})
SPAN = {"title": "T", "sents": [["Ada"]], "vertexSet": [[{"pos": [0, 9], "sent_id": 0, "type": "PER"}]], "labels": []}
BAD_DOCRED: dict[str, tuple[str, str | None, str]] = {
    "type": ('{"title": "T", "sents": [["a", 3]]}', "T", "field sents[0][1] is 3"),
    "missing": ('{"title": "T"}', "T", "missing required field sents"),
    "no object": ("3", None, "found 3"),
    "empty": ('{"title": "T", "sents": [[], []]}', "T", "0 tokens"),
    "span": (json.dumps(SPAN), "T", "field vertexSet[0][0].pos is [0, 9]"),
}
NO_JSON = {
    "malformed": ('{"title": "T", "sents": [["a"],, ["b"]]}', "is not JSON"),
    "word": ("nonsense", "is not JSON"),
    "deep": ('{"x": ' + "[" * 5_000 + "]" * 5_000 + "}", "nested too deeply"),
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


@pytest.mark.parametrize("kind", list(NO_JSON))
def test_what_is_no_json_costs_its_line_or_its_array(kind: str) -> None:
    bad, reason = NO_JSON[kind]
    first, second, third = entries(f"{GOOD}\n{bad}\n{GOOD}\n".encode())
    assert [first.document and first.document.id, third.document and third.document.id] == ["good", "good#2"]
    assert (second.document, second.line) == (None, 2)
    assert reason in second.reason
    with pytest.raises(UserError, match=reason):
        entries(f"[{GOOD},\n{bad},\n{GOOD}]".encode())


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
        stream = DocumentStream(io.BytesIO(raw), "input")
        ids = [one.document.id for one in whole[: number + 1] if one.document]
        assert stream.resume(entry.mark, entry.index + 1, ids)
        assert list(stream.entries()) == whole[number + 1 :]


@pytest.mark.parametrize("place", [0, 30])
def test_another_beginning_is_noticed(place: int) -> None:
    raw = bytearray(WHOLE["predictions"])
    entry = entries(bytes(raw))[2]
    raw[place] ^= 1
    for changed in (raw, raw[:40]):
        stream = DocumentStream(io.BytesIO(bytes(changed)), "input", format="predictions")
        assert not stream.resume(entry.mark, 3, ())


STRINGS = st.text(st.characters(codec="utf-8") | st.sampled_from('"\\[]{},:\n'), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | STRINGS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(STRINGS, inner, max_size=3),
    max_leaves=12,
)


def split(raw: bytes) -> list[Entry]:
    """The entries of JSON, none of which has to be a document."""
    found = list(DocumentStream(io.BytesIO(raw), "input", format="docred").entries())
    for entry in found:
        assert raw.split(b"\n")[entry.line - 1].find(entry.raw.split(b"\n")[0]) >= 0
        assert entry.mark.digest == hashlib.sha256(raw[: entry.mark.taken]).hexdigest()
    return found


@given(st.lists(VALUES, max_size=6), st.sampled_from([None, 0, 3]), st.booleans())
def test_a_json_array_is_split_into_its_values(values: list[Any], indent: int | None, escaped: bool) -> None:
    raw = json.dumps(values, indent=indent, ensure_ascii=escaped).encode()
    assert [json.loads(entry.raw) for entry in split(raw)] == values


@pytest.mark.parametrize("raw", [b'[{"a": [1, 2}]', b'[{"a": 1}, {"b": ', b'[{"a": 1},', b'[{"a": 1}] {"b": 2}'])
def test_an_array_that_is_broken_is_refused(raw: bytes) -> None:
    with pytest.raises(UserError, match=r"input: (is not JSON|the JSON breaks off)"):
        split(raw)


def cut(raw: bytes, format: Any) -> list[bytes]:
    return [entry.raw for entry in DocumentStream(io.BytesIO(raw), "input", format=format).entries()]


def test_lines_are_cut_at_line_feeds() -> None:
    assert cut(b"\n1\n  \n2\r\n\n3", "docred") == [b"1\n  \n", b"2\r\n\n", b"3"]


def test_paragraphs_are_cut_at_blank_lines() -> None:
    raw = "\n\na\rb\r\n\r\nc\r\rd\n \xa0 \ne\n\n\n".encode()
    assert cut(raw, "text") == [b"a\rb\r\n\r\n", "c\r\rd\n \xa0 \n".encode(), b"e\n\n\n"]


def test_pubtator_is_cut_before_titles_and_before_other_ids_after_a_blank_line() -> None:
    raw = b"1|t|A\n1|a|B\n\n1\t0\t1\tA\tT\t-1\n2|t|C\n\njunk\n\n3|t|D\n3|a|E"
    wanted = [b"1|t|A\n1|a|B\n\n1\t0\t1\tA\tT\t-1\n", b"2|t|C\n\n", b"junk\n\n", b"3|t|D\n3|a|E"]
    assert cut(raw, "pubtator") == wanted
