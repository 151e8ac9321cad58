"""Engine interface: what everything that computes run folders promises to the driver of a study.

An engine computes run folders that are ready (they hold config.yaml). It knows nothing of studies and decides nothing:
what a folder's record says is what became of the run. `tests/sweeps/engines/engine_contract.py` tests every promise.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self


@dataclass(frozen=True)
class EndedRun:
    """A run folder that an engine is done with.

    `status` is that of the record the run wrote; `refused` where it could not be computed at all; `failed` also where
    the record could not be written; `interrupted` where it was asked to stop, and saved; `preempted` where a scheduler
    took its time or node away; `killed` where its process died; `cancelled` where it never started.
    """

    folder: Path
    status: str
    error: str | None = None


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """What the command line says about engines; each uses what concerns it and refuses what it cannot do."""

    runs: Path
    """The folder of run folders."""
    jobs: int | None
    """How many runs at once; None leaves it to the engine."""
    devices: tuple[str, ...]
    default_jobs: Callable[[], int]
    """How many runs at once this machine has room for."""
    run: Callable[[Path], str]
    """Computes a run folder in this process and returns the status of its record."""
    own: Any = None
    """What the engine's own flags say: an object of its `options_type`."""
    detach: bool = False
    """Whether the runs are to be left to the engine (`DetachedEngine.detach`)."""


class Engine(ABC):
    """Computes run folders, up to `slots` at once, in the order in which they were submitted."""

    slots: int
    in_process = False
    """Whether runs are computed in this process, and so print on its screen."""
    on_this_machine = True
    """Whether runs take this machine's memory."""
    options_type: ClassVar[type[Any] | None] = None
    """The engine's own options: a dataclass whose fields become its flags, and whose docstring is their help."""

    def __init__(self) -> None:
        self._queue: deque[Path] = deque()
        self._ended: list[EndedRun] = []
        self._cancelled = False

    @classmethod
    @abstractmethod
    def from_options(cls, options: EngineOptions) -> Self:
        """Build the engine that the command line asks for; a UserError for options that it does not have."""

    @property
    def at_once(self) -> int | None:
        """How many runs are computed at once, None where a scheduler decides."""
        return self.slots

    @property
    def is_cancelled(self) -> bool:
        """Whether it starts nothing more."""
        return self._cancelled

    def submit(self, folder: Path) -> None:
        """Take a folder; it starts as soon as a slot is free, at the latest during `wait`. Returns at once."""
        if self._cancelled:
            self._ended.append(EndedRun(folder, "cancelled"))
        else:
            self._queue.append(folder)

    def has(self, folder: Path) -> bool:
        """Whether it computes this folder already, for an earlier driver: submitting it then follows that job."""
        return False

    @abstractmethod
    def wait(self, seconds: float) -> list[EndedRun]:
        """The folders that ended since the last call: each exactly once; waits for the first up to some seconds.

        Returns at once where nothing is waiting or running. A run that fails, or whose process dies, ends; it does not
        raise, and the others continue. A folder that ended may be submitted again.
        """

    def cancel(self, *, now: bool = False) -> None:
        """Start nothing more; the running ones save and stop, or with `now` are killed.

        All of them still end: what waits, and what is submitted later, as `cancelled`.
        """
        self._cancelled = True
        self._ended += [EndedRun(folder, "cancelled") for folder in self._queue]
        self._queue.clear()

    @abstractmethod
    def close(self) -> None:
        """Release everything: no process of the engine is left. Closing twice does no harm."""

    def _take_ended(self) -> list[EndedRun]:
        ended, self._ended = self._ended, []
        return ended


class DetachedEngine(Engine):
    """An engine whose runs continue when this process has ended: a scheduler has them."""

    @abstractmethod
    def detach(self) -> None:
        """Leave what was submitted to itself; `close` then ends none of it."""
