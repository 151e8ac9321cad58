"""`python -m tests.bench.precision [PRESET] [--seeds 5] [--jobs 2]`: F1 after training in bf16 and in fp32.

Both formats train the quick profile on the embedded corpus at the same seeds, a process a run. Finished runs stay in
the folder, so that a second call goes on where the first one stopped. Differences are paired by seed.
"""

import argparse
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from core.datasets import with_paths
from core.metrics import TASKS
from core.presets import build
from core.record import RunRecord, open_run_folder, read_record
from core.signature import run_id
from studies.pairing import paired_difference
from studies.statistics import summarize

FORMATS = ("fp32", "bf16")
Scores = dict[int, float]
"""Seed -> F1."""


def open_run(preset: str, precision: str, seed: int, runs: Path) -> Path:
    """The folder of one run of the quick profile, its config written."""
    row = {"seed": seed, "training": {"precision": precision}, "tracking": {"wandb": "disabled"}}
    config = build(preset, profile="quick", row=row)
    config = config.model_copy(update={"data": with_paths(config.data)})
    folder = runs / run_id(config)
    open_run_folder(folder, config)
    return folder


def compute(folder: Path) -> RunRecord:
    """The record of a run, which a process of its own computes where it is not there.

    Raises:
        SystemExit: the run did not finish.
    """
    done = read_record(folder)
    if done is None or done.status != "finished":
        subprocess.run([sys.executable, "-m", "core.run", str(folder)], check=False)
        done = read_record(folder)
    if done is None or done.status != "finished":
        raise SystemExit(f"{folder}: {done.status if done else 'no record'}: {(done and done.error) or 'see above'}")
    return done


def line(name: str, fp32: Scores, bf16: Scores) -> str:
    """A row of the table: both means, and the paired difference with its 95 % t-interval."""
    difference = paired_difference(bf16, fp32)
    shown = [f"{part.mean:.2f} ± {part.std:.2f}" for part in (summarize(fp32.values()), summarize(bf16.values()))]
    low, high = difference.interval
    return f"| {name} | {' | '.join(shown)} | {difference.mean:+.2f} [{low:+.2f}, {high:+.2f}] |"


def main() -> None:
    """Train both formats at every seed and print the paired differences."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.precision", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("preset", nargs="?", default="memory-mrc", help="a shipped preset (memory-mrc)")
    parser.add_argument("--seeds", type=int, default=5, help="how many seeds, from 0 on (5)")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time (1)")
    parser.add_argument("--runs", type=Path, default=Path("runs/precision"), help="where run folders lie")
    given = parser.parse_args()
    # Seeds outside: a call that is cut off leaves whole pairs.
    wanted = [(seed, precision) for seed in range(given.seeds) for precision in FORMATS]
    folders = [open_run(given.preset, precision, seed, given.runs) for seed, precision in wanted]
    with ThreadPoolExecutor(given.jobs) as pool:
        records = dict(zip(wanted, pool.map(compute, folders), strict=True))
    print(f"| {given.preset}, {given.seeds} seeds, F1 | fp32 | bf16 | bf16 - fp32, 95 % interval |\n|---|---|---|---|")
    for task in TASKS:
        scores = [
            {seed: float(records[seed, name].metrics["test"][task]["f1"]) for seed in range(given.seeds)}
            for name in FORMATS
        ]
        print(line(task, *scores))
    seconds = [summarize(records[seed, name].seconds for seed in range(given.seeds)).mean for name in FORMATS]
    print(f"| seconds | {seconds[0]:.1f} | {seconds[1]:.1f} | |")


if __name__ == "__main__":
    main()
