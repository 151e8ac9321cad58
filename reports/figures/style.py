"""Figure style: the house style of every figure, its colours and sizes, and saving as PDF, PNG or SVG."""

import io
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from matplotlib import style
from matplotlib.figure import Figure

from core.files import atomic_write

STYLE = Path(__file__).with_name("engram.mplstyle")
WIDE, COLUMN = 7.0, 3.3
"""Inches: two columns of a paper, and one."""
DOT, MEAN, BASELINE = "#56B4E9", "#0072B2", "#555555"
MARKERS = "osD^vPX"
MAX_LABEL_LINES = 4


@dataclass(frozen=True)
class ReportFigure:
    """A figure with its file name and caption."""

    name: str
    figure: Figure
    caption: str


@contextmanager
def house_style() -> Iterator[None]:
    """The style of every figure, while this lasts."""
    with style.context(STYLE):
        yield


def wrap_label(text: str, width: int = 20) -> str:
    """A label in lines that leave the drawing its room."""
    return "\n".join(textwrap.wrap(text, width, max_lines=MAX_LABEL_LINES, placeholder=" …"))


def save_figure(figure: ReportFigure, folder: Path) -> list[Path]:
    """Write a figure as PDF and PNG; their paths. The same figure gives the same bytes."""
    paths = [folder / f"{figure.name}.pdf", folder / f"{figure.name}.png"]
    for path, metadata in zip(paths, ({"CreationDate": None}, {"Software": None}), strict=True):
        atomic_write(path, render(figure.figure, path.suffix[1:], metadata))
    return paths


def render(figure: Figure, format: str, metadata: dict[str, None]) -> bytes:
    """A figure as the bytes of a file format."""
    buffer = io.BytesIO()
    with house_style():
        figure.savefig(buffer, format=format, metadata=metadata)
    return buffer.getvalue()
