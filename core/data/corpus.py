"""Corpus: the documents of one file, with ids that are unique in it, and the data issues that reading it met."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import count

import msgspec

from core.data.documents import Document
from core.data.issues import Issues


class Corpus(msgspec.Struct, frozen=True):
    """The documents of one file, in file order, and the data issues that reading it met."""

    documents: tuple[Document, ...]
    issues: Issues


class UniqueIds:
    """Ids that are unique in a corpus: the title itself, then `title#2`, `title#3` for its repeats, each counted."""

    def __init__(self, issues: Issues) -> None:
        self._issues = issues
        self._used: set[str] = set()
        self._numbers = defaultdict[str, Iterator[int]](lambda: count(2))

    def remember(self, ids: Iterable[str]) -> None:
        """Note ids that earlier documents have."""
        self._used.update(ids)

    def take(self, title: str | None, index: int) -> str:
        """An unused id for the document at `index` (from 0): its title, or `document-<index>` where that is empty."""
        name = title or f"document-{index}"
        unique = name
        while unique in self._used:
            unique = f"{name}#{next(self._numbers[name])}"
        self._used.add(unique)
        if unique != name:
            self._issues.add("duplicate_title", f"document {index} is now {unique}")
        return unique
