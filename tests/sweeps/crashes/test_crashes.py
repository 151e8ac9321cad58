"""A driver and its run, killed before each of the changes that they make to files: every window, one by one."""

import json
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from sweeps.commands import DRIVER_LOG
from tests.sweeps.real_study import ROOT, STUDY, RealStudy

ONE_RUN = STUDY | {"seeds": [0], "rows": {"plain": {"preset": "memory-mrc"}}}
BRIEF = ("--engine", "in-process", "--training.epochs", "2", "--training.batch-size", "4")
FEWEST = 80
"""Changes of files that a study of one brief run makes at least."""


@pytest.fixture
def study(tmp_path: Path) -> Iterator[RealStudy]:
    study = RealStudy(tmp_path, ONE_RUN)
    yield study
    study.end()


def crash(study: RealStudy, numbers: Sequence[int], *more: str) -> list[int]:
    """Kill before the n-th change for each n, resume, and compare with a run left in peace; the n that were killed."""
    plan = {
        "root": str(study.folder),
        "arguments": study.arguments("runs-{n}", *BRIEF, *more),
        "numbers": list(numbers),
    }
    (study.folder / "plan.json").write_text(json.dumps(plan))
    done = subprocess.run(
        [sys.executable, "-m", "tests.sweeps.crashes.crashing", str(study.folder / "plan.json")],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    results = [[int(word) for word in line.split()] for line in done.stdout.splitlines()]
    number, first, second = results[-1]
    assert (first, second) == (0, 0), "the last command is not killed"
    whole = study.results(f"runs-{number}")
    assert len(whole) == 1
    files = names(study, f"runs-{number}")
    for number, first, second in results[:-1]:
        runs = f"runs-{number}"
        assert (number, first, second) == (number, -9, 0)
        assert study.leftovers(runs) == [], f"killed before change {number}"
        assert study.results(runs) == whole, f"killed before change {number}"
        assert names(study, runs) == files, f"killed before change {number}"
    return [number for number, _, _ in results[:-1]]


def names(study: RealStudy, runs: str) -> list[str]:
    """Every file below a folder of runs, but for the timing of a driver, which one that was killed does not leave."""
    root = study.folder / runs
    return sorted(
        path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file() and path.name != DRIVER_LOG
    )


def test_a_kill_between_any_two_changes_of_files_loses_nothing(study: RealStudy) -> None:
    # Some of them each time, other ones each time, shown with a failure; `make soak` takes all.
    numbers = sorted(random.SystemRandom().sample(range(1, FEWEST + 1), 6))
    assert crash(study, [*numbers, 1_000]) == numbers


@pytest.mark.slow
@pytest.mark.parametrize("keep", ["best", "none"])
def test_every_window_between_two_changes_of_files(study: RealStudy, keep: str) -> None:
    killed = crash(study, range(1, 1_000), "--training.keep", keep)
    print(f"{len(killed)} windows")
    assert len(killed) >= FEWEST
