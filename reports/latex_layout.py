"""How a table fits a page of LaTeX: its size, on its side where it is wide, in parts where it is long."""

import math
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, replace

from reports.table import Line, Table

SHORTEST = 6
"""Characters that a heading's line may have where the cells below it are narrower."""


@dataclass(frozen=True)
class Form:
    """How a table is set: up to how many characters wide, how many lines a page holds, and by which commands."""

    characters: float
    lines: int
    size: str
    separation: str
    environment: str = "table"
    packages: tuple[str, ...] = ("booktabs", "siunitx")


FORMS = (
    Form(100, 48, r"\footnotesize", "4pt"),
    Form(116, 54, r"\scriptsize", "3pt"),
    Form(math.inf, 32, r"\scriptsize", "3pt", "sidewaystable", ("booktabs", "siunitx", "rotating")),
)
"""On A4 with margins of 25 mm, whose lines hold so many characters in these sizes."""


def form_of(table: Table) -> Form:
    """The largest form that holds the table's width."""
    needed = width(table)
    return next(form for form in FORMS if needed <= form.characters)


def pages(table: Table, most: int) -> Iterator[Table]:
    """The table in parts of at most so many lines, broken before a group or a row where that leaves half a page."""
    lines = list(table.lines)
    while len(lines) > most:
        begins = [place for place in range(most // 2, most + 1) if is_new(lines[place - 1], lines[place])]
        cut = begins[-1] if begins else most
        yield replace(table, lines=lines[:cut])
        lines = lines[cut:]
    yield replace(table, lines=lines)


def is_new(before: Line, line: Line) -> bool:
    """Whether a line begins another group or row."""
    return (before.group, before.row) != (line.group, line.row)


def width(table: Table) -> float:
    """Characters that a line of the printed table takes, a column's distance being one and a half."""
    widths = [
        max(cells_width(table, place), *map(len, wrapped(column.heading, cells_width(table, place))))
        for place, column in enumerate(table.columns)
    ]
    if table.grouped:
        widths.append(max([len(table.group_heading), *(len(line.group) for line in table.lines)]))
    return sum(widths) + 1.5 * len(widths)


def cells_width(table: Table, place: int) -> int:
    """Characters of the widest cell of a column."""
    column = table.columns[place]
    return max((len(column.write(line.cells[place])) for line in table.lines), default=0)


def wrapped(heading: str, width: int) -> list[str]:
    """A heading in lines that are as wide as the cells below it, where its words allow that."""
    return textwrap.wrap(heading, max(SHORTEST, width), break_long_words=False) or [""]
