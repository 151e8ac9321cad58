"""Progress of long work on stderr: a live bar in a terminal, a plain line now and then elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

PLAIN_SECONDS = 15.0


class Meter:
    """Counts work that is done, with a text beside it."""

    def __init__(self, title: str, total: int, progress: Progress | None) -> None:
        self.title, self.total, self.done, self.text = title, total, 0, ""
        self._progress = progress
        self._task = progress.add_task(title, total=total, text="") if progress else None
        self._start = self._said = time.monotonic()

    def advance(self, amount: int = 1, text: str | None = None) -> None:
        """Count work and, where a text is given, show it."""
        self.done += amount
        self.text = self.text if text is None else text
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, advance=amount, text=self.text)
        elif time.monotonic() - self._said >= PLAIN_SECONDS:
            self._said = time.monotonic()
            left = (self._said - self._start) / max(1, self.done) * (self.total - self.done)
            say(f"{self.title} {self.done}/{self.total}  {self.text}  {left:.0f} s left")


def say(line: str) -> None:
    """A plain line of progress."""
    print(line, file=sys.stderr, flush=True)


@contextmanager
def meter(title: str, total: int) -> Iterator[Meter]:
    """A meter that shows itself while the work goes on."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Meter(title, total, None)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[text]}"),
    )
    with Progress(*columns, console=console) as progress:
        yield Meter(title, total, progress)
