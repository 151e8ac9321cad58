"""Thresholds on the command line: other values than the run's for one command, and what none of its scores reached."""

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from core.config.schema import ModelConfig
from core.errors import UserError
from core.model.thresholds import Unreached

if TYPE_CHECKING:
    from core.model.decoder import DecoderSettings


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
