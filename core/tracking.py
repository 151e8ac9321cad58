"""Following a run from outside: a small protocol, and the tracker that follows nothing.

A tracker mirrors what the run writes into its folder; it is never the source of a number.
"""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Tracker(Protocol):
    """Is told what a run does while it does it."""

    def start(self, config: Mapping[str, Any], *, run_id: str) -> None:
        """The run begins, with its resolved config."""

    def log(self, row: Mapping[str, Any], *, step: int) -> None:
        """A row of the history: losses, rates or validation measures at an optimiser step."""

    def finish(self, summary: Mapping[str, Any], *, status: str) -> None:
        """The run ends, with its final metrics."""


class NullTracker:
    """Follows nothing."""

    def start(self, config: Mapping[str, Any], *, run_id: str) -> None:
        """Do nothing."""

    def log(self, row: Mapping[str, Any], *, step: int) -> None:
        """Do nothing."""

    def finish(self, summary: Mapping[str, Any], *, status: str) -> None:
        """Do nothing."""
