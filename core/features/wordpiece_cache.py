"""Cache of a corpus's word pieces on disk, named by a hash of its tokens and of its tokenizer.

A cache that cannot be read or written is ignored. It lies in `ENGRAM_CACHE`, else in this platform's folder for caches,
and may be deleted at any time.
"""

import hashlib
import os
import zipfile
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import platformdirs

from core.data.documents import Document
from core.errors import UserError
from core.features.wordpieces import EncodedDocument, WordPieces
from core.files import atomic_write

# Smaller corpora are word-pieced faster than they are looked up.
MIN_DOCUMENTS = 100


def encode_cached(documents: Sequence[Document], wordpieces: WordPieces) -> list[EncodedDocument]:
    """The word pieces of documents, read from the cache, or computed and written to it."""
    if len(documents) < MIN_DOCUMENTS:
        return [wordpieces.encode(document) for document in documents]
    chosen = os.environ.get("ENGRAM_CACHE")
    root = Path(chosen).expanduser() if chosen else Path(platformdirs.user_cache_dir("engram", appauthor=False))
    path = root / "wordpieces" / f"{cache_key(documents, wordpieces)}.npz"
    cached = _read(path, documents)
    if cached is not None:
        return cached
    encoded = [wordpieces.encode(document) for document in documents]
    _write(path, encoded)
    return encoded


def cache_key(documents: Sequence[Document], wordpieces: WordPieces) -> str:
    """A hash (32 hex digits) of everything that the pieces depend on: tokenizer and tokens, document by document."""
    digest = hashlib.blake2b(wordpieces.tokenizer.backend_tokenizer.to_str().encode(), digest_size=16)
    digest.update(f"\0{wordpieces.unknown}\0{wordpieces.padding}".encode())
    for document in documents:
        lengths = np.array([len(document.tokens), *map(len, document.tokens)], dtype=np.int64)
        digest.update(lengths.tobytes())
        digest.update("".join(document.tokens).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _read(path: Path, documents: Sequence[Document]) -> list[EncodedDocument] | None:
    try:
        with np.load(BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
            ids, lengths = arrays["ids"].astype(np.int64), arrays["lengths"].astype(np.int64)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    tokens = np.array([len(document.tokens) for document in documents])
    if len(lengths) != tokens.sum() or lengths.sum() != len(ids):
        return None
    ends = np.concatenate([[0], np.cumsum(lengths)])
    last = np.cumsum(tokens)
    encoded = []
    for document, first, end in zip(documents, (last - tokens).tolist(), last.tolist(), strict=True):
        bounds = ends[first : end + 1]
        encoded.append(EncodedDocument(document=document, ids=ids[bounds[0] : bounds[-1]], bounds=bounds - bounds[0]))
    return encoded


def _write(path: Path, encoded: Sequence[EncodedDocument]) -> None:
    content = BytesIO()
    ids = np.concatenate([document.ids for document in encoded])
    lengths = np.concatenate([np.diff(document.bounds) for document in encoded])
    np.savez(content, ids=ids.astype(np.int32), lengths=lengths.astype(np.int32))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, content.getvalue())
    except (OSError, UserError):
        return
