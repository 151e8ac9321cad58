"""Thresholds of decoding: other values than the run's for one command, and documents in which no score reached one."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from core.config.schema import ModelConfig
from core.errors import UserError

if TYPE_CHECKING:
    from core.model.decoder import Decoded, DecoderSettings


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


def explain_unreached(unreached: Mapping[str, Unreached], settings: "DecoderSettings") -> Iterator[str]:
    """A line for every kind of which some documents have no prediction."""
    for kind, counted in unreached.items():
        if counted.without:
            # Rounded down, so that it is below the threshold as written.
            highest, threshold = math.floor(100 * counted.highest) / 100, getattr(settings, f"{kind}_threshold")
            among = " with two entities or more" if kind == "relation" else ""
            yield (
                f"highest {kind} score {highest:.2f} below the threshold {threshold:g}: no {kind} in {counted.without} "
                f"of {counted.documents} documents{among} (--{kind}-threshold sets another)"
            )


def check_thresholds(*, mention: float | None, coref: float | None, relation: float | None) -> dict[str, float]:
    """Setting -> value of the thresholds that a command line names; a `UserError` where one is not in (0, 1)."""
    named = {"mention": mention, "coref": coref, "relation": relation}
    for kind, value in named.items():
        if value is not None and not 0 < value < 1:
            limit = "a threshold lies above 0 and below 1"
            raise UserError(f"--{kind}-threshold is {value:g}, but {limit}: give, for instance, 0.5")
    return {f"{kind}_threshold": value for kind, value in named.items() if value is not None}


def explain_overridden(thresholds: Mapping[str, float], model: ModelConfig) -> str:
    """What the thresholds of a command line replace."""
    pairs = (f"{name.replace('_', ' ')} {value:g} ({getattr(model, name):g})" for name, value in thresholds.items())
    return f"not the thresholds of the run (in brackets): {', '.join(pairs)}"
