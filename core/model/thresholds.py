"""Thresholds of decoding: the documents in which no score reached one."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from core.model.decoder import Decoded


class Unreached(msgspec.Struct, frozen=True):
    """Of `documents` that could have a prediction of a kind, those `without` one, and the highest score in these."""

    documents: int = 0
    without: int = 0
    highest: float = 0.0

    def add(self, best: float | None) -> "Unreached":
        """With one more document; `best` is its highest score where it has no such prediction, else None."""
        return Unreached(self.documents + 1, self.without + (best is not None), max(self.highest, best or 0.0))


def count_unreached(
    decoded: Sequence["Decoded"], before: Mapping[str, Unreached] | None = None
) -> dict[str, Unreached]:
    """`mention` and, of documents with a pair of entities, `relation`, added to those of the documents before."""
    mention, relation = ((before or {}).get(kind, Unreached()) for kind in ("mention", "relation"))
    for prediction in decoded:
        mention = mention.add(prediction.best_mention)
        if len(prediction.annotation.entities) > 1:
            relation = relation.add(prediction.best_relation)
    return {"mention": mention, "relation": relation}
