"""Conversion of a document from the form of its file: what each format has to do, and how its faults are reported."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, TypeVar

import msgspec

from core.data.corpus import UniqueIds
from core.data.documents import Document, LabelSet
from core.data.issues import Issues
from core.errors import UserError, fault
from core.parsing import check_repeated_keys, may_repeat_keys, parse_json

RawDocument = TypeVar("RawDocument")


class Conversion(ABC, Generic[RawDocument]):
    """A document on its way from the form of its file to a `Document`; each format is a class of these.

    `index` is its position in the file. Types are checked against `labels` where these are there, and what is odd is
    counted in `issues`.
    """

    def __init__(
        self, raw: RawDocument, path: Path | str, index: int, issues: Issues, labels: LabelSet | None = None
    ) -> None:
        self.raw, self.path, self.index, self.issues, self.labels = raw, path, index, issues, labels

    @classmethod
    @abstractmethod
    def parse_file(cls, raw: bytes, path: Path | str, issues: Issues) -> Iterable[RawDocument]:
        """The documents of a file, not yet checked; raises `UserError`."""

    @classmethod
    @abstractmethod
    def parse_document(cls, raw: bytes, path: Path | str, *, index: int, line: int) -> RawDocument:
        """The document of a part of a file, which begins in `line` (from 1); raises `UserError`."""

    @abstractmethod
    def convert(self, ids: UniqueIds) -> Document:
        """The document; raises `UserError` that names it and its field."""

    @property
    def title(self) -> str | None:
        """The title, for messages."""
        return getattr(self.raw, "title", None)

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


class JsonConversion(Conversion[RawDocument]):
    """A document of a file of JSON: a list of objects, an object a line, or one object."""

    form: ClassVar[Any]
    """The type that msgspec decodes a document to."""
    unread: ClassVar[tuple[str, ...]] = ()
    """Keys that documents usually have and nothing reads."""

    @classmethod
    @abstractmethod
    def objects(cls, documents: Sequence[RawDocument]) -> Iterable[Sequence[msgspec.Struct]]:
        """The documents and all that their JSON objects became, those of one class together."""

    @classmethod
    def parse_file(cls, raw: bytes, path: Path | str, issues: Issues) -> Iterator[RawDocument]:
        if raw.lstrip()[:1] == b"[":
            values: list[msgspec.Raw] = parse_json(raw, list[msgspec.Raw], path, check_keys=False)
            yield from (cls.parse_object(bytes(value), path, index=index) for index, value in enumerate(values))
            return
        lines = [(number, line) for number, line in enumerate(raw.split(b"\n"), start=1) if line.strip()]
        if len(lines) > 1 and lines[0][1].strip() == b"{":
            # A single object that an editor has laid out over several lines.
            yield cls.parse_object(raw, path)
            return
        yield from (cls.parse_object(line, path, line=number) for number, line in lines)

    @classmethod
    def parse_document(cls, raw: bytes, path: Path | str, *, index: int, line: int) -> RawDocument:
        return cls.parse_object(raw, path, index=index, line=line)

    @classmethod
    def parse_object(
        cls, raw: bytes, path: Path | str, *, index: int | None = None, line: int | None = None
    ) -> RawDocument:
        document: RawDocument = parse_json(raw, cls.form, path, index=index, line=line, check_keys=False)
        if may_repeat_keys(raw, cls.objects([document]), cls.unread):
            check_repeated_keys(raw, path, index=index, line=line)
        return document


def unknown_type(kind: str, value: str, known: tuple[str, ...]) -> str:
    """The words for a type that the types file lacks, with the nearest that it has."""
    close = get_close_matches(value, known, n=3) or known[:6]
    more = "" if len(close) == len(known) else ", ..."
    return (
        f'is "{value}", which is none of the {len(known)} {kind} types of the types file ({", ".join(close)}{more}): '
        "add it there, or leave the types out to take them from the training file"
    )
