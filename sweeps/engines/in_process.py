"""In-process engine: one run after another inside the driver's own process, to debug and for tiny studies."""

from collections import deque
from collections.abc import Callable
from pathlib import Path

from core.errors import UserError
from sweeps.engines.engine import EndedRun


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
