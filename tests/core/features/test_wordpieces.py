"""Word pieces: how many tokens are remembered."""

import pytest

import core.features.wordpieces
from core.data.documents import Document
from core.features.wordpieces import WordPieces
from tests.tiny import wordpieces


def test_tokens_are_not_remembered_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core.features.wordpieces, "MAX_REMEMBERED_TOKENS", 20)
    pieces = WordPieces(wordpieces().tokenizer)
    for number in range(30):
        document = Document(id="x", tokens=("Ada", f"a{number}", "Oslo"), sentences=((0, 3),))
        assert pieces.encode(document).ids.tolist() == wordpieces().encode(document).ids.tolist()
        assert len(pieces._pieces) <= 20 + len(document.tokens)
