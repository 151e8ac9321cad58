"""A worker that speaks the real protocol and does what `job` in the folder says, without a model."""

import atexit
import os
import signal
import sys
import time
from pathlib import Path

from core.errors import UserError
from core.files import lock_folder
from core.progress import stop_on_signals
from core.run.worker import serve

JOB, DONE, STARTED, SAVED = "job", "done", "started", "saved"
LINGER = "fail and linger"
ANSWERS = os.dup(1)


def fake_run(folder: Path) -> str:
    """Finish, fail, refuse, raise, chat, die, or be slow, some with the folder locked, until somebody asks to stop."""
    job = (folder / JOB).read_text()
    if job == "refuse":
        raise UserError("refused as asked")
    if job == "raise":
        raise OSError("No space left on device")
    if job == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if job == "choke":
        # Half an answer is all that comes of this one.
        os.write(ANSWERS, b'{"folder": "')
        os.kill(os.getpid(), signal.SIGKILL)
    if job == "chat":
        os.write(ANSWERS, b"a library greets\n{}\n")
        atexit.register(lambda: print("a library says farewell", file=sys.__stdout__, flush=True))
    if job == "nap":
        time.sleep(0.2)
    if job == "slow":
        with stop_on_signals() as stop:
            (folder / STARTED).touch()
            while not stop.asked:
                time.sleep(0.01)
        (folder / SAVED).touch()
        raise KeyboardInterrupt
    if job == "locked":
        with lock_folder(folder), stop_on_signals() as stop:
            (folder / STARTED).write_text(str(os.getpid()))
            while not stop.asked:
                time.sleep(0.01)
        raise KeyboardInterrupt
    if job == "stuck":
        with stop_on_signals():
            (folder / STARTED).touch()
            while True:
                time.sleep(0.01)
    (folder / STARTED).write_text(str(os.getpid()))
    if job == LINGER:
        atexit.register(time.sleep, 60.0)
    if job in ("fail", LINGER):
        return "failed"
    with (folder / DONE).open("a") as file:
        file.write(f"{os.getpid()} {os.environ.get('OMP_NUM_THREADS')} {os.environ.get('CUDA_VISIBLE_DEVICES')}\n")
    print("words of the run")
    return "finished"


if __name__ == "__main__":
    print("a library greets while it is imported", flush=True)
    raise SystemExit(serve(fake_run))
