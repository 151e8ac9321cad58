"""Rows against baselines: hand-computed differences, honest words, and published rows kept out of paired tests."""

import math
from pathlib import Path

import pytest

from reports.baseline_differences import comparisons, verdict
from reports.frame import load_frame
from reports.tables.differences import cost_table, differences_table
from reports.tables.markdown import to_markdown
from reports.tables.published import PUBLISHED_NOTE, TABLE, compare_published, published_table, words
from reports.tables.results import main_table
from studies.statistics import paired_difference
from tests.reports.records import make_study

SEEDS = {
    "jerex-grc": {0: 38.0, 1: 39.0, 2: 40.0, 3: 38.0},
    "memory-grc": {0: 39.0, 1: 41.0, 2: 43.0, 3: None},
    "jerex-mrc": {0: 40.0, 1: 41.0, 2: None, 3: 41.0},
    "memory-mrc": {0: 40.0, 1: None, 2: 43.0, 3: None},
}


def test_differences_are_paired_by_seed_to_the_rows_own_baseline(tmp_path: Path) -> None:
    study = make_study(tmp_path, SEEDS)
    compared = comparisons(study, load_frame(study, tmp_path)).set_index(["row", "task"])
    line = compared.loc[("memory-grc", "relation_strict")]
    # Differences 1, 2, 3: mean 2, std 1, t(2; .975) = 4.3027, so 2 ± 4.3027 / sqrt(3).
    assert line["delta"] == pytest.approx(2.0)
    assert (line["low"], line["high"]) == pytest.approx((2 - 2.4841, 2 + 2.4841), abs=1e-3)
    assert (line["n"], line["higher"], line["seeds"], line["left_out"]) == (3, 3, "0 1 2", "3")
    assert line["p_t"] == pytest.approx(0.0742, abs=1e-3)
    assert (line["p_sign_flip"], line["p_floor"]) == (0.25, 0.25)
    # Four tests were made (the MRC row shares one seed and tests nothing), all with the same p.
    assert line["p_holm"] == pytest.approx(4 * line["p_t"])
    assert compared.loc[("memory-mrc", "mention"), "baseline"] == "jerex-mrc"
    assert math.isnan(compared.loc[("memory-mrc", "mention"), "p_holm"])


@pytest.mark.parametrize(
    ("low", "high", "holm", "words"),
    [
        (0.07, 0.45, 0.01, "higher in 4 of 5 seeds, Δ = +0.26 [+0.07, +0.45], also after Holm"),
        (0.07, 0.45, 0.30, "higher in 4 of 5 seeds, Δ = +0.26 [+0.07, +0.45], not after Holm"),
        (-0.45, -0.07, 0.30, "lower in 1 of 5 seeds, Δ = +0.26 [-0.45, -0.07], not after Holm"),
        (-0.07, 0.45, 0.30, "no difference shown: higher in 4 of 5 seeds, Δ = +0.26 [-0.07, +0.45]"),
    ],
)
def test_the_verdict_follows_the_interval(low: float, high: float, holm: float, words: str) -> None:
    line = {"n": 5, "higher": 4, "lower": 1, "delta": 0.26, "low": low, "high": high, "p_holm": holm}
    assert verdict(line) == words
    assert "significant" not in words


def test_too_few_seeds_are_said(tmp_path: Path) -> None:
    study = make_study(tmp_path, SEEDS)
    compared = comparisons(study, load_frame(study, tmp_path))
    assert "one seed only, Δ = +0.00" in set(compared[compared["row"] == "memory-mrc"]["verdict"]).pop()
    study = make_study(tmp_path / "b", {"jerex-grc": {0: 38.0, 1: None}, "memory-grc": {0: None, 1: 39.0}})
    compared = comparisons(study, load_frame(study, tmp_path / "b"))
    assert set(compared["verdict"]) == {"not compared: no seed has a score in both rows"}
    assert "nan" not in to_markdown(differences_table(study, compared))


def test_the_caption_says_what_so_many_seeds_can_find(tmp_path: Path) -> None:
    study = make_study(tmp_path, {row: dict.fromkeys(range(5), 38.0 + place) for place, row in enumerate(SEEDS)})
    caption = " ".join(differences_table(study, comparisons(study, load_frame(study, tmp_path))).caption)
    # Noncentral t, n = 5: power .80 at an effect of 1.68.
    assert "With 5 seeds the paired t-test finds, with a chance of 80 %, differences from 1.7 times" in caption


def test_what_the_published_spread_supports() -> None:
    compared = compare_published().set_index(["row", "task"])
    line = compared.loc[("published-memory-grc", "relation_strict")]
    # By hand: error sqrt((.13² + .15²) / 5) = .08877, df 7.84, t .975 = 2.314.
    assert (line["delta"], line["low"], line["high"]) == pytest.approx((0.26, 0.0546, 0.4654), abs=5e-4)
    apart = compared[(compared["low"] > 0) | (compared["high"] < 0)]
    assert list(apart.index) == [("published-memory-grc", "relation_strict"), ("published-memory-mrc", "mention")]
    assert (compared["p_holm"].dropna() > 0.05).all()
    table = published_table()
    assert "Of 8 differences 2 have a Welch interval without 0; none stays" in " ".join(table.caption)
    assert compared["words"].value_counts().to_dict() == {"no difference shown": 6, "higher alone, not after Holm": 2}
    line = compared.loc[("published-memory-mrc", "mention")]
    assert (line["delta"], line["low"], line["high"]) == pytest.approx((0.23, 0.01, 0.45), abs=5e-3)
    # Were the ± of ddof 0, the errors grow by sqrt(5 / 4): +0.26 ± 0.23 stays above 0, +0.23 ± 0.25 does not.
    assert "Were the printed ± of ddof 0, 1 of the 8 intervals would leave 0 out." in table.notes
    # chi-squared, 4 degrees of freedom: sqrt(4 / 11.14) and sqrt(4 / 0.484).
    assert any("between 0.6 and 2.9 times the printed" in note for note in table.notes)


@pytest.mark.parametrize(
    ("low", "high", "p_holm", "told"),
    [
        (0.1, 0.4, 0.01, "higher, also after Holm"),
        (0.1, 0.4, 0.06, "higher alone, not after Holm"),
        (-0.4, -0.1, 0.2, "lower alone, not after Holm"),
        (-0.1, 0.4, 0.01, "no difference shown"),
    ],
)
def test_words_of_a_published_difference(low: float, high: float, p_holm: float, told: str) -> None:
    assert words(low, high, p_holm) == told


def test_published_rows_stand_only_beside_their_own_data_and_in_no_paired_test(tmp_path: Path) -> None:
    seeds = {"jerex-grc": {0: 38.0, 1: 39.0}, "memory-grc": {0: 39.0, 1: 41.0}}
    study = make_study(tmp_path, seeds)
    table = main_table(study, load_frame(study, tmp_path))
    assert [line.cells[0] for line in table.lines] == [
        "JEREX",
        "JEREX + memory",
        "JEREX (published)",
        "memory (published)",
    ]
    assert PUBLISHED_NOTE in table.notes
    assert not any(cell.bold for line in table.lines[2:] for cell in line.cells if not isinstance(cell, str))
    assert not table.data["row"].str.contains("published").any()
    assert set(comparisons(study, load_frame(study, tmp_path))["row"]) == {"memory-grc"}
    # A published row is a Summary, without seeds: nothing that pairs takes it.
    with pytest.raises(AttributeError):
        paired_difference(TABLE[0].scores["entity"], TABLE[1].scores["entity"])  # type: ignore[arg-type]
    quick = make_study(tmp_path / "quick", seeds, profile="quick")
    assert len(main_table(quick, load_frame(quick, tmp_path / "quick")).lines) == 2


def test_cost_is_over_scored_runs_only(tmp_path: Path) -> None:
    study = make_study(tmp_path, {"jerex-grc": {0: 38.0, 2: 39.0, 4: None}})
    table = cost_table(study, load_frame(study, tmp_path))
    # 60 and 62 seconds.
    assert "61.0 ± 1.4" in to_markdown(table)
    assert "2 scored runs took 0.03 hours" in " ".join(table.caption)
    assert "1 000 000" in to_markdown(table)
