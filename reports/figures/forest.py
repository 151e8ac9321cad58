"""Forest plots: differences to the baseline, and scores, of every row: each seed a dot, mean and 95 % interval."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from reports.baseline_differences import find_largest_differences
from reports.captions import comparison_label, label, name_sample
from reports.figures.style import (
    BASELINE,
    DOT,
    MEAN,
    ReportFigure,
    column_width,
    house_style,
    keep_f1_range,
    line_height,
    page_width,
    wrap_label,
)
from reports.frame import ReportData
from reports.row_means import TASK_HEADINGS, TASK_NAMES
from studies.statistics import summarize, t_test

MAX_ROWS = 40
"""Rows that a forest can hold."""
MAX_ROWS_IN_COLUMN = 8
"""Rows with which panels still fit two by two into one column."""
COLUMNS = "row label task seed value mean low high".split()


@dataclass(frozen=True)
class Series:
    """Values of every row: their name, where a forest shows several, their colours, and the marker of their mean."""

    name: str = ""
    dot: str = DOT
    mean: str = MEAN
    marker: str = "D"


ONE = (Series(),)


def forest_figures(data: ReportData) -> list[ReportFigure]:
    """Differences to the baseline, seed by seed: on the study's metric, and on all four tasks."""
    compared = data.compared[data.compared["row"].isin(data.rows)]
    numbers = differences_frame(data, find_largest_differences(data.study, compared, MAX_ROWS))
    if not len(numbers):
        return []
    metric, rows = data.study.study.metric, compared["row"].nunique()
    details = f"Of {rows} rows the {MAX_ROWS} that differ most." if rows > MAX_ROWS else ""
    marks = "dots are seeds, diamonds and bars the mean and 95 % t-interval of the differences paired by seed"
    one_task = draw_rows(numbers, [metric], label=f"Δ {TASK_NAMES[metric]} F1 to the baseline, points", zero=True)
    all_tasks = draw_rows(numbers, list(TASK_HEADINGS), label="Δ F1 to the baseline, points", zero=True)
    captions = (
        f"{TASK_NAMES[metric].capitalize()} F1 minus the baseline's ({name_sample(data.frame)}): {marks}.",
        f"F1 of four tasks minus the baseline's, on one axis ({name_sample(data.frame)}): {marks}.",
    )
    return [
        ReportFigure("forest", one_task, captions[0], details),
        ReportFigure("forest-tasks", all_tasks, captions[1], details),
    ]


def scores_figure(data: ReportData) -> list[ReportFigure]:
    """F1 of every row on the study's metric, seed by seed."""
    numbers = scores_frame(data)
    if not len(numbers) or len(data.study.study.rows) > MAX_ROWS:
        return []
    name = TASK_NAMES[data.study.study.metric]
    caption = (
        f"{name.capitalize()} F1 ({name_sample(data.frame)}): dots are seeds, diamonds and bars the mean and 95 % "
        "t-interval over seeds."
    )
    figure = draw_rows(numbers, [data.study.study.metric], label=f"{name} F1")
    return [ReportFigure("scores", figure, caption, "Intervals are cut where F1 ends, at 0 and at 100.")]


def differences_frame(data: ReportData, rows: Sequence[str]) -> pd.DataFrame:
    """A line per row, baseline, task and shared seed: `value` that seed's difference; `mean`, `low`, `high` of all.

    Lines with one shared seed have no interval; rows without any are left out.
    """
    known = data.frame[data.frame["f1"].notna()]
    scored = dict(zip(zip(known["row"], known["task"], known["seed"], strict=True), known["f1"], strict=True))
    order = {row: position for position, row in enumerate(data.rows)}
    compared = data.compared[data.compared["row"].isin(rows)].to_dict("records")
    lines = []
    for line in sorted(compared, key=lambda line: order[line["row"]]):
        row, task, baseline = line["row"], line["task"], line["baseline"]
        name = comparison_label(data.study, row, baseline)
        for seed in map(int, line["seeds"].split()):
            value = scored[row, task, seed] - scored[baseline, task, seed]
            lines.append((row, name, task, seed, value, line["delta"], line["low"], line["high"]))
    return pd.DataFrame(lines, columns=COLUMNS)


def scores_frame(data: ReportData) -> pd.DataFrame:
    """A line per row and scored seed on the study's metric: `value` is that seed's F1; `mean`, `low`, `high` of all."""
    metric, frame = data.study.study.metric, data.frame
    known = frame[(frame["task"] == metric) & frame["f1"].notna()]
    by_row: dict[str, list[tuple[int, float]]] = {}
    for row, seed, f1 in zip(known["row"], known["seed"], known["f1"], strict=True):
        by_row.setdefault(row, []).append((int(seed), f1))
    lines = []
    for row in data.rows:
        scores = by_row.get(row, [])
        summary = summarize(f1 for _, f1 in scores)
        low, high = t_test(summary).interval
        lines += [(row, label(data.study, row), metric, seed, f1, summary.mean, low, high) for seed, f1 in scores]
    return pd.DataFrame(lines, columns=COLUMNS)


def draw_rows(
    numbers: pd.DataFrame, tasks: Sequence[str], *, label: str, zero: bool = False, series: Sequence[Series] = ONE
) -> Figure:
    """A panel per task, all on one axis, and in it a line of dots, a mean and an interval per row.

    `zero`: the values are differences, with a line at 0; otherwise they are F1, and the axis ends at 0 and 100.

    `numbers` has a line per row, task and seed, with several `series` also per series, named in its column of that
    name: they stand below each other in a row. Several panels stand two by two in one column, or side by side where the
    rows are many.
    """
    rows = list(dict.fromkeys(numbers["label"]))
    across = 1 if len(tasks) == 1 else 2 if len(rows) <= MAX_ROWS_IN_COLUMN else len(tasks)
    down = -(-len(tasks) // across)
    labels = [wrap_label(name, 14 if across == 2 else 20) for name in rows]
    tallest = max((name.count("\n") + 1 for name in labels), default=1)
    with house_style():
        row_height = max(0.31 * len(series), 0.06 + line_height() * tallest)
        height = 0.45 + down * (0.4 + row_height * max(1, len(rows)))
        figure = Figure(figsize=(column_width() if across < 3 else page_width(), height))
        panels = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False).ravel()
        for panel, task in zip(panels, tasks, strict=True):
            of_task = numbers[numbers["task"] == task]
            of_task = of_task.assign(y=of_task["label"].map({name: y for y, name in enumerate(rows)}))
            if zero:
                panel.axvline(0, color=BASELINE, linewidth=0.9, linestyle="--")
            for place, one in enumerate(series):
                part = of_task[of_task["series"] == one.name] if len(series) > 1 else of_task
                middle = 0.85 * ((place + 0.5) / len(series) - 0.5)
                draw_series(panel, part.assign(y=part["y"] + middle), one, share=1 / len(series))
            if len(tasks) > 1:
                panel.set_title(TASK_HEADINGS[task])
            panel.grid(visible=False, axis="y")
            panel.xaxis.set_major_locator(MaxNLocator(5 if across == 1 else 3, steps=[1, 2, 5, 10]))
        if not zero:
            keep_f1_range(panels[0], "x")
        panels[0].set_yticks(range(len(rows)), labels)
        panels[0].set_ylim(len(rows) - 0.5, -0.5)
        if len(series) > 1:
            figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=len(series))
        figure.supxlabel(label)
    return figure


def draw_series(panel: Axes, numbers: pd.DataFrame, series: Series, *, share: float) -> None:
    """Dots, and below them mean and interval, around the height `y` of every row; `share` of a row's height is used."""
    panel.plot(numbers["value"], numbers["y"] - 0.17 * share, "o", color=series.dot, markersize=3.5)
    means = numbers.drop_duplicates("label")
    y = means["y"] + 0.13 * share
    # An interval that is not known (one seed) is nan, and nothing is drawn.
    panel.hlines(y, means["low"], means["high"], color=series.mean, linewidth=1.2)
    panel.plot(means["mean"], y, series.marker, color=series.mean, markersize=4, label=series.name)
