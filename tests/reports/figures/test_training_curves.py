"""Training curves: the numbers by hand, and that nothing drawn overlaps or is cut."""

import json
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure

from core.records.record import HISTORY
from reports.figures.training_curves import draw_curves, draw_means, training_frame
from tests.reports.figures.legibility import check_legible
from tests.reports.records import make_study, read_data


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
    numbers = training_frame(read_data(study, tmp_path))
    f1 = numbers[numbers["measure"] == "f1"].set_index(["row", "step"])
    assert f1.loc[("jerex-grc", 50), "mean"] == 26.0
    assert f1.loc[("jerex-grc", 50), "std"] == pytest.approx(2**0.5)
    assert f1["n"].tolist() == [2, 2, 1, 1]
    assert f1["begins"].dropna().tolist() == [50, 50]
    loss = numbers[(numbers["measure"] == "loss") & (numbers["row"] == "jerex-grc")]
    # Ten logged steps of 100 in sixty parts: each stands alone, at the end of its part.
    assert loss["mean"].tolist() == [step + 0.5 for step in range(10, 101, 10)]
    assert loss["step"].iloc[-1] == 100
    figure = draw_curves(numbers, metric="relation_strict")
    check_legible(figure)
    dotted = [line.get_xdata()[0] for line in figure.axes[0].lines if line.get_linestyle() == ":"]
    assert dotted == [50]


def test_eight_rows_look_different() -> None:
    labels = [f"row {number}" for number in range(8)]
    numbers = pd.DataFrame([{"label": label, "step": 1, "mean": 1.0, "std": 0.0} for label in labels])
    panel = Figure().subplots()
    draw_means(panel, numbers, labels, markers=True)
    assert len({(line.get_color(), line.get_marker()) for line in panel.lines}) == 8
