"""Worker process: computes the run folders named on stdin, one after another, and answers with a line each on stdout.

Loading torch and transformers takes seconds; a worker that stays loads them once. A worker never outlives the process
that started it: the end of its stdin asks the run to save and stop, and a run that does not is killed.
"""

import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from core.errors import UserError

LOG = "log.txt"
"""What is printed while a worker computes a run, in the folder of that run."""
SAVE_SECONDS = 60.0
"""How long a run may take to save once the process that started the worker is gone."""


class Answer(msgspec.Struct, frozen=True):
    """The outcome of a folder: the status of its record, or `refused` where it could not be computed at all."""

    folder: str
    status: str
    error: str | None = None
    last: bool = False
    """Whether the worker ends now, so that nothing that went wrong reaches the next run."""


def serve(run: Callable[[Path], str]) -> int:
    """Compute folders until stdin ends; `run` returns the status of the record that it wrote.

    0 when stdin ended; 1 after a run that failed, as its leftovers might hurt the next; 130 after a stop by signal.
    """
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    # What else is printed, also between runs and at the very end, must not be taken for an answer.
    os.dup2(2, 1)
    lines: queue.Queue[str | None] = queue.Queue()
    busy, abandoned = threading.Event(), threading.Event()
    threading.Thread(target=_listen, args=(lines, busy, abandoned), daemon=True).start()
    while (line := lines.get()) is not None:
        folder = Path(line)
        busy.set()
        if abandoned.is_set():
            return 130
        with _logged(folder):
            answer = _compute(run, folder)
        busy.clear()
        exit_code = {"interrupted": 130, "failed": 1, "refused": 1}.get(answer.status)
        try:
            answer = msgspec.structs.replace(answer, last=exit_code is not None)
            answers.write(msgspec.json.encode(answer).decode() + "\n")
        except BrokenPipeError:
            return 1
        if exit_code is not None:
            return exit_code
    return 0


def _compute(run: Callable[[Path], str], folder: Path) -> Answer:
    try:
        return Answer(str(folder), run(folder))
    except UserError as error:
        return Answer(str(folder), "refused", str(error))
    except KeyboardInterrupt:
        return Answer(str(folder), "interrupted")
    except Exception as error:  # noqa: BLE001 - a full disk, say, where not even the record could be written
        traceback.print_exc()
        return Answer(str(folder), "failed", f"{type(error).__name__}: {error}")


def _listen(lines: "queue.Queue[str | None]", busy: threading.Event, abandoned: threading.Event) -> None:
    """Pass on the lines of stdin; its end stops the worker, whatever it is doing."""
    # Not sys.stdin: it would wait for a block to fill.
    with os.fdopen(os.dup(0), "r") as stdin:
        for line in iter(stdin.readline, ""):
            lines.put(line.rstrip("\n"))
    abandoned.set()
    lines.put(None)
    if busy.is_set():
        os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(SAVE_SECONDS)
    os._exit(1)


@contextmanager
def _logged(folder: Path) -> Iterator[None]:
    """Send what is printed, also by libraries, to the log of the run."""
    try:
        log = os.open(folder / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    except OSError:
        log = os.open(os.devnull, os.O_WRONLY)
    before = [os.dup(number) for number in (1, 2)]
    try:
        for number in (1, 2):
            os.dup2(log, number)
        yield
    finally:
        # On a full disk the log loses its end; the worker must not be lost with it.
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):
                stream.flush()
        for number, old in zip((1, 2), before, strict=True):
            os.dup2(old, number)
            os.close(old)
        os.close(log)
