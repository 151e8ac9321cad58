"""Heat map: a cell per combination of two axes, and that nothing drawn overlaps or is cut."""

from pathlib import Path

from reports.figures.heat_map import draw_heat_map, heat_map_frame
from studies.rows import Row
from tests.reports.figures.legibility import check_legible
from tests.reports.figures.test_forest import SEEDS
from tests.reports.records import make_study, read_data


def test_the_map_has_a_cell_per_combination_and_says_what_is_missing(tmp_path: Path) -> None:
    modes, poolings = ("inverse", "normal"), ("mean", "sum", "concat", "gated")
    places = [(mode, pooling) for mode in modes for pooling in poolings if (mode, pooling) != ("normal", "sum")]
    rows = {f"{m}+{p}": Row("memory-grc", at={"read-mode": m, "pooling": p}) for m, p in places}
    seeds: dict[str, dict[int, float | None]] = {row: {0: 30.0 + n, 1: 32.0 + n} for n, row in enumerate(rows)}
    seeds["normal+gated"] = {0: 50.0, 1: None}
    study = make_study(tmp_path, seeds, rows=rows)
    numbers = heat_map_frame(read_data(study, tmp_path))
    cells = numbers.set_index(["down", "across"])
    assert cells.loc[("inverse", "concat"), "mean"] == 33.0
    assert cells.loc[("inverse", "mean"), "centre"]
    assert cells.loc[("normal", "sum"), "n"] == 0
    # Every value of the declared axes is a line, whether rows stand there or not.
    assert numbers["down"].nunique() == 4
    figure = draw_heat_map(numbers, metric="relation_strict", seeds=2)
    check_legible(figure)
    said = [text.get_text() for text in figure.axes[0].texts]
    assert "33.00\n± 1.41" in said
    assert "50.00\nn = 1" in said
    plain = make_study(tmp_path / "b", SEEDS)
    assert not len(heat_map_frame(read_data(plain, tmp_path / "b")))
