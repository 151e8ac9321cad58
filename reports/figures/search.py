"""What a search found, drawn: every trial and the best so far, and how much each axis mattered."""

from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from reports.figures.style import (
    BASELINE,
    COLUMN,
    DOT,
    MEAN,
    house_style,
    wrap_label,
)
from reports.row_means import TASK_NAMES

FAILED = "#D55E00"


def history_figure(numbers: pd.DataFrame, *, metric: str) -> Figure:
    """Mean validation F1 of each trial, by what became of it, and of the best one by then as a line."""
    with house_style():
        figure = Figure(figsize=(COLUMN, 2.7))
        panel = figure.subplots()
        parts = {state: numbers[numbers["state"] == state] for state in ("finished", "stopped", "running", "failed")}
        panel.step(numbers["trial"], numbers["best"], where="post", color=BASELINE, linewidth=1.1, label="best so far")
        done, stopped, running, failed = parts["finished"], parts["stopped"], parts["running"], parts["failed"]
        form: dict[str, Any] = {"fmt": "D", "color": MEAN, "markersize": 4, "capsize": 2, "elinewidth": 0.9}
        if len(done):
            panel.errorbar(done["trial"], done["mean"], yerr=done["std"].fillna(0.0), label="all seeds, ± std", **form)
        form = {"markerfacecolor": "none", "markeredgecolor": DOT, "markersize": 4, "linestyle": "none"}
        if len(stopped):
            panel.plot(stopped["trial"], stopped["mean"], marker="o", label="stopped earlier", **form)
        form = {"color": BASELINE, "markersize": 4, "linestyle": "none"}
        if running["mean"].notna().any():
            panel.plot(running["trial"], running["mean"], marker=".", label="running", **form)
        form = {"color": FAILED, "markersize": 5, "linestyle": "none", "clip_on": False}
        if len(failed):
            lowest = [0.0] * len(failed)
            panel.plot(failed["trial"], lowest, "x", transform=panel.get_xaxis_transform(), label="failed", **form)
        panel.set_xlabel("trial")
        panel.set_ylabel(f"validation {TASK_NAMES[metric]} F1")
        panel.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        figure.legend(loc="outside upper center", ncols=2)
    return figure


def importance_figure(numbers: pd.DataFrame) -> Figure:
    """A bar per axis, the most important on top, with its share."""
    with house_style():
        figure = Figure(figsize=(COLUMN, 0.6 + 0.22 * len(numbers)))
        panel = figure.subplots()
        places = range(len(numbers))
        panel.barh(places, numbers["importance"], color=MEAN, height=0.6)
        for place, share in zip(places, numbers["importance"], strict=True):
            panel.text(share, place, f" {share:.2f}", va="center", fontsize=6.5, color=BASELINE)
        panel.set_yticks(places, [wrap_label(title) for title in numbers["title"]])
        panel.set_ylim(len(numbers) - 0.5, -0.5)
        panel.set_xlim(0, 1.15 * max(numbers["importance"].max(), 0.01))
        panel.grid(visible=False, axis="y")
        panel.set_xlabel("importance (PED-ANOVA), shares of 1")
    return figure
