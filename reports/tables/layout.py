"""A table before it is printed: columns of a kind, rows of values in groups, and what its caption says."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import pandas as pd

Kind = Literal["text", "mean", "number", "p", "interval", "difference"]
"""`mean`: a number ± its spread; `difference`: a number with its interval; `interval`: that alone."""
NONE = "–"
"""What stands where there is no number."""


@dataclass(frozen=True)
class Value:
    """A number with what belongs to it; NaN is missing."""

    number: float = math.nan
    spread: float = math.nan
    """Sample standard deviation."""
    low: float = math.nan
    high: float = math.nan
    bold: bool = False

    @property
    def missing(self) -> bool:
        """Whether there is no number."""
        return not math.isfinite(self.number)


def sign_flip(p: float, floor: float, n: int) -> str:
    """A sign-flip p with the smallest that so many seeds can reach; nothing where none is shared."""
    return f"{p:.4f} ({floor:.4f})" if n else NONE


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
    wraps: bool = False
    """Text that may be too long for one line of a page."""

    def write(self, value: "Value | str") -> str:
        """The value as plain text."""
        if isinstance(value, str):
            return value
        if self.kind == "interval":
            return self.interval(value)
        if value.missing:
            return NONE
        if self.kind == "difference":
            return f"{self.number(value.number)} {self.interval(value)}"
        if self.kind == "mean":
            spread = f"{value.spread:.{self.decimals}f}" if math.isfinite(value.spread) else NONE
            return f"{self.number(value.number)} ± {spread}"
        floor = 10.0**-self.decimals
        if self.kind == "p" and value.number < floor:
            return f"<{floor:.{self.decimals}f}"
        return self.number(value.number)

    def interval(self, value: Value) -> str:
        """The two ends of a value's interval; a dash where it has none."""
        known = math.isfinite(value.low) and math.isfinite(value.high)
        return f"[{self.number(value.low)}, {self.number(value.high)}]" if known else NONE

    def number(self, number: float, *, separator: str = " ") -> str:
        """A number with this column's decimals and sign, thousands set apart; -0.00 is written 0.00."""
        rounded = round(number, self.decimals) + 0.0
        return f"{rounded:{'+' if self.signed and rounded else ''},.{self.decimals}f}".replace(",", separator)


@dataclass(frozen=True)
class Line:
    """One row of a table; `cells` follow the table's columns."""

    cells: Sequence[Value | str]
    group: str = ""
    row: str = ""
    """The study's row whose runs stand behind the numbers; a page leads there."""


@dataclass(frozen=True)
class Table:
    """Columns, lines in the order they are printed, and a caption of whole sentences."""

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
    group_heading: str = "Group"
    appendix: bool = False
    """For files and the page, too long for a screen."""

    @property
    def grouped(self) -> bool:
        """Whether any line belongs to a group."""
        return any(line.group for line in self.lines)

    def shortened(self, most: int) -> "Table":
        """The table with at most so many lines, and a note where others are left to the CSV file."""
        if len(self.lines) <= most:
            return self
        note = f"The first {most} of {len(self.lines):,} lines; every number stands in {self.name}.csv."
        return replace(self, lines=self.lines[:most], notes=[*self.notes, note])

    def frame(self, *, write: Any = None) -> pd.DataFrame:
        """The table as strings, the group as first column, named at its first line only."""
        write = write or Column.write
        grouped = self.grouped
        headings = [column.heading for column in self.columns]
        rows: list[list[str]] = []
        before: Line | None = None
        for line in self.lines:
            same = before is not None and line.group == before.group
            rows.append([] if not grouped else [""] if same else [line.group])
            for place, (column, cell) in enumerate(zip(self.columns, line.cells, strict=True)):
                again = column.once and same and before is not None and before.cells[place] == cell
                rows[-1].append("" if again else write(column, cell))
            before = line
        return pd.DataFrame(rows, columns=[self.group_heading, *headings] if grouped else headings)
