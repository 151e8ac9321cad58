"""In-process engine: one run after another inside the driver's own process."""

from collections.abc import Callable
from pathlib import Path
from typing import Self

from core.errors import UserError
from sweeps.engines.engine import EndedRun, Engine, EngineOptions


class InProcessEngine(Engine):
    """One run after another in this process, with its output on the screen: to debug.

    `wait` lasts as long as the run; a signal stops the run, and raises KeyboardInterrupt here after it has saved; a run
    that kills its process takes the driver with it. `run` computes a folder and returns the status of its record.
    """

    slots = 1
    in_process = True

    def __init__(self, run: Callable[[Path], str]) -> None:
        super().__init__()
        self._run = run

    @classmethod
    def from_options(cls, options: EngineOptions) -> Self:
        """Build it: one run at a time, on the device that the run's config names."""
        if (options.jobs or 1) > 1 or options.devices:
            raise UserError(
                "--engine in-process computes one run at a time in this process: leave out --jobs and --devices"
            )
        return cls(options.run)

    def wait(self, seconds: float) -> list[EndedRun]:
        """Compute the next folder, however long it takes."""
        if self._queue and not self._ended:
            folder = self._queue.popleft()
            try:
                self._ended.append(EndedRun(folder, self._run(folder)))
            except UserError as error:
                self._ended.append(EndedRun(folder, "refused", str(error)))
            except Exception as error:  # noqa: BLE001 - whatever goes wrong in one run, the others continue
                self._ended.append(EndedRun(folder, "failed", f"{type(error).__name__}: {error}"))
            except KeyboardInterrupt:
                self._ended.append(EndedRun(folder, "interrupted"))
                raise
        return self._take_ended()

    def close(self) -> None:
        """Start nothing more; no resource is held."""
        self.cancel()
