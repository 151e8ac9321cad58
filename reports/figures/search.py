"""Figures of a search: every trial and the best so far, and how much each axis mattered."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from reports.figures.style import BASELINE, COLUMN, DOT, MEAN, ReportFigure, house_style, wrap_label
from reports.frame import ReportData
from reports.row_means import TASK_NAMES
from reports.tables.search import trials_frame

FAILED = "#D55E00"


def search_figures(data: ReportData) -> list[ReportFigure]:
    """Every trial of a search, and which axes mattered; empty where the study is none."""
    search, figures = data.search, []
    if search is None:
        return []
    trials = trials_frame(search)
    if len(trials) and trials["mean"].notna().any():
        caption = (
            "Trials of the search by mean validation F1. The line is the best by then, with more seeds before a higher "
            "mean: it falls where a config that had been lucky on fewer seeds got more."
        )
        figures.append(ReportFigure("search-history", draw_history(trials, metric=search.metric), caption))
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
        figure = Figure(figsize=(COLUMN, 2.7))
        panel = figure.subplots()
        panel.step(trials["trial"], trials["best"], where="post", color=BASELINE, linewidth=1.1, label="best so far")
        states = ("finished", "stopped", "running", "failed")
        finished, stopped, running, failed = (trials[trials["state"] == state] for state in states)
        if len(finished):
            panel.errorbar(
                finished["trial"],
                finished["mean"],
                yerr=finished["std"].fillna(0.0),
                label="all seeds, ± std",
                fmt="D",
                color=MEAN,
                markersize=4,
                capsize=2,
                elinewidth=0.9,
            )
        if len(stopped):
            panel.plot(stopped["trial"], stopped["mean"], "o", label="stopped earlier", mfc="none", mec=DOT, ms=4)
        if running["mean"].notna().any():
            panel.plot(running["trial"], running["mean"], ".", label="running", color=BASELINE, ms=4)
        if len(failed):
            foot = panel.get_xaxis_transform()
            lowest = [0.0] * len(failed)
            panel.plot(failed["trial"], lowest, "x", transform=foot, label="failed", color=FAILED, ms=5, clip_on=False)
        panel.set_xlabel("trial")
        panel.set_ylabel(f"validation {TASK_NAMES[metric]} F1")
        panel.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        figure.legend(loc="outside upper center", ncols=2)
    return figure


def draw_importance(shares: Mapping[str, float]) -> Figure:
    """A bar per axis by its title, the most important on top, with its share."""
    with house_style():
        figure = Figure(figsize=(COLUMN, 0.6 + 0.22 * len(shares)))
        panel = figure.subplots()
        labels, places = [wrap_label(title) for title in shares], range(len(shares))
        bars = panel.barh(places, list(shares.values()), tick_label=labels, color=MEAN, height=0.6)
        panel.bar_label(bars, fmt=" {:.2f}", fontsize=6.5, color=BASELINE)
        panel.set_ylim(len(shares) - 0.5, -0.5)
        panel.set_xlim(0, 1.15 * max(*shares.values(), 0.01))
        panel.grid(visible=False, axis="y")
        panel.set_xlabel("importance (PED-ANOVA), shares of 1")
    return figure
