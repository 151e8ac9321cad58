"""A driver and its run, killed before each of the changes that they make to files: every window, one by one."""

import json
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from sweeps.commands import LAUNCH_TIMINGS
from tests.sweeps.place import ROOT, STUDY, Place

ONE_RUN = STUDY | {"seeds": [0], "rows": {"plain": {"preset": "memory-mrc"}}}
BRIEF = ("--engine", "in-process", "--training.epochs", "2", "--training.batch-size", "4")
FEWEST = 80
"""Changes of files that a study of one brief run makes at least."""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path, ONE_RUN)
    yield place
    place.end()


def crash(place: Place, numbers: Sequence[int], *more: str) -> list[int]:
    """Kill before the n-th change for each n, go on, and compare with a run left in peace; the n that were killed."""
    plan = {
        "root": str(place.folder),
        "arguments": place.arguments("runs-{n}", *BRIEF, *more),
        "numbers": list(numbers),
    }
    (place.folder / "plan.json").write_text(json.dumps(plan))
    done = subprocess.run(
        [sys.executable, "-m", "tests.sweeps.crashes.crashing", str(place.folder / "plan.json")],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    told = [[int(word) for word in line.split()] for line in done.stdout.splitlines()]
    number, first, second = told[-1]
    assert (first, second) == (0, 0), "the last one is to live"
    whole = place.results(f"runs-{number}")
    assert len(whole) == 1
    files = names(place, f"runs-{number}")
    for number, first, second in told[:-1]:
        runs = f"runs-{number}"
        assert (number, first, second) == (number, -9, 0)
        assert place.leftovers(runs) == [], f"killed before change {number}"
        assert place.results(runs) == whole, f"killed before change {number}"
        assert names(place, runs) == files, f"killed before change {number}"
    return [number for number, _, _ in told[:-1]]


def names(place: Place, runs: str) -> list[str]:
    """Every file below a folder of runs, but for the account of a driver, which one that was killed does not leave."""
    root = place.folder / runs
    return sorted(
        path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file() and path.name != LAUNCH_TIMINGS
    )


def test_a_kill_between_any_two_changes_of_files_loses_nothing(place: Place) -> None:
    # Some of them each time, other ones each time, told with a failure; `make soak` takes all.
    numbers = sorted(random.SystemRandom().sample(range(1, FEWEST + 1), 6))
    assert crash(place, [*numbers, 1_000]) == numbers


@pytest.mark.slow
@pytest.mark.parametrize("keep", ["best", "none"])
def test_every_window_between_two_changes_of_files(place: Place, keep: str) -> None:
    killed = crash(place, range(1, 1_000), "--training.keep", keep)
    print(f"{len(killed)} windows")
    assert len(killed) >= FEWEST
