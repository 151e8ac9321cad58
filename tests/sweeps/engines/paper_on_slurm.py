"""`python -m tests.sweeps.engines.paper_on_slurm FOLDER`: the quick `paper` study here and on a Slurm of its own.

Prints both wall times and what the driver cost, and fails where a table differs by a digit. About ten minutes.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

from core.records.record import read_record, run_folders
from tests.sweeps.engines.slurm_cluster import slurm_cluster
from tests.sweeps.real_study import ROOT

STUDY = ("paper", "--profile", "quick")


def engram(*words: str) -> str:
    """The stdout of a command, which must not fail."""
    command = [sys.executable, str(ROOT / "engram.py"), *words]
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def compute(runs: Path, *engine: str) -> str:
    """Compute the study, tell what it took, and return its table."""
    start = time.monotonic()
    engram("study", "run", *STUDY, "--wandb", "disabled", "--runs", str(runs), *engine)
    seconds = time.monotonic() - start
    computed = sum(record.seconds for folder in run_folders(runs) if (record := read_record(folder)) is not None)
    processors = os.cpu_count() or 1
    print(
        f"{runs.name}: {seconds:.1f} s for {computed:.1f} s of runs on {processors} processors: "
        f"{100 * (1 - computed / processors / seconds):.1f} % is no run's",
        flush=True,
    )
    return engram("report", *STUDY, "--runs", str(runs), "--out", str(runs / "report"))


if __name__ == "__main__":
    folder = Path(sys.argv[1]).absolute()
    with slurm_cluster(nodes=os.cpu_count() or 1, cpus=1):
        slurm = compute(folder / "slurm", "--engine", "slurm", "--slurm.poll-seconds", "2")
    local = compute(folder / "local")
    print(slurm)
    tables = [text.replace(str(folder / name), "") for text, name in ((slurm, "slurm"), (local, "local"))]
    sys.exit(None if tables[0] == tables[1] else f"the tables differ:\n{local}")
