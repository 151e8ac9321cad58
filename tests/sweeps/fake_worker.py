"""A worker that speaks the real protocol and does what `job` in the folder says, without a model."""

import os
import signal
import time
from pathlib import Path

from core.errors import UserError
from core.stopping import stop_on_signals
from core.worker import serve

JOB, DONE = "job", "done"


def fake_run(folder: Path) -> str:
    """Finish, fail, refuse, raise, die, or be slow until somebody asks to stop."""
    job = (folder / JOB).read_text()
    if job == "refuse":
        raise UserError("refused as asked")
    if job == "raise":
        raise OSError("No space left on device")
    if job == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if job == "slow":
        with stop_on_signals() as stop:
            (folder / "started").touch()
            while not stop.asked:
                time.sleep(0.01)
        (folder / "saved").touch()
        raise KeyboardInterrupt
    if job == "stuck":
        with stop_on_signals():
            (folder / "started").touch()
            while True:
                time.sleep(0.01)
    if job == "fail":
        return "failed"
    with (folder / DONE).open("a") as file:
        file.write(f"{os.getpid()} {os.environ.get('OMP_NUM_THREADS')} {os.environ.get('CUDA_VISIBLE_DEVICES')}\n")
    print("words of the run")
    return "finished"


if __name__ == "__main__":
    raise SystemExit(serve(fake_run))
