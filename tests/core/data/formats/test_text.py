"""Plain text and the sentence splitter."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.formats import parse_corpus
from core.data.formats.text import split_sentences, tokenise
from core.errors import UserError

SPLIT = {
    "Dr. Smith met J. R. Jones. They left.": 2,
    "It fell in the U.S. and in Peru. Then it rose.": 2,
    "He moved to the U.S. The house was new.": 2,
    "It costs 2.5 mg/kg, i.v. in rats.": 1,
    'He said "Go." She went.': 2,
    "Really?! Yes (see Fig. 2). Good...": 3,
    "See No. 5 of vol. 3. The answer is no. Then it ended.": 3,
    "born in Paris, St. Louis vs. Lyon, etc. in May.": 1,
    "The rate was 5. 3 rats died.": 2,
    "E. coli grew. p53 did not.": 1,
}


@pytest.mark.parametrize("text", SPLIT)
def test_sentences_of(text: str) -> None:
    offsets = tokenise(text)
    sentences, joined = split_sentences(text, offsets)
    shown = [text[offsets[start][0] : offsets[end - 1][1]] for start, end in sentences]
    assert (len(sentences), joined) == (SPLIT[text], 0), shown


def test_tokens_are_cut_as_described() -> None:
    text = "Anna's U.S. firm_x paid 1,200.50 (net) in α-helix."
    found = [text[start:end] for start, end in tokenise(text, borders=[26])]
    assert found == [
        *("Anna", "'s", "U.S.", "firm", "_", "x", "paid", "1,", "200.50", "(", "net", ")"),
        *("in", "α", "-", "helix", "."),
    ]


def test_a_blank_line_separates_documents() -> None:
    corpus = parse_corpus("One two.\r\nThree é.\r\n \r\n\n\nFour.\n".encode(), "folder/notes.txt", format="text")
    assert [document.id for document in corpus.documents] == ["notes-1", "notes-2"]
    first = corpus.documents[0]
    assert first.text == "One two.\nThree é."
    assert first.sentences == ((0, 3), (3, 6))
    assert first.gold is None
    assert corpus.issues.counts == {}


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b" \n\n ", "notes.txt: holds 0 documents"),
        (b"caf\xe9s", "byte 3 is 0xe9, which is not UTF-8"),
        ("café".encode()[:-1], "byte 3 is 0xc3, which is not UTF-8: .* if it is truncated"),
    ],
)
def test_text_that_holds_none_is_one_clear_error(raw: bytes, message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse_corpus(raw, "notes.txt", format="text")


@given(st.text(max_size=80), st.lists(st.integers(0, 80), max_size=4))
def test_tokens_cover_the_text_and_sentences_cover_the_tokens(text: str, borders: list[int]) -> None:
    offsets = tokenise(text, borders)
    assert "".join(text[start:end] for start, end in offsets) == "".join(text.split())
    assert all(start < end for start, end in offsets)
    sentences, _ = split_sentences(text, offsets, breaks=borders)
    assert [position for start, end in sentences for position in range(start, end)] == list(range(len(offsets)))
    for border in borders:
        if any(start >= border for start, _ in offsets):
            first = next(number for number, (start, _) in enumerate(offsets) if start >= border)
            assert first in [start for start, _ in sentences]
