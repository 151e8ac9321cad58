"""Frames -> figures in one house style: every seed is a dot, every interval is drawn, nothing is computed here."""

import io
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
from matplotlib import style
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from core.files import atomic_write
from reports.row_means import LONG, TASK_HEADINGS

STYLE = Path(__file__).with_name("engram.mplstyle")
WIDE, COLUMN = 7.0, 3.3
"""Inches: two columns of a paper, and one."""
DOT, MEAN, BASELINE = "#56B4E9", "#0072B2", "#555555"
MARKS = "osD^vPX"
LINE, MOST_LINES = 0.125, 4
"""Inches that a line of a label takes, and how many of them a label has."""
MOST_IN_COLUMN = 8
"""Rows with which panels still fit two by two into one column."""


@contextmanager
def house_style() -> Iterator[None]:
    """The style of every figure, while this lasts."""
    with style.context(STYLE):
        yield


def forest(numbers: pd.DataFrame, tasks: Sequence[str]) -> Figure:
    """Differences to the baseline, a panel per task: each seed a dot, mean and 95 % interval per row."""
    what = LONG[tasks[0]] if len(tasks) == 1 else ""
    return by_row(numbers, tasks, label=f"Δ {what} F1 to the baseline, points".replace("  ", " "), zero=True)


def scores(numbers: pd.DataFrame, task: str) -> Figure:
    """F1 of every row on one task: each seed a dot, mean and 95 % interval per row."""
    return by_row(numbers, [task], label=f"{LONG[task]} F1")


def by_row(numbers: pd.DataFrame, tasks: Sequence[str], *, label: str, zero: bool = False) -> Figure:
    """A panel per task and in it a line of dots, a mean and an interval per row.

    `numbers` has a line per row, task and seed: label, task, value, mean, low, high. Several panels stand two by two in
    one column, or side by side where the rows are many.
    """
    labels = list(dict.fromkeys(numbers["label"]))
    across = 1 if len(tasks) == 1 else 2 if len(labels) <= MOST_IN_COLUMN else len(tasks)
    down = -(-len(tasks) // across)
    shown = [wrapped(name, 14 if across == 2 else 20) for name in labels]
    tallest = max((name.count("\n") + 1 for name in shown), default=1)
    with house_style():
        height = 0.45 + down * (0.4 + max(0.31, 0.06 + LINE * tallest) * max(1, len(labels)))
        figure = Figure(figsize=(COLUMN if across < 3 else WIDE, height))
        panels = figure.subplots(down, across, sharey=True, squeeze=False).ravel()
        for panel, task in zip(panels, tasks, strict=True):
            part = numbers[numbers["task"] == task]
            places = part["label"].map({name: place for place, name in enumerate(labels)})
            if zero:
                panel.axvline(0, color=BASELINE, linewidth=0.9, linestyle="--")
            panel.plot(part["value"], places - 0.17, "o", color=DOT, markersize=3.5)
            rows = part.assign(place=places).drop_duplicates("label")
            # An interval that is not known (one seed) is nan, and nothing is drawn.
            panel.hlines(rows["place"] + 0.13, rows["low"], rows["high"], color=MEAN, linewidth=1.2)
            panel.plot(rows["mean"], rows["place"] + 0.13, "D", color=MEAN, markersize=4)
            if len(tasks) > 1:
                panel.set_title(TASK_HEADINGS[task])
            panel.grid(visible=False, axis="y")
            panel.xaxis.set_major_locator(MaxNLocator(5 if across < 2 else 4, steps=[1, 2, 2.5, 5, 10], min_n_ticks=3))
        panels[0].set_yticks(range(len(labels)), shown)
        panels[0].set_ylim(len(labels) - 0.5, -0.5)
        figure.supxlabel(label, fontsize=8)
    return figure


def wrapped(text: str, width: int = 20) -> str:
    """A label in lines that leave the drawing its room."""
    return "\n".join(textwrap.wrap(text, width, max_lines=MOST_LINES, placeholder=" …"))


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write a figure as PDF and PNG; their paths. The same figure gives the same bytes."""
    paths = []
    for ending, metadata in (("pdf", {"CreationDate": None}), ("png", {"Software": None})):
        paths.append(folder / f"{name}.{ending}")
        atomic_write(paths[-1], drawn(figure, ending, metadata))
    return paths


def drawn(figure: Figure, ending: str, metadata: dict[str, None]) -> bytes:
    """A figure as the bytes of a file format."""
    held = io.BytesIO()
    with house_style():
        figure.savefig(held, format=ending, metadata=metadata)
    return held.getvalue()
