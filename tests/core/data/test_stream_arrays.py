"""Cutting a stream into the bytes of its documents."""

import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import core.data.stream
from core.data.stream import ByteStream, Item, json_items, line_items, pubtator_items, text_items

STRINGS = st.text(st.characters(codec="utf-8") | st.sampled_from('"\\[]{},:\n'), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | STRINGS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(STRINGS, inner, max_size=3),
    max_leaves=12,
)
OBJECTS = st.dictionaries(STRINGS, VALUES, max_size=3)
CHUNKS = st.integers(1, 40)


def stream(raw: bytes, chunk: int = 7) -> ByteStream:
    return ByteStream(io.BytesIO(raw), "input", chunk=chunk)


def cut(items: Callable[[ByteStream], Iterator[Item]], raw: bytes) -> list[bytes]:
    """The items, which no chunking may change."""
    found = [list(items(stream(raw, chunk))) for chunk in (1, 2, 3, 7, 1_000)]
    assert all(one == found[0] for one in found)
    for item in found[0]:
        # The line of an item is the one that its first byte stands in.
        assert raw.split(b"\n")[item.line - 1 :][0].find(item.raw.split(b"\n")[0]) >= 0
    return [item.raw for item in found[0]]


@given(st.lists(VALUES, max_size=6), CHUNKS, st.sampled_from([None, 0, 3]), st.booleans())
def test_a_json_array_is_cut_into_what_it_holds(
    values: list[Any], chunk: int, indent: int | None, escaped: bool
) -> None:
    raw = json.dumps(values, indent=indent, ensure_ascii=escaped).encode()
    items = list(json_items(stream(raw, chunk)))
    assert [json.loads(item.raw) for item in items] == values
    assert all(item.broken is None for item in items)


@given(st.lists(OBJECTS, max_size=5), CHUNKS, st.data())
def test_an_array_that_is_cut_off_gives_all_that_was_whole_and_one_broken_item(
    values: list[Any], chunk: int, data: st.DataObject
) -> None:
    whole = json.dumps(values).encode()
    length = data.draw(st.integers(1, len(whole) - 1))
    ends = [len(json.dumps(values[: number + 1])) - 1 for number in range(len(values))]
    *good, last = json_items(stream(whole[:length], chunk))
    assert last.broken is not None
    assert [json.loads(item.raw) for item in good] == values[: sum(end <= length for end in ends)]


@given(st.lists(OBJECTS, max_size=4), CHUNKS)
def test_objects_one_behind_the_other_need_no_array(values: list[Any], chunk: int) -> None:
    raw = "\n".join(json.dumps(value, indent=1) for value in values).encode()
    assert [json.loads(item.raw) for item in json_items(stream(raw, chunk))] == values


BROKEN = {
    b'[{"a": [1, 2}, {"b": 1}]': ([], "a } closes another bracket than its own"),
    b'[{"a": 1}, }, {"b": 1}]': ([b'{"a": 1}'], "a } that closes nothing"),
    b'[{"a": 1}, {"b": ': ([b'{"a": 1}'], "breaks off within a document"),
    b'[{"a": 1}, {"b': ([b'{"a": 1}'], "breaks off within a document"),
    b'[{"a": 1},': ([b'{"a": 1}'], "has no end after 10 bytes"),
    b'[{"a": 1}] {"b": 2}': ([b'{"a": 1}'], "more behind the end"),
}


@pytest.mark.parametrize("raw", list(BROKEN))
def test_where_borders_are_lost_the_rest_is_one_item(raw: bytes) -> None:
    wanted, reason = BROKEN[raw]
    for chunk in (1, 5, 1_000):
        source = stream(raw, chunk)
        *good, last = json_items(source)
        assert [item.raw for item in good] == wanted
        assert reason in str(last.broken)
        assert source.taken == len(raw)


def test_a_fault_within_its_borders_costs_no_other_item() -> None:
    raw = b'[{"a": tru}, {"b": 1,, 2}, nonsense, 3 , {"c": "[\\"}"}]'
    assert cut(json_items, raw) == [b'{"a": tru}', b'{"b": 1,, 2}', b"nonsense", b"3", b'{"c": "[\\"}"}']


@pytest.mark.parametrize(
    ("items", "raw"),
    [
        (json_items, b'[{"a": "' + b"x" * 200 + b'"}, 1]'),
        (json_items, b"[" + b"1" * 200),
        (line_items, b"x" * 200 + b"\ny\n"),
        (text_items, b"x" * 200 + b"\n\ny\n"),
    ],
)
def test_a_document_without_an_end_is_not_held(
    items: Callable[[ByteStream], Iterator[Item]], raw: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core.data.stream, "MOST_BYTES", 100)
    monkeypatch.setattr(core.data.stream, "SHOWN_BYTES", 10)
    source = stream(raw, 8)
    found = list(items(source))
    assert found[-1].broken is not None
    assert len(found[-1].raw) == 10
    assert source.taken == len(raw)


def test_lines_are_cut_at_line_feeds_and_blank_ones_passed_over() -> None:
    assert cut(line_items, b"\n1\n  \n2\r\n\n3") == [b"1\n", b"2\r\n", b"3"]


def test_paragraphs_are_cut_at_blank_lines_of_any_kind() -> None:
    raw = "\n\na\rb\r\n\r\nc\r\rd\n \xa0 \ne\n\n\n".encode()
    assert cut(text_items, raw) == [b"a\rb\r\n\r\n", b"c\r\r", "d\n \xa0 \n".encode(), b"e\n\n\n"]


def test_pubtator_is_cut_before_titles_and_before_strangers_behind_a_blank_line() -> None:
    raw = b"1|t|A\n1|a|B\n\n1\t0\t1\tA\tT\t-1\n2|t|C\n\njunk\n\n3|t|D\n3|a|E"
    wanted = [b"1|t|A\n1|a|B\n\n1\t0\t1\tA\tT\t-1\n", b"2|t|C\n\n", b"junk\n\n", b"3|t|D\n3|a|E"]
    assert cut(pubtator_items, raw) == wanted
