"""Windows of documents: they end by what they hold."""

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from core.data.documents import Document
from core.data.stream import Entry, Mark
from core.prediction.windows import windows
from tests.tiny import wordpieces


def entry(number: int, *, tokens: int) -> Entry:
    document = Document(id=str(number), tokens=("Ada",) * tokens, sentences=((0, tokens),)) if tokens else None
    return Entry("input", number, 1, b"", document, "", Mark(number + 1))


@given(st.lists(st.integers(0, 9), max_size=20), st.integers(1, 6), st.integers(1, 20))
def test_windows_end_by_what_they_hold_and_not_by_what_follows(sizes: list[int], documents: int, pieces: int) -> None:
    entries = [entry(number, tokens=size) for number, size in enumerate(sizes)]

    def cut(entries: list[Entry]) -> list[tuple[int, int]]:
        cut_windows = windows(entries, wordpieces().encode, documents=documents, pieces=pieces)
        return [(len(window), window.mark.taken) for window in cut_windows]

    whole = cut(entries)
    assert sum(length for length, _ in whole) == len(entries)
    assert [mark for _, mark in whole] == list(accumulate(length for length, _ in whole))
    assert all(0 < length <= documents for length, _ in whole)
    for number, (_, mark) in enumerate(whole):
        assert cut(entries[mark:]) == whole[number + 1 :]
        assert cut(entries[:mark]) == whole[: number + 1]
