"""What an engine promises, and the simplest one: everything in this process.

An engine computes run folders that are ready (they hold config.yaml). It knows nothing of studies; it decides nothing:
what a folder's record says is what became of it. `tests/sweeps/engine_contract.py` holds every promise made here.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable


@dataclass(frozen=True)
class EndedRun:
    """A folder that an engine is done with.

    `status` is that of the record the run wrote, `refused` where it could not be computed at all, `failed` also where
    the record could not be written, `interrupted` where it was told to stop and saved, `died` where its process died of
    something else than the run's own failure, or `cancelled` where it never started.
    """

    folder: Path
    status: str
    error: str | None = None


@runtime_checkable
class Engine(Protocol):
    """Computes run folders, up to `slots` at once, in the order in which they were submitted."""

    slots: int

    def submit(self, folder: Path) -> None:
        """Take a folder; it starts as soon as a slot is free. Returns at once."""

    def wait(self, seconds: float) -> list[EndedRun]:
        """The folders that ended since the last call: each exactly once; waits for the first up to some seconds.

        Returns at once where nothing is under way. A run that fails, or whose process dies, ends; it does not raise,
        and the others go on. A folder that ended may be submitted again.
        """

    def cancel(self, *, now: bool = False) -> None:
        """Start nothing more; the running ones save and stop, or with `now` are killed.

        All of them still end: what waits, and what is submitted later, as `cancelled`.
        """

    def close(self) -> None:
        """Release everything: no process of the engine is left. Closing twice does no harm."""
