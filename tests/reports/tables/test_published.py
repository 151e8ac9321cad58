"""Published table: Welch's intervals by hand, words by rules, and published rows kept out of paired tests."""

from pathlib import Path

import pytest

from reports.tables.published import (
    PUBLISHED_NOTE,
    PUBLISHED_ROWS,
    compare_published,
    describe_difference,
    published_table,
)
from reports.tables.results import main_table
from studies.statistics import paired_difference
from tests.reports.records import make_study, present, read_data


def test_what_the_published_std_supports(tmp_path: Path) -> None:
    compared = compare_published().set_index(["row", "task"])
    line = compared.loc[("published-memory-grc", "relation_strict")]
    # By hand: error sqrt((.13² + .15²) / 5) = .08877, df 7.84, t .975 = 2.314.
    assert (line["delta"], line["low"], line["high"]) == pytest.approx((0.26, 0.0546, 0.4654), abs=5e-4)
    apart = compared[(compared["low"] > 0) | (compared["high"] < 0)]
    assert list(apart.index) == [("published-memory-grc", "relation_strict"), ("published-memory-mrc", "mention")]
    assert (compared["p_holm"].dropna() > 0.05).all()
    study = make_study(tmp_path, {"jerex-grc": {0: 38.0}})
    table = present(published_table(read_data(study, tmp_path)))
    assert "Of 8 differences 2 have a Welch interval without 0, and 0 a p below 0.05 after Holm." in " ".join(
        table.caption
    )
    assert compared["words"].value_counts().to_dict() == {"no difference shown": 6, "higher alone, not after Holm": 2}
    line = compared.loc[("published-memory-mrc", "mention")]
    assert (line["delta"], line["low"], line["high"]) == pytest.approx((0.23, 0.01, 0.45), abs=5e-3)
    # Were the ± of ddof 0, the errors grow by sqrt(5 / 4): +0.26 ± 0.23 stays above 0, +0.23 ± 0.25 does not.
    assert "Were the printed ± of ddof 0, 1 of the 8 intervals would leave 0 out." in table.notes
    # chi-squared, 4 degrees of freedom: sqrt(4 / 11.14) and sqrt(4 / 0.484).
    assert any("between 0.6 and 2.9 times the printed" in note for note in table.notes)


@pytest.mark.parametrize(
    ("low", "high", "p_holm", "words"),
    [
        (0.1, 0.4, 0.01, "higher, also after Holm"),
        (0.1, 0.4, 0.06, "higher alone, not after Holm"),
        (-0.4, -0.1, 0.2, "lower alone, not after Holm"),
        (-0.1, 0.4, 0.01, "no difference shown"),
    ],
)
def test_words_of_a_published_difference(low: float, high: float, p_holm: float, words: str) -> None:
    assert describe_difference(low, high, p_holm) == words


def test_published_rows_stand_only_beside_their_own_data_and_in_no_paired_test(tmp_path: Path) -> None:
    seeds = {"jerex-grc": {0: 38.0, 1: 39.0}, "memory-grc": {0: 39.0, 1: 41.0}}
    study = make_study(tmp_path, seeds)
    table = main_table(read_data(study, tmp_path))
    assert [(line.cells[0], line.group) for line in table.lines] == [
        ("JEREX", "GRC"),
        ("JEREX + memory", "GRC"),
        ("JEREX", "GRC, published"),
        ("memory", "GRC, published"),
    ]
    assert PUBLISHED_NOTE in table.notes
    assert not any(cell.bold for line in table.lines[2:] for cell in line.cells if not isinstance(cell, str))
    assert not table.data["row"].str.contains("published").any()
    assert set(read_data(study, tmp_path).compared["row"]) == {"memory-grc"}
    # A published row is a Summary, without seeds: nothing that pairs takes it.
    with pytest.raises(AttributeError):
        paired_difference(PUBLISHED_ROWS[0].scores["entity"], PUBLISHED_ROWS[1].scores["entity"])  # type: ignore[arg-type]
    quick = make_study(tmp_path / "quick", seeds, profile="quick")
    assert len(main_table(read_data(quick, tmp_path / "quick")).lines) == 2
    assert published_table(read_data(quick, tmp_path / "quick")) is None
