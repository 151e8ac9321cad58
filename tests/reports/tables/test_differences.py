"""Differences table: too few seeds, intervals that are not there, and what the seeds could have found."""

from pathlib import Path

from reports.tables.differences import differences_table
from reports.tables.markdown import to_markdown
from tests.reports.records import make_study, present, read_data

SEEDS = {
    "jerex-grc": {0: 38.0, 1: 39.0, 2: 40.0, 3: 38.0},
    "memory-grc": {0: 39.0, 1: 41.0, 2: 43.0, 3: None},
    "jerex-mrc": {0: 40.0, 1: 41.0, 2: None, 3: 41.0},
    "memory-mrc": {0: 40.0, 1: None, 2: 43.0, 3: None},
}


def test_too_few_seeds_are_named(tmp_path: Path) -> None:
    study = make_study(tmp_path, SEEDS)
    compared = read_data(study, tmp_path).compared
    assert "one seed only, Δ = +0.00" in set(compared[compared["row"] == "memory-mrc"]["verdict"]).pop()
    study = make_study(tmp_path / "b", {"jerex-grc": {0: 38.0, 1: None}, "memory-grc": {0: None, 1: 39.0}})
    data = read_data(study, tmp_path / "b")
    assert set(data.compared["verdict"]) == {"not compared: no seed has a score in both rows"}
    assert "nan" not in to_markdown(present(differences_table(data)))


def test_the_caption_says_what_so_many_seeds_can_find(tmp_path: Path) -> None:
    study = make_study(tmp_path, {row: dict.fromkeys(range(5), 38.0 + place) for place, row in enumerate(SEEDS)})
    caption = " ".join(present(differences_table(read_data(study, tmp_path))).caption)
    # Noncentral t, n = 5: power .80 at an effect of 1.68.
    assert "With 5 seeds the paired t-test finds, with a chance of 80 %, differences from 1.7 times" in caption
