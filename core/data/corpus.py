"""Corpus: the documents of one file, with ids that are unique in it, and how a file's documents become one."""

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

import msgspec

from core.data.documents import Document, LabelSet
from core.data.issues import Issues, count_issues
from core.data.parsing import fault, garbage_collector_paused
from core.errors import UserError


class Corpus(msgspec.Struct, frozen=True):
    """The documents of one file, in file order, and the data issues that reading it met."""

    documents: tuple[Document, ...]
    issues: Issues


def build_corpus(path: Path | str, documents: Iterable[Document], issues: Issues, *, max_span_tokens: int) -> Corpus:
    """The corpus of converted documents, with the issues that show in them; `UserError` where there are none."""
    built = []
    with garbage_collector_paused():
        for document in documents:
            count_issues(document, issues, max_span_tokens=max_span_tokens)
            built.append(document)
    if not built:
        raise fault(path, "holds 0 documents: give a file with at least 1")
    return Corpus(documents=tuple(built), issues=issues)


class UniqueIds:
    """Ids that are unique in a corpus: the title itself, then `title#2`, `title#3` for its repeats, each counted."""

    def __init__(self, issues: Issues) -> None:
        self._issues = issues
        self._used: set[str] = set()
        self._next: dict[str, int] = {}

    def remember(self, ids: Iterable[str]) -> None:
        """Note ids that earlier documents have."""
        self._used.update(ids)

    def take(self, title: str | None, index: int) -> str:
        """An unused id for the document at `index` (from 0): its title, or `document-<index>` where that is empty."""
        name = title or f"document-{index}"
        if name not in self._used:
            self._used.add(name)
            return name
        number = self._next.get(name, 2)
        while f"{name}#{number}" in self._used:
            number += 1
        unique = f"{name}#{number}"
        self._used.add(unique)
        self._next[name] = number + 1
        self._issues.add("duplicate_title", f"document {index} is now {unique}")
        return unique


def unknown_type(kind: str, value: str, known: tuple[str, ...]) -> str:
    """The words for a type that the types file lacks, with the nearest that it has."""
    close = get_close_matches(value, known, n=3) or known[:6]
    more = "" if len(close) == len(known) else ", ..."
    return (
        f'is "{value}", which is none of the {len(known)} {kind} types of the types file ({", ".join(close)}{more}): '
        "add it there, or leave the types out to take them from the training file"
    )


class Conversion:
    """One document on its way from the form of its file to a `Document`: its position in the file, for messages.

    Types are checked against `labels` where these are there, and what is odd is counted in `issues`.
    """

    def __init__(
        self, path: Path | str, index: int, title: str | None, issues: Issues, labels: LabelSet | None
    ) -> None:
        self.path, self.index, self.title = path, index, title
        self.issues, self.labels = issues, labels

    def error(self, what: str, *, line: int | None = None) -> UserError:
        """The error for this document."""
        return fault(self.path, what, index=self.index, title=self.title, line=line)

    def check_index(self, field: str, value: int, size: int, limit: str) -> None:
        """Raise where a field does not index a list of `size`; `limit` says how long that is."""
        if not 0 <= value < size:
            raise self.error(f"field {field} is {value}, but {limit}: give 0 to {size - 1}")

    def check_type(
        self, subject: str, kind: Literal["entity", "relation"], value: str, *, line: int | None = None
    ) -> None:
        """Raise where the labels lack a type."""
        if self.labels is not None:
            known = self.labels.entity_types if kind == "entity" else self.labels.relation_types
            if value not in known:
                raise self.error(f"{subject} {unknown_type(kind, value, known)}", line=line)
