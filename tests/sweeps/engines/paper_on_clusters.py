"""`python -m tests.sweeps.engines.paper_on_clusters FOLDER slurm ray`: the quick `paper` study here and on clusters.

Prints all wall times and what the driver cost, and fails where a table differs by a digit. Some five minutes each.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

from core.records.record import read_record, run_folders
from tests.sweeps.engines.ray_cluster import add_node, ray_cluster
from tests.sweeps.engines.slurm_cluster import slurm_cluster
from tests.sweeps.real_study import ROOT

STUDY = ("paper", "--profile", "quick")
TIMED = ("runs.csv", "cost.csv")


def engram(*words: str) -> str:
    """The stdout of a command, which must not fail."""
    command = [sys.executable, str(ROOT / "engram.py"), *words]
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def compute(runs: Path, *engine: str) -> dict[str, str]:
    """Compute the study, tell what it took, and return its tables of scores."""
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
    print(engram("report", *STUDY, "--runs", str(runs), "--out", str(runs / "report"), "--documents", "0"))
    # What runs cost is not the same twice.
    return {path.name: path.read_text() for path in (runs / "report").glob("*.csv") if path.name not in TIMED}


def on_slurm(runs: Path) -> dict[str, str]:
    """The tables from a Slurm with a node per processor."""
    with slurm_cluster(nodes=os.cpu_count() or 1, cpus=1):
        return compute(runs, "--engine", "slurm", "--slurm.poll-seconds", "2")


def on_ray(runs: Path) -> dict[str, str]:
    """The tables from a Ray cluster with a node per processor."""
    with ray_cluster(cpus=1) as cluster:
        for _ in range(1, os.cpu_count() or 1):
            add_node(cluster, num_cpus=1)
        return compute(runs, "--engine", "ray", "--ray.address", cluster.address)


if __name__ == "__main__":
    folder = Path(sys.argv[1]).absolute()
    on_cluster = {"slurm": on_slurm, "ray": on_ray}
    tables = {name: on_cluster[name](folder / name) for name in sys.argv[2:]}
    local = compute(folder / "local")
    different = [
        f"{name}/{table}"
        for name, found in tables.items()
        for table in sorted(found.keys() | local.keys())
        if found.get(table) != local.get(table)
    ]
    print(f"{len(local)} tables compared")
    sys.exit(f"the tables differ: {', '.join(different)}" if different else 0)
