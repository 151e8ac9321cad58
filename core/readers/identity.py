"""Document ids that are unique within a corpus."""

from collections.abc import Iterable

from core.documents import Dirt


class Identities:
    """Hands out ids: the title itself, then `title#2`, `title#3` for its repeats, each repeat counted."""

    def __init__(self, dirt: Dirt) -> None:
        self._dirt = dirt
        self._given: set[str] = set()
        self._next: dict[str, int] = {}

    def remember(self, ids: Iterable[str]) -> None:
        """Ids that were handed out before."""
        self._given.update(ids)

    def take(self, wanted: str | None, index: int) -> str:
        """An unused id for the document at `index` (from 0): `wanted`, or `document-<index>` where it is empty."""
        name = wanted or f"document-{index}"
        if name not in self._given:
            self._given.add(name)
            return name
        number = self._next.get(name, 2)
        while f"{name}#{number}" in self._given:
            number += 1
        unique = f"{name}#{number}"
        self._given.add(unique)
        self._next[name] = number + 1
        self._dirt.add("duplicate_title", f"document {index} is now {unique}")
        return unique
