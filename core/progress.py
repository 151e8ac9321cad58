"""Progress bars on stderr (a line now and then where there is no terminal), and requests to stop long work.

The first signal asks for a stop at the next safe place, a second Ctrl-C stops at once.
"""

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Literal

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

PLAIN_SECONDS = 15.0
Unit = Literal["items", "bytes"]


class ProgressBar:
    """Counts work that is done, with a text next to it; where the total is not known, only the text is shown."""

    def __init__(self, title: str, total: int | None, progress: Progress | None, *, unit: Unit = "items") -> None:
        self.title, self.total, self.done, self.unit, self.text = title, total, 0, unit, ""
        self._progress = progress
        self._task = progress.add_task(title, total=total, text="") if progress else None
        self._before = 0
        self._start = self._shown = time.monotonic()

    def resume(self, done: int) -> None:
        """Begin where so much was done earlier, which does not count for the speed."""
        self.done = self._before = done
        self._start = self._shown = time.monotonic()
        if self._progress is not None and self._task is not None:
            self._progress.reset(self._task, completed=done)

    def advance(self, amount: int = 1, text: str | None = None) -> None:
        """Count work and, where a text is given, show it."""
        self.done += amount
        self.text = self.text if text is None else text
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, advance=amount, text=self.text)
        elif time.monotonic() - self._shown >= PLAIN_SECONDS:
            self._shown = time.monotonic()
            say(self._line())

    def _line(self) -> str:
        if self.total is None:
            return f"{self.title}  {self.text}"
        seconds = (self._shown - self._start) / max(1, self.done - self._before) * (self.total - self.done)
        share = f"{self.done}/{self.total}" if self.unit == "items" else f"{self.done / max(1, self.total):.0%}"
        return f"{self.title} {share}  {self.text}  {seconds:.0f} s left"


def say(line: str) -> None:
    """A plain line of progress; a full disk under the log is no reason to stop."""
    with suppress(OSError):
        print(line, file=sys.stderr, flush=True)


@contextmanager
def progress_bar(title: str, total: int | None, *, unit: Unit = "items") -> Iterator[ProgressBar]:
    """A progress bar, shown while this lasts; bytes are shown as a percentage of their total."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield ProgressBar(title, total, None, unit=unit)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn() if unit == "items" else TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[text]}"),
    )
    with Progress(*columns, console=console) as progress:
        yield ProgressBar(title, total, progress, unit=unit)


# SIGUSR1 is what schedulers send some time before a time limit.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


class StopRequest:
    """A request to stop, as signals make it."""

    def __init__(self) -> None:
        self.signals: set[int] = set()
        """The signals that came."""

    @property
    def asked(self) -> bool:
        """Whether any came."""
        return bool(self.signals)

    def ask(self, number: int, frame: FrameType | None) -> None:
        """Remember the first request; raise KeyboardInterrupt on a second Ctrl-C."""
        if self.asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signals.add(number)


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """A stop request that signals set while this lasts; outside the main thread nothing sets it."""
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.signal(number, request.ask) for number in SIGNALS}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
