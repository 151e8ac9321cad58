"""Figures of a search: every trial and the best so far, and how much each axis mattered."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from reports.figures.style import (
    BASELINE,
    DOT,
    MEAN,
    ReportFigure,
    column_width,
    house_style,
    keep_f1_range,
    line_height,
    wrap_label,
)
from reports.frame import ReportData
from reports.row_means import TASK_NAMES
from reports.tables.search import trials_frame

FAILED = "#D55E00"
MARKS: dict[str, tuple[str, dict[str, Any]]] = {
    "finished": ("all seeds, ± std", {"fmt": "D", "color": MEAN, "markersize": 4, "capsize": 2, "elinewidth": 0.9}),
    "stopped": ("stopped earlier", {"fmt": "o", "mfc": "none", "mec": DOT, "markersize": 4}),
    "running": ("running", {"fmt": ".", "color": BASELINE, "markersize": 4}),
}
"""State of a scored trial -> its name in the legend, its marker."""


def search_figures(data: ReportData) -> list[ReportFigure]:
    """Every trial of a search, and which axes mattered; empty where the study is none."""
    search, figures = data.search, []
    if search is None:
        return []
    trials = trials_frame(search)
    if len(trials) and trials["mean"].notna().any():
        caption = "Trials of the search by mean validation F1 over their seeds; the line is the best by then."
        details = (
            "More seeds come before a higher mean: the line falls where a config that had been lucky on fewer seeds "
            "got more."
        )
        figures.append(ReportFigure("search-history", draw_history(trials, metric=search.metric), caption, details))
    if search.importance:
        titles = {axis.name: axis.title for axis in search.axes}
        shares = {titles[name]: share for name, share in search.importance.items()}
        caption = "How much each axis sets the better trials apart from the others (PED-ANOVA): shares of 1."
        figures.append(ReportFigure("search-importance", draw_importance(shares), caption))
    return figures


def draw_history(trials: pd.DataFrame, *, metric: str) -> Figure:
    """Mean validation F1 of each trial, by what became of it, and of the best one by then as a line.

    `trials` is a `reports.tables.search.trials_frame`.
    """
    with house_style():
        figure = Figure(figsize=(column_width(), 2.7))
        panel = figure.subplots()
        panel.step(trials["trial"], trials["best"], where="post", color=BASELINE, linewidth=1.1, label="best so far")
        for state, (name, marker) in MARKS.items():
            of_state = trials[trials["state"] == state]
            if of_state["mean"].notna().any():
                std = of_state["std"].fillna(0.0) if state == "finished" else None
                panel.errorbar(of_state["trial"], of_state["mean"], yerr=std, label=name, **marker)
        failed = trials[trials["state"] == "failed"]["trial"]
        if len(failed):
            foot: dict[str, Any] = {"transform": panel.get_xaxis_transform(), "clip_on": False}
            panel.plot(failed, [0.0] * len(failed), "x", label="failed", color=FAILED, ms=5, **foot)
        keep_f1_range(panel, "y")
        panel.set_xlabel("trial")
        panel.set_ylabel(f"validation {TASK_NAMES[metric]} F1")
        panel.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        figure.legend(loc="outside upper center", ncols=2)
    return figure


def draw_importance(shares: Mapping[str, float]) -> Figure:
    """A bar per axis by its title, the most important on top, with its share."""
    with house_style():
        labels, places = [wrap_label(title) for title in shares], range(len(shares))
        heights = [0.09 + line_height() * (label.count("\n") + 1) for label in labels]
        figure = Figure(figsize=(column_width(), 0.6 + len(labels) * max(heights)))
        panel = figure.subplots()
        bars = panel.barh(places, list(shares.values()), tick_label=labels, color=MEAN, height=0.6)
        panel.bar_label(bars, fmt=" {:.2f}", fontsize="small", color=BASELINE)
        panel.set_ylim(len(shares) - 0.5, -0.5)
        panel.set_xlim(0, 1.15 * max(*shares.values(), 0.01))
        panel.grid(visible=False, axis="y")
        panel.set_xlabel("importance, shares of 1")
    return figure
