"""Forest plots: the numbers by hand, and that nothing drawn overlaps or is cut."""

from pathlib import Path

import pytest

from reports.figures.forest import MAX_ROWS, differences_frame, forest_figures, scores_figure, scores_frame
from reports.figures.style import save_figure
from reports.row_means import TASK_HEADINGS
from reports.sections import make_figures, make_tables
from studies.record import StudyRecord
from studies.rows import Row
from tests.reports.figures.legibility import check_legible
from tests.reports.records import make_study, read_data

SEEDS = {"jerex-grc": {0: 38.0, 1: 39.0, 2: 40.0}, "memory-grc": {0: 39.0, 1: 41.0, 2: 43.0}}
LONG = "a row with a title so long that it must be broken"
WIDTHS = {"jerex": Row("jerex-grc")} | {
    f"w{width}": Row("memory-grc", title=f"{width} {LONG}", at={"slot-width": width}) for width in (16, 64, 256)
}


def width_study(runs: Path) -> StudyRecord:
    seeds = {row: {seed: 38.0 + place + seed / 2 for seed in range(3)} for place, row in enumerate(WIDTHS)}
    return make_study(runs, seeds, rows=WIDTHS)


def test_forest_numbers_are_differences_of_the_same_seed(tmp_path: Path) -> None:
    study = make_study(tmp_path, SEEDS)
    numbers = differences_frame(read_data(study, tmp_path), list(study.study.rows))
    part = numbers[numbers["task"] == "relation_strict"]
    assert dict(zip(part["seed"], part["value"], strict=True)) == {0: 1.0, 1: 2.0, 2: 3.0}
    assert set(part["mean"]) == {2.0}
    assert len(numbers) == 3 * len(TASK_HEADINGS)


def test_a_row_with_two_baselines_has_a_line_for_each(tmp_path: Path) -> None:
    rows = WIDTHS | {"w256": Row("memory-grc", title=f"256 {LONG}", baseline=("jerex", "w16"))}
    seeds = {row: {seed: 38.0 + place + seed / 2 for seed in range(3)} for place, row in enumerate(rows)}
    data = read_data(make_study(tmp_path, seeds, rows=rows), tmp_path)
    numbers = differences_frame(data, list(rows)).drop_duplicates("label").set_index("label")["mean"]
    assert numbers[f"256 {LONG} against jerex"] == 3.0
    assert numbers[f"256 {LONG} against 16 {LONG}"] == 2.0
    for made in forest_figures(data):
        check_legible(made.figure)


def test_forests_are_legible(tmp_path: Path) -> None:
    study = width_study(tmp_path)
    figures = [made.figure for made in forest_figures(read_data(study, tmp_path))]
    assert len(figures) == 2
    for figure in figures:
        check_legible(figure)
        # Every seed of every row is a dot.
        dots = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
        assert sum(len(line.get_xydata()) for line in dots) == 9


def test_wide_axes_are_shared_and_f1_ends_at_0(tmp_path: Path) -> None:
    study = make_study(tmp_path, {"jerex-grc": {0: 13.0, 1: 48.0}, "memory-grc": {0: 20.0, 1: 31.0}})
    data = read_data(study, tmp_path)
    one, tasks = (made.figure for made in forest_figures(data))
    for figure in (one, tasks):
        check_legible(figure)
    # A difference of -5 points, whose interval of two seeds is 150 wide to either side.
    assert one.axes[0].get_xlim()[0] < -100
    assert len({panel.get_xlim() for panel in tasks.axes}) == 1
    scores = scores_figure(data)[0].figure
    assert scores.axes[0].get_xlim() == (0.0, 100.0)


def test_a_forest_of_as_many_rows_as_a_figure_holds_is_legible(tmp_path: Path) -> None:
    rows = {"jerex": Row("jerex-grc")} | {
        f"row{n}": Row("memory-grc", title=f"row {n} {LONG}") for n in range(MAX_ROWS)
    }
    study = make_study(tmp_path, {row: {0: 38.0 + n, 1: 38.5 + n} for n, row in enumerate(rows)}, rows=rows)
    for made in forest_figures(read_data(study, tmp_path)):
        check_legible(made.figure)


def test_every_figure_and_table_of_scores_names_what_it_was_measured_on(tmp_path: Path) -> None:
    study = make_study(tmp_path, SEEDS)
    data = read_data(study, tmp_path)
    figures = [figure.caption for figure in make_figures(data)]
    assert len(figures) == 3
    assert all("(40 test documents, seeds 0–2): " in caption for caption in figures)
    for caption in (" ".join(table.caption) for table in make_tables(data) if table.name in ("table", "comparisons")):
        assert "profile paper, test split, 40 documents." in caption
        assert "Seeds 0–2" in caption


def test_scores_are_legible_and_their_interval_is_that_of_the_seeds(tmp_path: Path) -> None:
    study = make_study(tmp_path, SEEDS)
    data = read_data(study, tmp_path)
    numbers = scores_frame(data)
    assert numbers["value"].tolist() == [38.0, 39.0, 40.0, 39.0, 41.0, 43.0]
    # Std 1, t(2; .975) = 4.3027: 39 ± 4.3027 / sqrt(3).
    assert numbers["low"].iloc[0] == pytest.approx(39 - 2.4841, abs=1e-3)
    check_legible(scores_figure(data)[0].figure)


def test_the_same_numbers_give_the_same_bytes(tmp_path: Path) -> None:
    study = make_study(tmp_path, SEEDS)
    first, second = (forest_figures(read_data(study, tmp_path))[1] for _ in range(2))
    saved = [path.read_bytes() for path in save_figure(first, tmp_path, "made")]
    assert saved == [path.read_bytes() for path in save_figure(second, tmp_path, "made")]
    assert saved[0].startswith(b"%PDF")
