"""Frames -> figures in one house style: every seed is a dot, every interval is drawn, nothing is computed here."""

import io
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib import style
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from core.replacing import replace_file
from reports.summary import LONG, SHORT

STYLE = Path(__file__).with_name("engram.mplstyle")
WIDE, COLUMN = 7.0, 3.35
"""Inches: two columns of a paper, and one."""
DOT, MEAN, BASELINE = "#56B4E9", "#0072B2", "#555555"
MARKS = "osD^vPX"


@contextmanager
def house_style() -> Iterator[None]:
    """The style of every figure, while this lasts."""
    with style.context(STYLE):
        yield


def forest(numbers: pd.DataFrame, tasks: Sequence[str]) -> Figure:
    """Differences to the baseline, a panel per task: each seed a dot, mean and 95 % interval per row."""
    labels = list(dict.fromkeys(numbers["label"]))
    with house_style():
        height = 0.75 + 0.38 * max(1, len(labels))
        figure = Figure(figsize=(COLUMN if len(tasks) == 1 else WIDE, height))
        panels = figure.subplots(1, len(tasks), sharey=True, squeeze=False)[0]
        for panel, task in zip(panels, tasks, strict=True):
            part = numbers[numbers["task"] == task]
            panel.axvline(0, color=BASELINE, linewidth=0.9, linestyle="--")
            for place, name in enumerate(labels):
                of_row = part[part["label"] == name]
                panel.plot(of_row["difference"], [place - 0.17] * len(of_row), "o", color=DOT, markersize=3.5)
                first = of_row.iloc[0] if len(of_row) else None
                if first is not None and first["n"] > 1:
                    panel.plot([first["low"], first["high"]], [place + 0.13] * 2, color=MEAN, solid_capstyle="butt")
                if first is not None:
                    panel.plot(first["delta"], place + 0.13, "D", color=MEAN, markersize=4.5)
            panel.set_title(SHORT[task])
            panel.grid(visible=False, axis="y")
            panel.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10], min_n_ticks=3))
        panels[0].set_yticks(range(len(labels)), [wrapped(name) for name in labels])
        panels[0].set_ylim(len(labels) - 0.5, -0.5)
        figure.supxlabel("Δ F1 to the baseline, points", fontsize=8)
    return figure


def curves(numbers: pd.DataFrame, *, metric: str) -> Figure:
    """Validation F1 over training: every seed a thin line, its row's mean a thick one, the warm-up's end marked."""
    labels = list(dict.fromkeys(numbers["label"]))
    with house_style():
        figure = Figure(figsize=(COLUMN, 2.5 + 0.14 * len(labels)))
        panel = figure.subplots()
        for place, name in enumerate(labels):
            of_row = numbers[numbers["label"] == name]
            colour, mark = f"C{place % 7}", MARKS[place % len(MARKS)]
            for _, of_seed in of_row.groupby("seed"):
                panel.plot(of_seed["share"], of_seed["f1"], color=colour, alpha=0.25, linewidth=0.7)
            mean = of_row.groupby("share")["f1"].mean()
            panel.plot(mean.index, mean, color=colour, marker=mark, markersize=3.2, label=name)
        begins = sorted(set(numbers["begins"].dropna().round(2)))
        for begin in begins:
            panel.axvline(begin, color=BASELINE, linewidth=0.9, linestyle=":")
        if begins:
            told: dict[str, Any] = {"ha": "center", "va": "bottom", "fontsize": 6.5, "color": BASELINE}
            panel.text(begins[0], 1.01, "reading begins", transform=panel.get_xaxis_transform(), **told)
        panel.set_xlabel("share of training steps")
        panel.set_ylabel(f"validation {LONG[metric]} F1")
        panel.set_xlim(0, 1.02)
        figure.legend(loc="outside upper center", ncols=2 if max(map(len, labels)) < 24 else 1)
    return figure


def axis(title: str, numbers: pd.DataFrame, *, metric: str) -> Figure:
    """F1 along an axis of numbers, mean and 95 % interval per value, a line per group."""
    with house_style():
        figure = Figure(figsize=(COLUMN, 2.4))
        panel = figure.subplots()
        for place, (group, part) in enumerate(numbers.groupby("group", sort=False)):
            half = [part["mean"] - part["low"], part["high"] - part["mean"]]
            form: dict[str, Any] = {"marker": MARKS[place], "markersize": 4, "capsize": 2, "label": str(group) or None}
            panel.errorbar(part["x"], part["mean"], yerr=half, **form)
        values = sorted(set(numbers["x"]))
        if values[0] > 0 and values[-1] / values[0] >= 16:
            panel.set_xscale("log", base=2)
            panel.set_xticks(values, [f"{value:g}" for value in values])
            panel.minorticks_off()
        panel.set_xlabel(title)
        panel.set_ylabel(f"{LONG[metric]} F1")
        if numbers["group"].nunique() > 1:
            figure.legend(loc="outside upper center", ncols=2)
    return figure


def wrapped(text: str) -> str:
    """A label in lines that leave the drawing its room."""
    return "\n".join(textwrap.wrap(text, 20))


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write a figure as PDF and PNG; their paths. The same figure gives the same bytes."""
    paths = []
    for ending, metadata in (("pdf", {"CreationDate": None}), ("png", {"Software": None})):
        paths.append(folder / f"{name}.{ending}")
        replace_file(paths[-1], drawn(figure, ending, metadata))
    return paths


def drawn(figure: Figure, ending: str, metadata: dict[str, None]) -> bytes:
    """A figure as the bytes of a file format."""
    held = io.BytesIO()
    with house_style():
        figure.savefig(held, format=ending, metadata=metadata)
    return held.getvalue()
