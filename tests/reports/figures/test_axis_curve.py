"""Axis curve: where rows stand on an axis, and that nothing drawn overlaps or is cut."""

from dataclasses import replace
from pathlib import Path

from reports.figures.axis_curve import axis_frame, draw_axis
from studies.rows import Row
from tests.reports.figures.legibility import check_legible
from tests.reports.figures.test_forest import SEEDS, width_study
from tests.reports.records import make_study, read_data


def test_the_axis_is_the_one_that_rows_stand_on_at_numbers(tmp_path: Path) -> None:
    study = width_study(tmp_path)
    title, numbers = axis_frame(read_data(study, tmp_path))
    assert title == "Memory slot width"
    rows = numbers.drop_duplicates("row")
    assert rows["x"].tolist() == [16, 64, 256]
    assert rows["mean"].tolist() == [39.5, 40.5, 41.5]
    assert numbers["value"].tolist() == [39.0, 39.5, 40.0, 40.0, 40.5, 41.0, 41.0, 41.5, 42.0]
    figure = draw_axis(title, numbers, "relation_strict", ("jerex", 38.5))
    check_legible(figure)
    dots = [line for line in figure.axes[0].lines if line.get_linestyle() == "None" and line.get_marker() == "o"]
    assert sum(len(line.get_xydata()) for line in dots) == len(numbers)
    plain = make_study(tmp_path / "b", SEEDS)
    assert axis_frame(read_data(plain, tmp_path / "b"))[0] == ""


def test_a_slot_of_the_encoders_width_stands_at_that_width(tmp_path: Path) -> None:
    rows = {name: Row("memory-grc", at={"slot-width": width}) for name, width in (("h", None), ("a", 16), ("b", 256))}
    study = make_study(tmp_path, {row: {0: 38.0, 1: 39.0} for row in rows}, rows=rows)
    data = replace(read_data(study, tmp_path), configs={})
    scratch = {"encoder": {"source": "scratch", "scratch": {"width": 64}}}
    _, numbers = axis_frame(replace(data, configs=dict.fromkeys(rows, scratch)))
    assert numbers.drop_duplicates("row")["x"].tolist() == [16, 64, 256]
    # Where nobody knows the width, two numbers are no curve.
    assert axis_frame(data)[0] == ""
