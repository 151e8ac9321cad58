"""Curves: scores along an axis of numbers, and loss and validation F1 over training."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, StrMethodFormatter
from matplotlib.transforms import offset_copy

from reports.figures import BASELINE, COLUMN, MARKS, house_style
from reports.summary import LONG

WIDEST_SCALE = 16
"""Ratio of the largest to the smallest value of an axis from which on it is drawn in powers of two."""


def axis(title: str, numbers: pd.DataFrame, *, metric: str, beside: tuple[str, float] | None = None) -> Figure:
    """F1 along an axis of numbers: every seed a dot, mean and 95 % interval per value, a line per group.

    `numbers` has a line per row and seed: group, x, value, mean, low, high. `beside` is a row off the axis, as its
    label and mean.
    """
    with house_style():
        figure = Figure(figsize=(COLUMN, 2.4))
        panel = figure.subplots()
        values = sorted(set(numbers["x"]))
        for place, (group, part) in enumerate(numbers.groupby("group", sort=False)):
            colour = f"C{place % 7}"
            rows = part.drop_duplicates("row")
            half = [rows["mean"] - rows["low"], rows["high"] - rows["mean"]]
            form: dict[str, Any] = {"marker": MARKS[place % len(MARKS)], "markersize": 4, "capsize": 2, "color": colour}
            panel.errorbar(rows["x"], rows["mean"], yerr=half, label=str(group) or None, **form)
            # To the left of their mean, so that neither hides the other.
            aside = offset_copy(panel.transData, figure, x=-5, units="points")
            dots: dict[str, Any] = {"color": colour, "markersize": 3, "alpha": 0.5, "markeredgewidth": 0}
            panel.plot(part["x"], part["value"], "o", transform=aside, **dots)
        if beside is not None:
            panel.axhline(beside[1], color=BASELINE, linewidth=0.9, linestyle="--", label=beside[0])
        if values[0] > 0 and values[-1] / values[0] >= WIDEST_SCALE:
            panel.set_xscale("log", base=2)
            panel.set_xticks(values, [f"{value:g}" for value in values])
            panel.minorticks_off()
        panel.set_xlabel(title)
        panel.set_ylabel(f"{LONG[metric]} F1")
        if numbers["group"].nunique() > 1 or beside is not None:
            figure.legend(loc="outside upper center", ncols=2)
    return figure


def curves(numbers: pd.DataFrame, *, metric: str) -> Figure:
    """Training loss above validation F1, against optimiser steps: per row the mean over seeds in a band of one std.

    `numbers` has a line per row, measure (loss, f1) and step: label, mean, std, and `begins`, the step at which the row
    begins to read memory.
    """
    labels = list(dict.fromkeys(numbers["label"]))
    measures = [measure for measure in ("loss", "f1") if (numbers["measure"] == measure).any()]
    with house_style():
        figure = Figure(figsize=(COLUMN, 0.5 + 1.65 * len(measures) + 0.16 * len(labels)))
        panels = figure.subplots(len(measures), 1, sharex=True, squeeze=False)[:, 0]
        for panel, measure in zip(panels, measures, strict=True):
            draw(panel, numbers[numbers["measure"] == measure], labels, marked=measure == "f1")
            panel.set_ylabel("training loss" if measure == "loss" else f"validation\n{LONG[metric]} F1")
            if measure == "loss":
                panel.set_yscale("log")
                panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
                panel.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
                panel.minorticks_off()
        begins = begins_of(numbers)
        for panel in panels:
            for begin in begins:
                panel.axvline(begin, color=BASELINE, linewidth=0.9, linestyle=":")
        if begins:
            told: dict[str, Any] = {"ha": "center", "va": "bottom", "fontsize": 6.5, "color": BASELINE}
            panels[0].text(begins[0], 1.01, "reading begins", transform=panels[0].get_xaxis_transform(), **told)
        panels[-1].set_xlabel("optimiser steps")
        panels[-1].set_xlim(0, numbers["step"].max() * 1.02)
        handles, names = panels[-1].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper center", ncols=2 if max(map(len, labels)) < 24 else 1)
    return figure


def draw(panel: Axes, numbers: pd.DataFrame, labels: Sequence[str], *, marked: bool) -> None:
    """The mean of every row, in a band of one standard deviation to either side."""
    for place, name in enumerate(labels):
        part = numbers[numbers["label"] == name]
        form: dict[str, Any] = {"marker": MARKS[place % len(MARKS)], "markersize": 3.2} if marked else {}
        colour = f"C{place % 7}"
        panel.plot(part["step"], part["mean"], color=colour, label=name, **form)
        low, high = part["mean"] - part["std"], part["mean"] + part["std"]
        panel.fill_between(part["step"], low, high, color=colour, alpha=0.18, linewidth=0)


def begins_of(numbers: pd.DataFrame) -> list[float]:
    """The steps at which some row begins to read memory, in order."""
    return sorted(set(numbers["begins"].dropna()))
