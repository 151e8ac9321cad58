"""Heat map of a study of two axes: a cell per combination, its mean F1 as colour and number."""

import math
from collections.abc import Hashable
from itertools import product
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from reports.captions import name_sample
from reports.figures.style import BASELINE, ReportFigure, column_width, house_style, page_width
from reports.frame import ReportData
from reports.row_means import TASK_NAMES, compute_row_means
from studies.statistics import write_mean

MAX_CELLS = 80
MAX_IN_COLUMN = 4
"""Values across with which the numbers still fit into one column."""
DARK_TEXT_FROM = 0.5
"""Share of the scale from which on a cell is light enough for black letters."""


def heat_map_figure(data: ReportData) -> list[ReportFigure]:
    """Every combination of two axes, where some row has a score."""
    numbers, study = heat_map_frame(data), data.study.study
    if not 0 < len(numbers) <= MAX_CELLS or not numbers["n"].any():
        return []
    caption = (
        f"{TASK_NAMES[study.metric].capitalize()} F1 ({name_sample(data.frame)}): mean over seeds ± sample standard "
        "deviation, framed where all are compared with it."
    )
    figure = draw_heat_map(numbers, metric=study.metric, seeds=len(study.seeds))
    return [ReportFigure("map", figure, caption, "A dash: no score, or no such row.")]


def heat_map_frame(data: ReportData) -> pd.DataFrame:
    """A line per combination of the two axes of a study: down, across (titles of the axes in `attrs`), mean, std, n.

    Combinations that are no row have n = 0 and NaN. `centre` is the study's baseline. Empty where the rows do not stand
    on exactly two axes.
    """
    study = data.study.study
    names = list(dict.fromkeys(name for row in study.rows.values() for name in row.at))
    columns = "down across mean std n centre".split()
    if len(names) != 2:
        return pd.DataFrame(columns=columns)
    axes = [study.axis(name) for name in names]
    means = compute_row_means(data.study, data.frame)
    means = means[means["task"] == study.metric].set_index("row")
    rows = {tuple(entry.at.get(name) for name in names): row for row, entry in study.rows.items() if entry.at}
    lines = []
    for values in product(*(axis.values for axis in axes)):
        row = rows.get(values)
        down, across = (axis.label(value) for axis, value in zip(axes, values, strict=True))
        mean, std, n = (math.nan, math.nan, 0) if row is None else means.loc[row, ["mean", "std", "n"]]
        lines.append((down, across, mean, std, int(n), row == study.baseline))
    numbers = pd.DataFrame(lines, columns=columns)
    numbers.attrs = {"down": axes[0].title, "across": axes[1].title}
    return numbers


def draw_heat_map(numbers: pd.DataFrame, *, metric: str, seeds: int) -> Figure:
    """Mean F1 per combination as colour and number with its std; the baseline framed; n where seeds are missing."""
    downs, acrosses = (list(dict.fromkeys(numbers[name])) for name in ("down", "across"))
    cells = {(line["down"], line["across"]): line for line in numbers.to_dict("records")}
    means = [[cells[down, across]["mean"] for across in acrosses] for down in downs]
    low, high = float(numbers["mean"].min()), float(numbers["mean"].max())
    high = high if high > low else low + 1
    with house_style():
        width = column_width() if len(acrosses) <= MAX_IN_COLUMN else page_width()
        figure = Figure(figsize=(width, 1.15 + 0.42 * len(downs)))
        panel = figure.subplots()
        image = panel.imshow(means, cmap="cividis", aspect="auto", vmin=low, vmax=high)
        for (y, down), (x, across) in product(enumerate(downs), enumerate(acrosses)):
            cell = cells[down, across]
            dark = not cell["n"] or (cell["mean"] - low) / (high - low) >= DARK_TEXT_FROM
            centred: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": "small"}
            panel.text(x, y, write_cell(cell, seeds), color="black" if dark else "white", **centred)
            if cell["centre"]:
                frame = Rectangle((x - 0.47, y - 0.45), 0.94, 0.9, fill=False, edgecolor="#D55E00", linewidth=1.6)
                panel.add_patch(frame)
        panel.set_xticks(range(len(acrosses)), acrosses)
        panel.set_yticks(range(len(downs)), downs)
        panel.tick_params(length=0)
        panel.grid(visible=False)
        panel.set_xlabel(numbers.attrs["across"])
        panel.set_ylabel(numbers.attrs["down"])
        panel.set_facecolor("#f0f0f0")
        bar = figure.colorbar(image, ax=panel, pad=0.02, aspect=14)
        bar.outline.set_edgecolor(BASELINE)
        bar.set_label(f"{TASK_NAMES[metric]} F1", fontsize="small")
        bar.ax.tick_params(labelsize="small")
    return figure


def write_cell(cell: dict[Hashable, Any], seeds: int) -> str:
    """A cell's text: mean, std below it, and n where it is not complete."""
    text = write_mean(cell["mean"], cell["std"]).replace(" ± ", "\n± ")
    return text if cell["n"] in (0, seeds) else f"{text}\nn = {cell['n']}"
