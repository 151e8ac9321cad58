"""Figure style: the house style of every figure, its colours, face and width, and saving as PDF, PNG, SVG and LaTeX."""

import io
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from matplotlib import rcParams, style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from core.errors import UserError
from core.files import atomic_write
from reports.tables.latex.text import escape, write_label

STYLE = Path(__file__).with_name("engram.mplstyle")
COLUMN = 3.03
"""Inches: a column of the ACL style."""
PAGE_RATIO = 2.07
"""Both columns of a page with the room between them over one column, as in the ACL style."""
WIDTHS = (2.5, 7.0)
"""Inches that a column may have: in a narrower one labels lie on one another."""
Font = Literal["sans", "serif"]
FACES: dict[Font, dict[str, Any]] = {
    "sans": {},
    # Tokens that STIX cannot write are written in DejaVu Sans. STIX is small for its size, which is raised.
    "serif": {"font.family": ["STIXGeneral", "DejaVu Sans"], "mathtext.fontset": "stix", "font.size": 9},
}
DOT, MEAN, BASELINE = "#56B4E9", "#0072B2", "#555555"
MARKERS = "osD^vPX<>"
"""As many as share no factor with the seven colours: the eighth line has the first colour, but not its marker."""
MAX_LABEL_LINES = 4


@dataclass(frozen=True)
class FigureFormat:
    """How figures are drawn: the face of their text, and the width of a column in inches.

    Raises a UserError for a width outside of `WIDTHS`.
    """

    font: Font = "sans"
    width: float = COLUMN

    def __post_init__(self) -> None:
        if not WIDTHS[0] <= self.width <= WIDTHS[1]:
            raise UserError(
                f"--figure-width {self.width:g}: a column of {WIDTHS[0]:g} to {WIDTHS[1]:g} inches can be drawn; "
                f"ACL's has {COLUMN}"
            )


FORMAT = ContextVar("FORMAT", default=FigureFormat())  # noqa: B039 (it is frozen)
"""The format of the figures that are drawn now."""


@dataclass(frozen=True)
class ReportFigure:
    """A figure with its file name, a caption of one sentence, and what the page says beyond it."""

    name: str
    figure: Figure
    caption: str
    details: str = ""


@contextmanager
def house_style(requested: FigureFormat | None = None) -> Iterator[None]:
    """The style of every figure, while this lasts, in the requested format or the one that is set around it."""
    chosen = requested or FORMAT.get()
    before = FORMAT.set(chosen)
    try:
        with style.context([STYLE, FACES[chosen.font]]):
            yield
    finally:
        FORMAT.reset(before)


def column_width() -> float:
    """Inches: one column of the paper."""
    return FORMAT.get().width


def page_width() -> float:
    """Inches: both columns of the paper."""
    return FORMAT.get().width * PAGE_RATIO


def line_height() -> float:
    """Inches that a line of a label takes."""
    return 0.0162 * float(rcParams["font.size"])


def wrap_label(text: str, width: int = 20) -> str:
    """A label in lines that leave the drawing its room; `width` is in characters, where a column is ACL's."""
    characters = round(width * FORMAT.get().width / COLUMN)
    return "\n".join(textwrap.wrap(text, characters, max_lines=MAX_LABEL_LINES, placeholder=" …"))


def keep_f1_range(panel: Axes, axis: Literal["x", "y"]) -> None:
    """End an axis of F1 at 0 and 100, though an interval may reach beyond."""
    low, high = getattr(panel, f"get_{axis}lim")()
    getattr(panel, f"set_{axis}lim")(max(0.0, low), min(100.0, high))


def save_figure(figure: ReportFigure, folder: Path, study: str) -> list[Path]:
    """Write a figure as PDF, PNG and LaTeX; their paths. The same figure gives the same bytes."""
    paths = [folder / f"{figure.name}.pdf", folder / f"{figure.name}.png", folder / f"figure-{figure.name}.tex"]
    for path, metadata in zip(paths, ({"CreationDate": None}, {"Software": None}), strict=False):
        atomic_write(path, render(figure.figure, path.suffix[1:], metadata))
    atomic_write(paths[-1], to_latex(figure, study).encode())
    return paths


def to_latex(figure: ReportFigure, study: str) -> str:
    """A figure environment over one column or both, in the width that was drawn, or the column's where that is less."""
    width = figure.figure.get_figwidth()
    environment = "figure*" if width > 1.01 * column_width() else "figure"
    fitted = rf"\ifdim {width:.2f}in>\linewidth \linewidth\else {width:.2f}in\fi"
    return "\n".join(
        [
            r"% Needs in the preamble: \usepackage{graphicx} and, with this folder's name, \graphicspath{{report/}}",
            rf"\begin{{{environment}}}[tbp]",
            r"\centering",
            rf"\includegraphics[width={fitted}]{{{figure.name}.pdf}}",
            rf"\caption{{{escape(figure.caption)}}}",
            write_label("fig", study, figure.name),
            rf"\end{{{environment}}}",
            "",
        ]
    )


def render(figure: Figure, format: str, metadata: dict[str, None]) -> bytes:
    """A figure as the bytes of a file format."""
    buffer = io.BytesIO()
    with house_style():
        figure.savefig(buffer, format=format, metadata=metadata)
    return buffer.getvalue()
