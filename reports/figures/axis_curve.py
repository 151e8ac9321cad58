"""Axis curve: F1 along an axis of numbers, every seed a dot, mean and 95 % interval per value, a line per group."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.transforms import offset_copy
from pydantic import ValidationError

from core.config.model_source import encoder_width
from core.config.schema import EncoderConfig
from reports.captions import label, name_sample
from reports.figures.forest import scores_frame
from reports.figures.style import BASELINE, MARKERS, ReportFigure, column_width, house_style, keep_f1_range
from reports.frame import ReportData
from reports.row_means import TASK_NAMES

MIN_VALUES = 3
"""Numbers on an axis from which on it is drawn as a curve."""
MIN_LOG_RATIO = 16
"""Ratio of the largest to the smallest value of an axis from which on it is drawn in powers of two."""


def axis_figure(data: ReportData) -> list[ReportFigure]:
    """F1 along the study's one axis of numbers, the baseline off it as a dashed line."""
    study = data.study.study
    title, numbers = axis_frame(data)
    if not title or not len(numbers):
        return []
    scores = scores_frame(data)
    off_axis = scores[(scores["row"] == study.baseline) & ~scores["row"].isin(numbers["row"])]
    baseline = (label(data.study, study.baseline), float(off_axis["mean"].iloc[0])) if len(off_axis) else None
    caption = (
        f"{TASK_NAMES[study.metric].capitalize()} F1 against {title.lower()} ({name_sample(data.frame)}): dots are "
        f"seeds, bars mean and 95 % t-interval over seeds{f', dashed the mean of {baseline[0]}' if baseline else ''}."
    )
    return [ReportFigure("axis", draw_axis(title, numbers, study.metric, baseline), caption)]


def axis_frame(data: ReportData) -> tuple[str, pd.DataFrame]:
    """The title of the one axis along which rows stand at numbers, and a line per such row and seed.

    Columns: group, row, x, and those of `scores_frame`. A slot width of the encoder's own stands at that width, where
    it is known. The title is empty where rows stand on no axis of at least three numbers, or on several.
    """
    study = data.study.study
    at_numbers: dict[str, dict[str, float]] = {}
    for row, entry in study.rows.items():
        for name, value in entry.at.items():
            if value is None and study.axis(name).is_width:
                value = find_encoder_width(data.configs.get(row))
            if isinstance(value, int | float) and not isinstance(value, bool):
                at_numbers.setdefault(name, {})[row] = float(value)
    axes = [name for name, values in at_numbers.items() if len(set(values.values())) >= MIN_VALUES]
    if len(axes) != 1:
        return "", pd.DataFrame()
    x = at_numbers[axes[0]]
    numbers = scores_frame(data)
    numbers = numbers[numbers["row"].isin(x)]
    group = numbers["row"].map(lambda row: study.rows[row].group)
    numbers = numbers.assign(x=numbers["row"].map(x), group=group)
    return study.axis(axes[0]).title, numbers.sort_values(["group", "x", "seed"], kind="stable")


def find_encoder_width(config: Mapping[str, Any] | None) -> int | None:
    """The width of a run's encoder; None where it is not known here."""
    try:
        return encoder_width(EncoderConfig.model_validate(config["encoder"])) if config else None
    except ValidationError:
        return None


def draw_axis(title: str, numbers: pd.DataFrame, metric: str, baseline: tuple[str, float] | None = None) -> Figure:
    """The curve of an `axis_frame`; `baseline` is a row off the axis, as its label and mean."""
    with house_style():
        figure = Figure(figsize=(column_width(), 2.4))
        panel = figure.subplots()
        values = sorted(set(numbers["x"]))
        for number, (group, scores) in enumerate(numbers.groupby("group", sort=False)):
            color = f"C{number % 7}"
            rows = scores.drop_duplicates("row")
            half = [rows["mean"] - rows["low"], rows["high"] - rows["mean"]]
            line: dict[str, Any] = {"marker": MARKERS[number % len(MARKERS)], "markersize": 4, "capsize": 2}
            panel.errorbar(rows["x"], rows["mean"], yerr=half, label=str(group) or None, color=color, **line)
            # To the left of their mean, so that neither hides the other.
            left = offset_copy(panel.transData, figure, x=-5, units="points")
            dots: dict[str, Any] = {"color": color, "markersize": 3, "alpha": 0.5, "markeredgewidth": 0}
            panel.plot(scores["x"], scores["value"], "o", transform=left, **dots)
        if baseline is not None:
            panel.axhline(baseline[1], color=BASELINE, linewidth=0.9, linestyle="--", label=baseline[0])
        if values[0] > 0 and values[-1] / values[0] >= MIN_LOG_RATIO:
            panel.set_xscale("log", base=2)
            panel.set_xticks(values, [f"{value:g}" for value in values])
            panel.minorticks_off()
        keep_f1_range(panel, "y")
        panel.set_xlabel(title)
        panel.set_ylabel(f"{TASK_NAMES[metric]} F1")
        if numbers["group"].nunique() > 1 or baseline is not None:
            figure.legend(loc="outside upper center", ncols=2)
    return figure
