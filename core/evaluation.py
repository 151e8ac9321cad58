"""A model on a split: predictions, counts per document, and every score."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from core.decode import Decoder
from core.diagnostics import count_documents, evaluate
from core.documents import Annotation, Dirt, Document
from core.metrics import DocumentCounts
from core.training_facts import Fact
from core.wordpieces import EncodedDocument


@dataclass(frozen=True)
class SplitResult:
    """What a model says about a split, and how good that is: `scores` as in a record."""

    documents: list[Document]
    annotations: list[Annotation]
    counts: list[DocumentCounts]
    scores: dict[str, Any]


def evaluate_split(
    decoder: Decoder,
    documents: Sequence[EncodedDocument],
    *,
    reading: float,
    dirt: Dirt,
    facts: frozenset[Fact] | None = None,
    on_gold: bool = False,
    advance: Callable[[int], None] = lambda done: None,
) -> SplitResult:
    """Decode and score documents that have gold.

    `extra.ranking` is over all relation candidates, accepted or not. With `on_gold` the documents are decoded a second
    time on gold mentions and clusters: `extra.on_gold` holds the relation scores that no mention gain can lift.
    """
    decoded = decoder.decode(documents, reading=reading, dirt=dirt, advance=advance)
    plain = [one.document for one in documents]
    annotations = [one.annotation for one in decoded]
    candidates = [msgspec.structs.replace(one.annotation, relations=one.ranked) for one in decoded]
    scores: dict[str, Any] = msgspec.to_builtins(evaluate(plain, annotations, facts, candidates))
    if on_gold:
        given = decoder.decode(documents, reading=reading, dirt=Dirt(), on_gold=True)
        on = msgspec.to_builtins(evaluate(plain, [one.annotation for one in given]))
        scores["extra"]["on_gold"] = {name: on[name] for name in ("entity", "relation", "relation_strict")}
    return SplitResult(plain, annotations, count_documents(plain, annotations), scores)
