"""A study whose workers and drivers are killed at random moments ends with the records of one left in peace."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.records.record import RECORD
from tests.sweeps.crashes.soak import Soak, draw_kills
from tests.sweeps.real_study import STUDY, RealStudy

KEY = "ENGRAM_SOAK_KEY"
"""The environment variable with the key of the kills; shown with every failure."""


def build_study(seeds: int, rows: int) -> dict[str, object]:
    """A study of two systems, and as many rows as asked for, told apart by their learning rate."""
    systems = ("jerex-grc", "memory-mrc")
    return STUDY | {
        "baseline": "row-0",
        "seeds": list(range(seeds)),
        "rows": {
            f"row-{number}": {
                "preset": systems[number % 2],
                "settings": {"training": {"clip": 1.0 + number / 8}},
            }
            for number in range(rows)
        },
    }


@pytest.fixture
def key() -> int:
    return int(os.environ.get(KEY) or int.from_bytes(os.urandom(4), "big"))


@pytest.fixture
def real_studies(tmp_path: Path) -> Iterator[list[RealStudy]]:
    real_studies: list[RealStudy] = []
    yield real_studies
    for study in real_studies:
        study.end()


def soak(study: RealStudy, *, runs: int, kills: int, key: int) -> None:
    print(f"\n{KEY}={key}", flush=True)
    code, _, err = study.run("whole", "--engine", "in-process")
    assert code == 0, err
    soaked = Soak(study, "soaked", total=runs)
    code = soaked.run(draw_kills(key, kills))
    assert code == 0, soaked.output()
    assert study.processes() == []
    assert study.leftovers("soaked") == []
    results, whole = study.results("soaked"), study.results("whole")
    assert len(whole) == runs
    assert results.keys() == whole.keys()
    for run in whole:
        assert results[run].keys() == whole[run].keys(), run
        assert [name for name in whole[run] if results[run][name] != whole[run][name]] == [], run


def test_a_killed_study_equals_one_left_in_peace_and_is_not_computed_again(
    tmp_path: Path, real_studies: list[RealStudy], key: int
) -> None:
    real_studies.append(study := RealStudy(tmp_path, build_study(seeds=3, rows=2)))
    soak(study, runs=6, kills=4, key=key)
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "soaked").rglob("*") if path.name == RECORD}
    code, out, err = study.run("soaked")
    assert (code, "6 finished already" in err, "mine@quick: 6 finished" in out) == (0, True, True), err
    assert stamps == {path: path.stat().st_mtime_ns for path in stamps}
    assert study.leftovers("soaked") == []


@pytest.mark.slow
def test_forty_kills_in_sixty_runs(tmp_path: Path, real_studies: list[RealStudy], key: int) -> None:
    real_studies.append(study := RealStudy(tmp_path, build_study(seeds=5, rows=12)))
    soak(study, runs=60, kills=40, key=key)
