"""Table: columns, lines of values and a caption, before anything is printed; every format is written from it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import pandas as pd

from studies.statistics import DASH, write_mean

MARK = "†"
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
Kind = Literal["text", "mean", "number", "p", "interval", "difference"]
"""`mean`: a number ± its standard deviation; `difference`: a number with its interval; `interval`: that alone."""


@dataclass(frozen=True)
class Value:
    """A number with its sample standard deviation or its interval; NaN is missing."""

    number: float = math.nan
    std: float = math.nan
    low: float = math.nan
    high: float = math.nan
    bold: bool = False
    mark: bool = False
    """Whether a dagger follows it, which the caption explains."""

    @property
    def missing(self) -> bool:
        """Whether there is no number."""
        return not math.isfinite(self.number)


Cell = Value | str


@dataclass(frozen=True)
class Column:
    """One column: its key in CSV files, its heading, and how its values are written."""

    key: str
    heading: str
    kind: Kind = "text"
    decimals: int = 2
    signed: bool = False
    once: bool = False
    """Text that is left out where the line above has the same."""
    in_print: bool = True
    """Whether LaTeX has the column, which has less room than a page or a CSV file."""
    heads: bool = False
    """Text that stands in print as a line of its own, above the lines that share it."""
    over: str = ""
    """A heading above, which neighbouring columns share."""

    def write(self, cell: Cell) -> str:
        """The cell as plain text."""
        return " ".join(self.write_parts(cell))

    def write_parts(self, cell: Cell) -> tuple[str, ...]:
        """The cell as plain text: a number, and what follows it (`± 0.51`, `[−0.05, +0.47]`) apart."""
        if isinstance(cell, str):
            return (cell,)
        if cell.mark:
            *parts, last = self.write_parts(replace(cell, mark=False))
            return *parts, last + MARK
        if self.kind == "interval":
            return (self.interval(cell),)
        if cell.missing:
            return (DASH,)
        if self.kind == "difference":
            return self.number(cell.number), self.interval(cell)
        if self.kind == "mean":
            mean, sign, std = write_mean(cell.number, cell.std, self.decimals).partition(" ± ")
            return (mean, f"± {std}") if sign else (mean,)
        smallest = 10.0**-self.decimals
        if self.kind == "p" and cell.number < smallest:
            return (f"<{smallest:.{self.decimals}f}",)
        return (self.number(cell.number),)

    def interval(self, value: Value) -> str:
        """The two ends of a value's interval; a dash where it has none."""
        known = math.isfinite(value.low) and math.isfinite(value.high)
        return f"[{self.number(value.low)}, {self.number(value.high)}]" if known else DASH

    def number(self, number: float) -> str:
        """A number with this column's decimals, thousands apart, and a minus that is no hyphen; -0.00 is 0.00."""
        rounded = round(number, self.decimals) + 0.0
        written = f"{rounded:{'+' if self.signed and rounded else ''},.{self.decimals}f}"
        return written.replace(",", " ").replace("-", "−")


@dataclass(frozen=True)
class Line:
    """One line of a table; `cells` follow the table's columns."""

    cells: Sequence[Cell]
    group: str = ""
    row: str = ""
    """The study's row that the numbers are of; the page links to its runs."""


@dataclass(frozen=True)
class Table:
    """Columns, lines in the order they are printed, and a caption of whole sentences, the first of them for print."""

    name: str
    """File name without its ending."""
    title: str
    columns: Sequence[Column]
    lines: Sequence[Line]
    caption: Sequence[str] = ()
    notes: Sequence[str] = ()
    """What limits the numbers, below the table: sentences."""
    data: pd.DataFrame = field(default_factory=pd.DataFrame)
    """The same numbers, tidy and unrounded: what the CSV file holds."""
    appendix: bool = False
    """For files and the page, too long for a screen."""
    findings: Sequence[str] = ()
    """What the numbers show, above the table on a screen: sentences."""

    @property
    def short_title(self) -> str:
        """The title as a heading in the study's own report: without the study."""
        title = self.title.partition(": ")[2] or self.title
        return title[:1].upper() + title[1:]

    @property
    def grouped(self) -> bool:
        """Whether any line belongs to a group."""
        return any(line.group for line in self.lines)

    def first_lines(self, most: int) -> "Table":
        """The table with at most so many lines, and a note where others are left to the CSV file."""
        if len(self.lines) <= most:
            return self
        note = f"The first {most} of {len(self.lines):,} lines; every number is in {self.name}.csv."
        return replace(self, lines=self.lines[:most], findings=self.findings[:most], notes=[*self.notes, note])

    @property
    def headings(self) -> list[str]:
        """The headings, that of the groups first where there are any."""
        return ["Group"] * self.grouped + [f"{column.over} {column.heading}".strip() for column in self.columns]

    def write_cells(self, write: Callable[[Column, Cell], str] = Column.write) -> list[list[str]]:
        """Every line's cells as strings, its group first; group and repeated text at the first line only."""
        written: list[list[str]] = []
        before: Line | None = None
        for line in self.lines:
            same_group = before is not None and line.group == before.group
            cells = ["" if same_group else line.group] * self.grouped
            for position, (column, cell) in enumerate(zip(self.columns, line.cells, strict=True)):
                repeated = column.once and same_group and before is not None and before.cells[position] == cell
                cells.append("" if repeated else write(column, cell))
            written.append(cells)
            before = line
        return written


def write_csv(data: pd.DataFrame) -> str:
    """Tidy numbers as CSV; a text that a spreadsheet would compute (`=1+1`) has an apostrophe in front.

    A signed number is no formula.
    """
    texts = data.select_dtypes(["object", "string"]).columns
    return data.assign(**{name: data[name].map(escape_formula) for name in texts}).to_csv(index=False)


def escape_formula(value: object) -> object:
    """A cell of a CSV file that no spreadsheet takes for a formula."""
    if not isinstance(value, str) or not value.startswith(FORMULA_STARTS):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value
