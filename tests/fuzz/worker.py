"""Worker process: runs one command line after another in itself, within limits, and says how each ended.

Starting Python and its libraries takes longer than most commands: ten thousand of them are run in a few processes.
"""

import contextlib
import io
import json
import os
import resource
import signal
import sys
import traceback
from typing import Any

import engram

KEPT_CACHES = ("core.config.presets", "core.config.signature", "core.model", "core.features.batches")
"""Modules whose caches hold nothing of a user's files."""


class TooLong(BaseException):
    """A command has used up its time."""


def stop(*_: object) -> None:
    """Interrupt a command whose time is over."""
    raise TooLong


def run_command(arguments: list[str], seconds: float) -> dict[str, Any]:
    """How a command line ends: exit code or traceback, output, CPU seconds."""
    streams = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2)]
    before = sys.stdin, sys.stdout, sys.stderr
    sys.stdin, (sys.stdout, sys.stderr) = io.TextIOWrapper(io.BytesIO()), streams
    code: Any = None
    crash, began = "", resource.getrusage(resource.RUSAGE_SELF)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        code = engram.main(arguments)
    except SystemExit as error:
        code = error.code
    except TooLong:
        crash = f"took longer than {seconds:.0f} s: {''.join(traceback.format_exc(limit=-3))}"
    except BaseException:  # noqa: BLE001 - what a command raises is a finding
        lines = traceback.format_exc(limit=-6)
        crash = lines[-3000:]
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        sys.stdin, sys.stdout, sys.stderr = before
    ended = resource.getrusage(resource.RUSAGE_SELF)
    out, err = (stream.buffer.getvalue().decode(errors="replace") for stream in streams)  # type: ignore[attr-defined]
    return {"code": code, "crash": crash, "out": out, "err": err, "seconds": ended.ru_utime - began.ru_utime}


def forget_files() -> None:
    """Empty the caches in which a process remembers files: the next command finds others under the same names."""
    for name, module in list(sys.modules.items()):
        if name.startswith(("core.", "studies.", "sweeps.", "reports.")) and not name.startswith(KEPT_CACHES):
            for value in list(vars(module).values()):
                with contextlib.suppress(AttributeError):
                    value.cache_clear()


def fake_search_engine() -> None:
    """Let a search compute its runs as made records: a journal that lost trials is otherwise a training."""
    from sweeps.engines.in_process import InProcessEngine
    from sweeps.engines.local import LocalEngine
    from tests.sweeps.search.fake_search import FakeRun

    engine = classmethod(lambda cls, options: InProcessEngine(FakeRun(lambda config: 40.0)))
    LocalEngine.from_options = engine  # type: ignore


def peak_mib() -> float:
    """The most memory that this process has held since that was last reset."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024


def main() -> None:
    """Answer requests, a JSON line each on stdin, by JSON lines on what was stdout."""
    answers = os.fdopen(os.dup(1), "w")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    signal.signal(signal.SIGPROF, stop)
    for line in sys.stdin.buffer:
        request = json.loads(line)
        if request["arguments"][:2] == ["study", "search"]:
            fake_search_engine()
        with open("/proc/self/clear_refs", "w") as counter:
            counter.write("5")
        answer = run_command(request["arguments"], request["seconds"])
        answers.write(json.dumps({**answer, "mib": peak_mib()}) + "\n")
        answers.flush()
        forget_files()


if __name__ == "__main__":
    main()
