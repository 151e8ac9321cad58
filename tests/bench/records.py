"""`python -m tests.bench.records [--rows 2000] [--seeds 5]`: what a report of many records costs.

Makes a study of rows x seeds finished runs in a temporary folder, each record with the scores of five tasks and of 96
relation types on two splits (some 40 kB, as of DocRED), then runs `engram report` on it in a process of its own and
prints that process' seconds, processor seconds and peak memory. The aim: 10,000 records in 10 s and 1 GB.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from core.records.record import RECORD
from studies.rows import Row
from tests.reports.records import make_run, make_study, part_of, scores_of

TYPES = 96


def make_records(runs: Path, rows: int, seeds: int) -> None:
    """A study of so many rows and seeds, its records copies of one but for id, preset, seed and scores."""
    named = {f"row{number}": Row("memory-grc" if number else "jerex-grc") for number in range(rows)}
    missing = {row: dict.fromkeys(range(seeds)) for row in named}
    make_study(runs, missing, rows=named)
    types = {f"P{number}": part_of(30.0 + number % 20, gold=100) for number in range(TYPES)}
    scores = scores_of(38.0)
    scores["extra"]["by_relation_type"] = types
    folder = make_run(runs, "pattern", 0, preset="memory-grc", metrics={"validation": scores, "test": scores})
    text = (folder / RECORD).read_text()
    draws = np.random.default_rng(0).normal(38.0, 0.3, (rows, seeds))
    for row in range(rows):
        for seed in range(seeds):
            signature = f"{row:012x}"
            own = text.replace('"pattern-s0"', f'"{signature}-s{seed}"').replace("38.0", repr(float(draws[row, seed])))
            place = runs / signature / f"s{seed}"
            place.mkdir(parents=True)
            (place / RECORD).write_text(own)


def main() -> None:
    """Make the records, report them, print the costs as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=2_000)
    parser.add_argument("--seeds", type=int, default=5)
    sizes = parser.parse_args()
    with tempfile.TemporaryDirectory() as held:
        runs = Path(held)
        make_records(runs, sizes.rows, sizes.seeds)
        command = [sys.executable, "-m", "engram", "report", "made", "--runs", held]
        started = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - started
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    told = {"records": sizes.rows * sizes.seeds, "seconds": round(seconds, 2)}
    told |= {"processor_seconds": round(used.ru_utime + used.ru_stime, 2), "peak_mib": round(used.ru_maxrss / 1024)}
    print(json.dumps(told))


if __name__ == "__main__":
    main()
