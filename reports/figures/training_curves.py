"""Training curves: loss and validation F1 over training, from the histories that runs keep."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, StrMethodFormatter

from core.records.history import STEP, VALIDATION, read_history
from core.records.record import HISTORY, SCORED
from reports.captions import format_seeds, label
from reports.figures.style import BASELINE, MARKERS, ReportFigure, column_width, house_style, keep_f1_range
from reports.frame import ReportData, run_facts
from reports.row_means import TASK_NAMES, rows_by_group
from studies.statistics import summarize

MAX_ROWS = 10
"""Rows that training curves can hold."""
BINS = 60
"""Parts of a run over whose steps the loss is averaged: single steps are of single documents."""
LOSS = "loss/total"


def training_figure(data: ReportData) -> list[ReportFigure]:
    """Loss and validation F1 over training, where the rows are few."""
    if len(data.study.study.rows) > MAX_ROWS:
        return []
    numbers = training_frame(data)
    if not len(numbers):
        return []
    caption = (
        f"Training loss and validation F1 ({format_seeds(set(data.frame['seed']))}): lines are means over seeds, bands "
        "one sample standard deviation to either side, dotted where memories begin to be read, which ends the warm-up."
    )
    details = "Seeds without a history are left out."
    return [ReportFigure("curves", draw_curves(numbers, metric=data.study.study.metric), caption, details)]


def training_frame(data: ReportData) -> pd.DataFrame:
    """A line per row, measure and step: mean, std (ddof 1; NaN at one seed) and n over the row's scored seeds.

    `measure` is `loss` (training loss, averaged over 60 equal parts of the steps and standing at the end of each) or
    `f1` (validation F1 of the study's metric). `begins` is the step at which the row's runs began to read memory, NaN
    where they never did. A run without its history is left out, and so lowers n.
    """
    study, runs = data.study, run_facts(data.frame)
    scored = runs[runs["status"].isin(SCORED) & (runs["steps"] > 0) & (runs["folder"] != "")]
    values: dict[tuple[str, str, float], list[float]] = {}
    begins: dict[str, list[int]] = {}
    for row, folder, steps in zip(scored["row"], scored["folder"], scored["steps"], strict=True):
        history = read_history(Path(folder) / HISTORY)
        reading = [line["step"] for line in history if line["kind"] == STEP and line.get("reading", 0) > 0]
        begins.setdefault(row, []).extend(reading[:1])
        for step, loss in average_loss(history, int(steps)):
            values.setdefault((row, "loss", step), []).append(loss)
        for line in history:
            f1 = line.get(f"validation/{study.study.metric}/f1")
            if line["kind"] == VALIDATION and f1 is not None:
                values.setdefault((row, "f1", line["step"]), []).append(f1)
    lines = []
    order = {row: position for position, row in enumerate(rows_by_group(study))}
    for (row, measure, step), of_seeds in sorted(values.items(), key=lambda item: (order[item[0][0]], item[0][1:])):
        summary, first = summarize(of_seeds), min(begins[row], default=math.nan)
        lines.append((row, label(study, row), measure, step, summary.mean, summary.std, summary.n, first))
    return pd.DataFrame(lines, columns="row label measure step mean std n begins".split())


def average_loss(history: list[dict[str, Any]], steps: int) -> list[tuple[float, float]]:
    """(last step, mean loss) of every part of the steps that holds a logged and finite loss."""
    bins: dict[int, list[float]] = {}
    for line in history:
        if line["kind"] == STEP and math.isfinite(line.get(LOSS, math.nan)):
            bins.setdefault(min(BINS - 1, (line["step"] - 1) * BINS // steps), []).append(line[LOSS])
    return [((number + 1) * steps / BINS, sum(losses) / len(losses)) for number, losses in sorted(bins.items())]


def draw_curves(numbers: pd.DataFrame, *, metric: str) -> Figure:
    """Training loss above validation F1, against optimiser steps, from a `training_frame`."""
    labels = list(dict.fromkeys(numbers["label"]))
    measures = [measure for measure in ("loss", "f1") if (numbers["measure"] == measure).any()]
    begins = sorted(set(numbers["begins"].dropna()))
    with house_style():
        figure = Figure(figsize=(column_width(), 0.5 + 1.65 * len(measures) + 0.16 * len(labels)))
        panels = figure.subplots(len(measures), 1, sharex=True, squeeze=False)[:, 0]
        for panel, measure in zip(panels, measures, strict=True):
            draw_means(panel, numbers[numbers["measure"] == measure], labels, markers=measure == "f1")
            panel.set_ylabel("training loss" if measure == "loss" else f"validation\n{TASK_NAMES[metric]} F1")
            if measure == "f1":
                keep_f1_range(panel, "y")
            else:
                panel.set_yscale("log")
                panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
                panel.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
                panel.minorticks_off()
            for step in begins:
                panel.axvline(step, color=BASELINE, linewidth=0.9, linestyle=":")
        if begins:
            text: dict[str, Any] = {"ha": "center", "va": "bottom", "fontsize": "small", "color": BASELINE}
            panels[0].text(begins[0], 1.01, "reading begins", transform=panels[0].get_xaxis_transform(), **text)
        panels[-1].set_xlabel("optimiser steps")
        panels[-1].set_xlim(0, numbers["step"].max() * 1.02)
        handles, names = panels[-1].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper center", ncols=2 if max(map(len, labels)) < 24 else 1)
    return figure


def draw_means(panel: Axes, numbers: pd.DataFrame, labels: Sequence[str], *, markers: bool) -> None:
    """The mean of every row, in a band of one standard deviation to either side."""
    for number, name in enumerate(labels):
        of_row = numbers[numbers["label"] == name]
        marker: dict[str, Any] = {"marker": MARKERS[number % len(MARKERS)], "markersize": 3.2, "clip_on": False}
        panel.plot(of_row["step"], of_row["mean"], color=f"C{number % 7}", label=name, **(marker if markers else {}))
        low, high = of_row["mean"] - of_row["std"], of_row["mean"] + of_row["std"]
        panel.fill_between(of_row["step"], low, high, color=f"C{number % 7}", alpha=0.18, linewidth=0)
