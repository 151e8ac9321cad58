"""What an engine promises, and the simplest one: everything in this process.

An engine computes run folders that are ready (they hold config.yaml). It knows nothing of studies; it decides nothing:
what a folder's record says is what became of it. `tests/sweeps/engine_contract.py` holds every promise made here.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable


@dataclass(frozen=True)
class Ended:
    """A folder that an engine is done with.

    `status` is that of the record the run wrote, `refused` where it could not be computed at all, `died` where its
    process died of something else than the run's own failure, or `cancelled` where it never started.
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

    def wait(self, seconds: float) -> list[Ended]:
        """The folders that ended since the last call: each exactly once; waits for the first up to some seconds.

        A run that fails, or whose process dies, ends; it does not raise, and the others go on.
        """

    def cancel(self, *, now: bool = False) -> None:
        """Start nothing more; the running ones save and stop, or with `now` are killed. All of them still end."""

    def close(self) -> None:
        """Release everything: no process of the engine is left."""


class InProcessEngine:
    """Computes a folder at a time inside `wait`, with the run function it is given: for debugging, and tiny studies."""

    slots = 1

    def __init__(self, run: Callable[[Path], str]) -> None:
        self._run = run
        self._queue: deque[Path] = deque()
        self._ended: list[Ended] = []

    def submit(self, folder: Path) -> None:
        """Put a folder at the end of the queue."""
        self._queue.append(folder)

    def wait(self, seconds: float) -> list[Ended]:
        """Compute the next folder, however long it takes."""
        if self._queue and not self._ended:
            folder = self._queue.popleft()
            try:
                self._ended.append(Ended(folder, self._run(folder)))
            except Exception as error:  # noqa: BLE001 - whatever a run dies of, the others go on
                self._ended.append(Ended(folder, "refused", str(error) or type(error).__name__))
            except KeyboardInterrupt:
                self._ended.append(Ended(folder, "interrupted"))
                self.cancel()
        ended, self._ended = self._ended, []
        return ended

    def cancel(self, *, now: bool = False) -> None:
        """Drop what waits; inside `wait` the run stops itself on a signal."""
        self._ended += [Ended(folder, "cancelled") for folder in self._queue]
        self._queue.clear()

    def close(self) -> None:
        """Nothing is held."""
