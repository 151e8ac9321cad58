"""What an engine promises, and the simplest one: everything in this process.

An engine computes run folders that are ready (they hold config.yaml). It knows nothing of studies; it decides nothing:
what a folder's record says is what became of it. `tests/sweeps/engine_contract.py` holds every promise made here.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from core.errors import UserError


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


class InProcessEngine:
    """Computes a folder at a time inside `wait`, with the run function it is given: for debugging, and tiny studies.

    A run is in this very process, which has its limits: `wait` lasts as long as the run, a signal stops the run and so
    raises KeyboardInterrupt here after it has saved, and a run that kills its process takes the driver with it.
    """

    slots = 1

    def __init__(self, run: Callable[[Path], str]) -> None:
        self._run = run
        self._queue: deque[Path] = deque()
        self._ended: list[EndedRun] = []
        self._cancelled = False

    def submit(self, folder: Path) -> None:
        """Put a folder at the end of the queue."""
        if self._cancelled:
            self._ended.append(EndedRun(folder, "cancelled"))
        else:
            self._queue.append(folder)

    def wait(self, seconds: float) -> list[EndedRun]:
        """Compute the next folder, however long it takes."""
        if self._queue and not self._ended:
            folder = self._queue.popleft()
            try:
                self._ended.append(EndedRun(folder, self._run(folder)))
            except UserError as error:
                self._ended.append(EndedRun(folder, "refused", str(error)))
            except Exception as error:  # noqa: BLE001 - whatever a run dies of, the others go on
                self._ended.append(EndedRun(folder, "failed", f"{type(error).__name__}: {error}"))
            except KeyboardInterrupt:
                self._ended.append(EndedRun(folder, "interrupted"))
                raise
        ended, self._ended = self._ended, []
        return ended

    def cancel(self, *, now: bool = False) -> None:
        """Drop what waits; inside `wait` the run stops itself on a signal."""
        self._cancelled = True
        self._ended += [EndedRun(folder, "cancelled") for folder in self._queue]
        self._queue.clear()

    def close(self) -> None:
        """Start nothing more; nothing is held."""
        self.cancel()
