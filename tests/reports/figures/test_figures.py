"""Figures: the numbers by hand, and that nothing drawn overlaps or is cut."""

import json
from itertools import combinations
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from core.records.record import HISTORY
from reports.baseline_differences import comparisons
from reports.figures.curves import axis, axis_frame, curves, differences, scores_frame, training_frame
from reports.figures.heat_map import heat_map, heat_map_frame
from reports.figures.style import forest, house_style, save, scores
from reports.frame import load_frame
from reports.row_means import TASK_HEADINGS
from reports.sections import MOST_ROWS, Material, make_figures, tables_of
from studies.record import StudyRecord
from studies.study import Row
from tests.reports.records import make_study

SEEDS = {"jerex-grc": {0: 38.0, 1: 39.0, 2: 40.0}, "memory-grc": {0: 39.0, 1: 41.0, 2: 43.0}}
LONG = "a row with a title so long that it must be broken"
WIDTHS = {"jerex": Row("jerex-grc")} | {
    f"w{width}": Row("memory-grc", title=f"{width} {LONG}", at={"slot-width": width}) for width in (16, 64, 256)
}


def differences_of(study: StudyRecord, runs: Path) -> pd.DataFrame:
    frame = load_frame(study, runs)
    return differences(study, frame, comparisons(study, frame))


def width_study(runs: Path) -> StudyRecord:
    seeds = {row: {seed: 38.0 + place + seed / 2 for seed in range(3)} for place, row in enumerate(WIDTHS)}
    return make_study(runs, seeds, rows=WIDTHS)


def clear(figure: Figure) -> None:
    """Fail where a text leaves the figure or lies on another."""
    with house_style():
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        renderer = canvas.get_renderer()
        unseen = {
            text
            for panel in figure.axes
            for along, (low, high) in ((panel.xaxis, panel.get_xlim()), (panel.yaxis, sorted(panel.get_ylim())))
            for tick in (*along.get_major_ticks(), *along.get_minor_ticks())
            if not low <= tick.get_loc() <= high
            for text in (tick.label1, tick.label2)
        }
        shown = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
        texts = [text for text in shown if text not in unseen]
        boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in texts]
    assert boxes
    for name, box in boxes:
        inside = box.x0 >= -1 and box.y0 >= -1 and box.x1 <= figure.bbox.x1 + 1 and box.y1 <= figure.bbox.y1 + 1
        assert inside, f"{name!r} is cut"
    for (one, first), (other, second) in combinations(boxes, 2):
        width = min(first.x1, second.x1) - max(first.x0, second.x0)
        height = min(first.y1, second.y1) - max(first.y0, second.y0)
        assert width < 1 or height < 1, f"{one!r} lies on {other!r}"


def test_forest_numbers_are_differences_of_the_same_seed(tmp_path: Path) -> None:
    study = make_study(tmp_path, SEEDS)
    numbers = differences_of(study, tmp_path)
    part = numbers[numbers["task"] == "relation_strict"]
    assert dict(zip(part["seed"], part["value"], strict=True)) == {0: 1.0, 1: 2.0, 2: 3.0}
    assert set(part["mean"]) == {2.0}
    assert len(numbers) == 3 * len(TASK_HEADINGS)


@pytest.mark.parametrize("tasks", [["relation_strict"], list(TASK_HEADINGS)])
def test_forests_are_legible(tmp_path: Path, tasks: list[str]) -> None:
    study = width_study(tmp_path)
    figure = forest(differences_of(study, tmp_path), tasks)
    clear(figure)
    # Every seed of every row is a dot.
    dots = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert sum(len(line.get_xydata()) for line in dots) == 9


def test_a_forest_of_as_many_rows_as_a_figure_holds_is_legible(tmp_path: Path) -> None:
    rows = {"jerex": Row("jerex-grc")} | {
        f"row{n}": Row("memory-grc", title=f"row {n} {LONG}") for n in range(MOST_ROWS)
    }
    study = make_study(tmp_path, {row: {0: 38.0 + n, 1: 38.5 + n} for n, row in enumerate(rows)}, rows=rows)
    clear(forest(differences_of(study, tmp_path), list(TASK_HEADINGS)))


def test_every_drawing_and_table_of_scores_says_on_what_it_was_measured(tmp_path: Path) -> None:
    study = make_study(tmp_path, SEEDS)
    frame = load_frame(study, tmp_path)
    material = Material(study, frame, comparisons(study, frame))
    said = [drawing.caption for drawing in make_figures(material)]
    said += [" ".join(table.caption) for table in tables_of(material) if table.name in ("table", "comparisons")]
    assert len(said) == 5
    for caption in said:
        assert "profile paper, test split, 40 documents." in caption
        assert "Seeds 0–2" in caption


def test_scores_are_legible_and_their_interval_is_that_of_the_seeds(tmp_path: Path) -> None:
    study = make_study(tmp_path, SEEDS)
    numbers = scores_frame(study, load_frame(study, tmp_path))
    assert numbers["value"].tolist() == [38.0, 39.0, 40.0, 39.0, 41.0, 43.0]
    # Std 1, t(2; .975) = 4.3027: 39 ± 4.3027 / sqrt(3).
    assert numbers["low"].iloc[0] == pytest.approx(39 - 2.4841, abs=1e-3)
    clear(scores(numbers, "relation_strict"))


def test_the_axis_is_the_one_that_rows_stand_on_at_numbers(tmp_path: Path) -> None:
    study = width_study(tmp_path)
    title, numbers = axis_frame(study, load_frame(study, tmp_path), {})
    assert title == "Memory slot width"
    rows = numbers.drop_duplicates("row")
    assert rows["x"].tolist() == [16, 64, 256]
    assert rows["mean"].tolist() == [39.5, 40.5, 41.5]
    assert numbers["value"].tolist() == [39.0, 39.5, 40.0, 40.0, 40.5, 41.0, 41.0, 41.5, 42.0]
    figure = axis(title, numbers, metric="relation_strict", beside=("jerex", 38.5))
    clear(figure)
    dots = [line for line in figure.axes[0].lines if line.get_linestyle() == "None" and line.get_marker() == "o"]
    assert sum(len(line.get_xydata()) for line in dots) == len(numbers)
    plain = make_study(tmp_path / "b", SEEDS)
    assert axis_frame(plain, load_frame(plain, tmp_path / "b"), {})[0] == ""


def test_a_slot_of_the_encoders_width_stands_at_that_width(tmp_path: Path) -> None:
    rows = {name: Row("memory-grc", at={"slot-width": width}) for name, width in (("h", None), ("a", 16), ("b", 256))}
    study = make_study(tmp_path, {row: {0: 38.0, 1: 39.0} for row in rows}, rows=rows)
    scratch = {"encoder": {"source": "scratch", "scratch": {"width": 64}}}
    _, numbers = axis_frame(study, load_frame(study, tmp_path), dict.fromkeys(rows, scratch))
    assert numbers.drop_duplicates("row")["x"].tolist() == [16, 64, 256]
    # Where nobody knows the width, two numbers are no curve.
    assert axis_frame(study, load_frame(study, tmp_path), {})[0] == ""


def test_the_map_has_a_cell_per_combination_and_says_what_is_missing(tmp_path: Path) -> None:
    modes, poolings = ("inverse", "normal"), ("mean", "sum", "concat", "gated")
    places = [(mode, pooling) for mode in modes for pooling in poolings if (mode, pooling) != ("normal", "sum")]
    rows = {f"{m}+{p}": Row("memory-grc", at={"read-mode": m, "pooling": p}) for m, p in places}
    seeds: dict[str, dict[int, float | None]] = {row: {0: 30.0 + n, 1: 32.0 + n} for n, row in enumerate(rows)}
    seeds["normal+gated"] = {0: 50.0, 1: None}
    study = make_study(tmp_path, seeds, rows=rows)
    numbers = heat_map_frame(study, load_frame(study, tmp_path))
    cells = numbers.set_index(["down", "across"])
    assert cells.loc[("inverse", "concat"), "mean"] == 33.0
    assert cells.loc[("inverse", "mean"), "centre"]
    assert cells.loc[("normal", "sum"), "n"] == 0
    # Every value of the declared axes is a line, whether rows stand there or not.
    assert numbers["down"].nunique() == 4
    figure = heat_map(numbers, metric="relation_strict", seeds=2)
    clear(figure)
    said = [text.get_text() for text in figure.axes[0].texts]
    assert "33.00\n± 1.41" in said
    assert "50.00\n± –\nn = 1" in said
    plain = make_study(tmp_path / "b", SEEDS)
    assert not len(heat_map_frame(plain, load_frame(plain, tmp_path / "b")))


def test_curves_are_means_over_seeds_and_mark_where_reading_begins(tmp_path: Path) -> None:
    study = make_study(tmp_path, {"jerex-grc": {0: 38.0, 1: 39.0, 2: 40.0}, "memory-grc": {0: 39.0, 1: 40.0}})
    for row, seed in ((0, 0), (0, 1), (1, 0)):
        lines: list[dict[str, object]] = [
            {"kind": "step", "step": step, "reading": float(row and step > 40), "loss/total": step + seed}
            for step in range(10, 101, 10)
        ]
        metric = "validation/relation_strict/f1"
        lines += [{"kind": "validation", "step": step, metric: step / 2 + 2 * seed} for step in (50, 100)]
        # The third seed's history is gone.
        path = tmp_path / f"{row:012x}" / f"s{seed}" / HISTORY
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    numbers = training_frame(study, load_frame(study, tmp_path))
    f1 = numbers[numbers["measure"] == "f1"].set_index(["row", "step"])
    assert f1.loc[("jerex-grc", 50), "mean"] == 26.0
    assert f1.loc[("jerex-grc", 50), "std"] == pytest.approx(2**0.5)
    assert f1["n"].tolist() == [2, 2, 1, 1]
    assert f1["begins"].dropna().tolist() == [50, 50]
    loss = numbers[(numbers["measure"] == "loss") & (numbers["row"] == "jerex-grc")]
    # Ten logged steps of 100 in sixty parts: each stands alone, at the end of its part.
    assert loss["mean"].tolist() == [step + 0.5 for step in range(10, 101, 10)]
    assert loss["step"].iloc[-1] == 100
    figure = curves(numbers, metric="relation_strict")
    clear(figure)
    dotted = [line.get_xdata()[0] for line in figure.axes[0].lines if line.get_linestyle() == ":"]
    assert dotted == [50]


def test_the_same_numbers_give_the_same_bytes(tmp_path: Path) -> None:
    study = make_study(tmp_path, SEEDS)
    numbers = differences_of(study, tmp_path)
    first = [path.read_bytes() for path in save(forest(numbers, list(TASK_HEADINGS)), tmp_path, "a")]
    again = [path.read_bytes() for path in save(forest(numbers, list(TASK_HEADINGS)), tmp_path, "a")]
    assert first == again
    assert first[0].startswith(b"%PDF")
