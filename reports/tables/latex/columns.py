r"""LaTeX columns: how wide a table's columns are in points, and what becomes of those that a page has no room for."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from reports.tables.latex.text import text_width, widest_part
from reports.tables.layout import MARK, Cell, Column

SEPARATION = 2.5
"""Points on either side of a column."""
MIN_HEADING_WIDTH = 30.0
"""Points that a line of a heading may have where the cells below it are narrower."""
MIN_TEXT_WIDTH = 45.0
PAIRS = {"mean": "r@{}l", "difference": r"r@{\ }l"}
"""Kinds of columns that take two of LaTeX's: a number, and what follows it."""


@dataclass(frozen=True)
class PrintColumn:
    """A column of a table as print has it: heading and cells as plain text, and its width in points."""

    kind: str
    heading: Sequence[str]
    cells: Sequence[tuple[str, ...]]
    bold: Sequence[bool]
    once: bool
    width: float
    wraps: bool = False
    """Whether the text is wider than that."""
    over: str = ""
    """The heading above, which neighbouring columns share."""

    @property
    def marked(self) -> bool:
        """Whether a dagger stands behind any of its numbers."""
        return self.kind != "text" and any(cell[-1].endswith(MARK) for cell in self.cells)

    @property
    def format(self) -> str:
        """The column for LaTeX's tabular."""
        if self.wraps:
            return f"p{{{self.width:.1f}pt}}"
        return PAIRS.get(self.kind, "l" if self.kind == "text" else "r")

    def count_lines(self, number: int) -> int:
        """Lines on the page of a cell, as many as its text may need."""
        # A line that wraps is rarely full.
        return math.ceil(1.2 * text_width(self.cells[number][0]) / self.width) if self.wraps else 1


def build_column(column: Column, cells: Sequence[Cell]) -> PrintColumn:
    """A column with its natural width, that of the heading in lines about as wide as the cells."""
    bold = [not isinstance(cell, str) and cell.bold for cell in cells]
    parts = [(cell,) if isinstance(cell, str) else tuple(map(write_number, column.write_parts(cell))) for cell in cells]
    # A dagger hangs in the space between columns.
    numbers = max((text_width(cell[0].removesuffix(MARK)) for cell in parts), default=0.0)
    rest = max((text_width(cell[1].removesuffix(MARK)) for cell in parts if len(cell) > 1), default=0.0)
    width = numbers + rest + (2.0 if column.kind == "difference" else 0.0)
    heading = wrap_heading(column.heading, width)
    width = max(width, *map(text_width, heading))
    return PrintColumn(column.kind, heading, parts, bold, column.once, width, over=column.over)


def write_number(text: str) -> str:
    """A number as print has it: thin spaces between thousands and none at ±."""
    return re.sub(r"(?<=\d) (?=\d{3})", "\u2009", text.replace("± ", "±"))


def wrap_heading(heading: str, width: float) -> list[str]:
    """A heading in lines that are about as wide as the cells below it, where its words allow that."""
    lines: list[str] = [""]
    for word in heading.replace("+ ", "+\u00a0").split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if text_width(longer) <= max(MIN_HEADING_WIDTH, width) or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def compute_width(columns: Sequence[PrintColumn]) -> float:
    """Points of some columns side by side."""
    return sum(column.width for column in columns) + 2 * SEPARATION * (len(columns) - 1)


def fit_columns(columns: Sequence[PrintColumn], width: float) -> list[list[PrintColumn]]:
    """The columns in blocks that fit the page: one, with text that wraps, or several of about one width.

    Each block has the first column at its left.
    """
    wrapped = wrap_text(columns, width)
    if compute_width(wrapped) <= width or len(columns) < 3:
        return [wrapped]
    first, *others = columns if 2 * columns[0].width <= width else wrapped
    room = width - first.width - 2 * SEPARATION
    number = math.ceil(compute_width(others) / room)
    blocks: list[list[PrintColumn]] = [[first]]
    for column in others:
        share = first.width + compute_width(others) / number
        block = blocks[-1]
        if len(block) > 1 and (compute_width([*block, column]) > width or compute_width(block) >= share):
            blocks.append([first])
        blocks[-1].append(column)
    return blocks


def wrap_text(columns: Sequence[PrintColumn], width: float) -> list[PrintColumn]:
    """The columns, those of text made narrower and wrapped where all are wider than the page."""
    texts = sorted((column for column in columns if column.kind == "text"), key=lambda column: column.width)
    room = width - (compute_width(columns) - sum(column.width for column in texts))
    wrapped: dict[int, PrintColumn] = {}
    for number, column in enumerate(texts):
        share = room / (len(texts) - number)
        if column.width > share:
            words = [text for cell in column.cells for text in cell] + list(column.heading)
            least = max(MIN_TEXT_WIDTH, *map(widest_part, words))
            if least < column.width:
                wrapped[id(column)] = replace(column, width=max(share, least), wraps=True)
        room -= wrapped.get(id(column), column).width
    return [wrapped.get(id(column), column) for column in columns]
