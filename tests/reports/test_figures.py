"""Figures: the numbers by hand, and that nothing drawn overlaps or is cut."""

import json
from itertools import combinations
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from core.record import HISTORY
from reports.comparison import comparisons
from reports.figure_numbers import axis_curve, differences, training_curves
from reports.figures import axis, curves, forest, house_style, save
from reports.load import load_study
from reports.summary import SHORT
from studies.study import Row
from studies.study_record import StudyRecord
from tests.reports.records import make_study

SEEDS = {"jerex-grc": {0: 38.0, 1: 39.0, 2: 40.0}, "memory-grc": {0: 39.0, 1: 41.0, 2: 43.0}}
LONG = "a row with a title so long that it must be broken"
WIDTHS = {"jerex": Row("jerex-grc")} | {
    f"w{width}": Row("memory-grc", title=f"{width} {LONG}", at={"slot-width": width}) for width in (16, 64, 256)
}


def differences_of(study: StudyRecord, runs: Path) -> pd.DataFrame:
    frame = load_study(study, runs)
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
    assert dict(zip(part["seed"], part["difference"], strict=True)) == {0: 1.0, 1: 2.0, 2: 3.0}
    assert set(part["delta"]) == {2.0}
    assert len(numbers) == 3 * len(SHORT)


@pytest.mark.parametrize("tasks", [["relation_strict"], list(SHORT)])
def test_forests_are_legible(tmp_path: Path, tasks: list[str]) -> None:
    study = width_study(tmp_path)
    figure = forest(differences_of(study, tmp_path), tasks)
    clear(figure)
    # Every seed of every row is a dot.
    dots = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert [len(line.get_xydata()) for line in dots] == [3, 3, 3]


def test_the_axis_is_the_one_that_rows_stand_on_at_numbers(tmp_path: Path) -> None:
    study = width_study(tmp_path)
    title, numbers = axis_curve(study, load_study(study, tmp_path))
    assert title == "Memory slot width"
    assert numbers["x"].tolist() == [16, 64, 256]
    assert numbers["mean"].tolist() == [39.5, 40.5, 41.5]
    clear(axis(title, numbers, metric="relation_strict"))
    plain = make_study(tmp_path / "b", SEEDS)
    assert axis_curve(plain, load_study(plain, tmp_path / "b"))[0] == ""


def test_curves_mark_where_reading_begins_in_the_rows_that_read(tmp_path: Path) -> None:
    study = make_study(tmp_path, {"jerex-grc": {0: 38.0}, "memory-grc": {0: 39.0, 1: 40.0}})
    for row in (0, 1):
        lines = [{"kind": "step", "step": step, "reading": float(row and step > 40)} for step in range(10, 101, 10)]
        lines += [{"kind": "validation", "step": step, "validation/relation_strict/f1": step / 2} for step in (50, 100)]
        # One seed's history is gone.
        path = tmp_path / f"{row:012x}" / "s0" / HISTORY
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    numbers = training_curves(study, load_study(study, tmp_path))
    assert numbers[numbers["row"] == "memory-grc"]["begins"].tolist() == [0.5, 0.5]
    assert numbers[numbers["row"] == "jerex-grc"]["begins"].isna().all()
    assert numbers["share"].tolist() == [0.5, 1.0, 0.5, 1.0]
    assert numbers["f1"].tolist() == [25.0, 50.0, 25.0, 50.0]
    clear(curves(numbers, metric="relation_strict"))


def test_the_same_numbers_give_the_same_bytes(tmp_path: Path) -> None:
    study = make_study(tmp_path, SEEDS)
    numbers = differences_of(study, tmp_path)
    first = [path.read_bytes() for path in save(forest(numbers, list(SHORT)), tmp_path, "a")]
    again = [path.read_bytes() for path in save(forest(numbers, list(SHORT)), tmp_path, "a")]
    assert first == again
    assert first[0].startswith(b"%PDF")
