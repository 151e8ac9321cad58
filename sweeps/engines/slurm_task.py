"""Slurm task: `python -m sweeps.engines.slurm_task SUBMISSION N PROGRAM` computes the N-th folder of a submission."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec

from core.files import atomic_write
from core.progress import stop_on_signals
from core.records.record import RECORD
from sweeps.engines.engine import EndedRun
from sweeps.engines.local import LocalEngine

FOLDERS = "folders.json"


class TaskState(msgspec.Struct, frozen=True):
    """How a run ended (`EndedRun`), or `running`; kept in N.json beside the folders, empty while a task is queued.

    `recorded` is when its record was last written (ns), for hosts that may not see that yet.
    """

    status: str
    error: str | None = None
    recorded: int = 0


def compute(submission: Path, number: int, program: list[str]) -> None:
    """Compute a folder and write how it ended; at the time limit it is saved, and Slurm queues the task again."""
    folder = Path(msgspec.json.decode((submission / FOLDERS).read_bytes())[number])
    file = submission / f"{number}.json"
    atomic_write(file, msgspec.json.encode(TaskState("running")))
    engine = LocalEngine(jobs=1, threads=int(os.environ.get("SLURM_CPUS_PER_TASK", "1")), program=program)
    with stop_on_signals() as stop:
        engine.submit(folder)
        ended: list[EndedRun] = []
        while not ended:
            if stop.asked and not engine.is_cancelled:
                engine.cancel()
            ended = engine.wait(0.2)
        status, error = ended[0].status, ended[0].error
        # A worker that is asked while it loads torch is killed by that.
        if stop.signals == {signal.SIGUSR1} and status in ("interrupted", "killed"):
            atomic_write(file, b"")
            # SLURM_JOB_ID may be the id of the whole array.
            task = f"{os.environ['SLURM_ARRAY_JOB_ID']}_{os.environ['SLURM_ARRAY_TASK_ID']}"
            done = subprocess.run(["scontrol", "requeue", task], capture_output=True, text=True)
            if not done.returncode:
                return
            status, error = "preempted", f"its time was over, and Slurm did not queue it again: {done.stderr.strip()}"
        recorded = (folder / RECORD).stat().st_mtime_ns if (folder / RECORD).exists() else 0
        atomic_write(file, msgspec.json.encode(TaskState(status, error, recorded)))
    engine.close()


if __name__ == "__main__":
    compute(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
