"""Word pieces from the cache are those of the tokenizer, and a damaged cache is computed again."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from core.data.documents import Document
from core.features import wordpiece_cache as piece_cache
from core.features.wordpiece_cache import cache_key, encode_cached
from core.features.wordpieces import WordPieces, learn_wordpieces
from tests.tiny import document, wordpieces


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ENGRAM_CACHE", str(tmp_path))
    monkeypatch.setattr(piece_cache, "MIN_DOCUMENTS", 1)
    return tmp_path / "wordpieces"


DOCUMENTS = [document(0), Document(id="none", tokens=(), sentences=()), document(3, extra=2)]


def fresh() -> WordPieces:
    return WordPieces(wordpieces().tokenizer)


def test_a_second_encoding_is_equal_and_asks_no_tokenizer(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = encode_cached(DOCUMENTS, fresh())
    assert len(list(cache.iterdir())) == 1
    asked: list[Document] = []
    monkeypatch.setattr(WordPieces, "encode", lambda self, one: asked.append(one))
    second = encode_cached(DOCUMENTS, fresh())
    assert asked == []
    for one, other in zip(first, second, strict=True):
        assert one.document is other.document
        assert np.array_equal(one.ids, other.ids)
        assert np.array_equal(one.bounds, other.bounds)
        assert one.ids.dtype == other.ids.dtype
        assert one.bounds.dtype == other.bounds.dtype


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 not a zip", None])
def test_a_damaged_cache_is_computed_again(cache: Path, damage: bytes | None) -> None:
    wanted = encode_cached(DOCUMENTS, fresh())
    (file,) = cache.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    found = encode_cached(DOCUMENTS, fresh())
    assert [one.ids.tolist() for one in found] == [one.ids.tolist() for one in wanted]
    assert file.read_bytes() == whole


def test_a_cache_that_cannot_be_written_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("ENGRAM_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(piece_cache, "MIN_DOCUMENTS", 1)
    assert [one.ids.tolist() for one in encode_cached(DOCUMENTS, fresh())] == [
        one.ids.tolist() for one in map(fresh().encode, DOCUMENTS)
    ]


def test_the_key_knows_tokens_bounds_and_tokenizer() -> None:
    joined = Document(id="a", tokens=("Ada", "Byron"), sentences=((0, 2),))
    key = cache_key([joined], fresh())
    assert key == cache_key([msgspec.structs.replace(joined, id="b")], fresh())
    apart = [msgspec.structs.replace(joined, tokens=(token,)) for token in joined.tokens]
    other = learn_wordpieces([document(number) for number in range(8)], size=80)
    different = [cache_key(apart, fresh()), cache_key([joined, joined], fresh()), cache_key([joined], other)]
    assert len({key, *different}) == 4
