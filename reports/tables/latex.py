r"""A table as LaTeX: booktabs rules, numbers in siunitx columns, ready for \input in a paper.

How a table fits a page of LaTeX: its size, on its side where it is wide, in parts where it is long.
"""

import math
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from reports.tables.layout import NONE, Column, Line, Table, Value

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


SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
    "Δ": r"$\Delta$",
    "–": "--",
    "−": r"$-$",
    "×": r"$\times$",
    "²": r"$^2$",
    "³": r"$^3$",
    "α": r"$\alpha$",
    "≥": r"$\ge$",
    "≤": r"$\le$",
}
BREAK = r"\\"
TWICE = ("mean", "difference")
"""Kinds of columns that take two of LaTeX's."""
CODE = re.compile("`([^`]*)`")
PATTERN = re.compile("|".join(map(re.escape, SPECIAL)))


def to_latex(table: Table) -> str:
    """Whole table environments with caption and label `tab:<name>`; whatever LaTeX takes for a command is escaped.

    A mean takes two columns with ± between them: siunitx sets the sign of a separate uncertainty differently from
    version to version, and bold numbers with it. A wide table is set smaller, then on its side; a long one goes on in a
    further environment.
    """
    form = form_of(table)
    parts = [environment(part, form, again=place > 0) for place, part in enumerate(pages(table, form.lines))]
    needed = " ".join(rf"\usepackage{{{name}}}" for name in form.packages)
    return "\n".join([f"% Needs in the preamble: {needed}", *parts])


def environment(table: Table, form: Form, *, again: bool) -> str:
    """One table environment; `again` is one that goes on with the table before it."""
    frame = table.frame(write=write)
    headings = [f"{{{escape(table.group_heading)}}}"] * table.grouped
    headings += [heading(column, cells_width(table, place)) for place, column in enumerate(table.columns)]
    frame.columns = pd.Index(headings)
    if table.grouped:
        frame.iloc[:, 0] = [escape(cell) for cell in frame.iloc[:, 0]]
    formats = ["l"] * table.grouped + [column_format(table, place) for place in range(len(table.columns))]
    body = frame.style.hide(axis="index").to_latex(hrules=True, column_format=f"@{{}}{''.join(formats)}@{{}}")
    title = table.title if table.title[-1:] in "?!." else f"{table.title}."
    # The class sets captions in the size of the text, which is too large for whole sentences over a small table.
    more = rf" \protect\footnotesize {escape(' '.join(table.caption))}" if table.caption and not again else ""
    caption = rf"[{escape(title)}]{{{escape(title)}{' (Continued.)' if again else ''}{more}}}"
    notes = [r"\par\smallskip", rf"\parbox{{\linewidth}}{{\scriptsize {escape(' '.join(table.notes))}}}"]
    return "\n".join(
        [
            rf"\begin{{{form.environment}}}[htbp]",
            rf"\centering{form.size}",
            rf"\setlength{{\tabcolsep}}{{{form.separation}}}\setlength{{\belowcaptionskip}}{{6pt}}",
            r"\sisetup{detect-weight=true, retain-explicit-plus=true}",
            # What goes on keeps its number.
            *([r"\addtocounter{table}{-1}"] if again else ()),
            rf"\caption{caption}",
            *(() if again else [f"\\label{{tab:{table.name}}}"]),
            ruled(body, table).rstrip(),
            *(notes if table.notes and not again else ()),
            rf"\end{{{form.environment}}}",
            "",
        ]
    )


def heading(column: Column, width: int) -> str:
    """A column heading in lines about as wide as the cells below; over two of LaTeX's columns it spans both."""
    lines = [escape(line) for line in wrapped(column.heading, width)]
    told = lines[0] if len(lines) == 1 else rf"\shortstack{{{BREAK.join(lines)}}}"
    return rf"\multicolumn{{2}}{{c}}{{{told}}}" if column.kind in TWICE else f"{{{told}}}"


def escape(text: str) -> str:
    """Plain text as LaTeX prints it."""
    return CODE.sub(r"\\texttt{\1}", PATTERN.sub(lambda found: SPECIAL[found.group()], text))


def write(column: Column, cell: Value | str) -> str:
    """A cell as LaTeX: a bare number for an S column, anything else in braces."""
    if isinstance(cell, str):
        return escape(cell)
    if column.kind == "interval":
        return interval(column, cell)
    if cell.missing:
        return r"\multicolumn{2}{c}{--}" if column.kind in TWICE else "{--}"
    if column.kind == "p" and column.write(cell).startswith("<"):
        return f"{{${column.write(cell)}$}}"
    # siunitx reads the weight only where it stands bare before the number.
    weight = r"\bfseries " if cell.bold else ""
    number = weight + column.number(cell.number, separator="")
    if column.kind == "difference":
        return f"{number} & {interval(column, cell)}"
    if column.kind == "mean":
        return f"{number} & {f'{cell.spread:.{column.decimals}f}' if math.isfinite(cell.spread) else '{--}'}"
    return number


def interval(column: Column, cell: Value) -> str:
    """An interval in math, whose minus signs are as long as those of numbers."""
    text = column.interval(cell)
    return f"${text}$" if text != NONE else "--"


def column_format(table: Table, place: int) -> str:
    """The S columns that are wide enough for every number of a column; plain ones for text and intervals."""
    column = table.columns[place]
    if column.wraps:
        return r">{\raggedright\arraybackslash}p{0.62\linewidth}"
    if column.kind == "text":
        return "l"
    if column.kind == "interval":
        return "c"
    values = [value for line in table.lines if isinstance(value := line.cells[place], Value) and not value.missing]
    numbers = [value.number for value in values]
    sign = "+" if column.signed else "-" if min(numbers, default=0) < 0 else ""
    format_of = f"S[table-format={sign}{whole_digits(numbers)}.{column.decimals}]"
    if column.kind == "difference":
        return rf"{format_of}@{{\ }}l"
    if column.kind != "mean":
        return format_of
    spreads = [value.spread for value in values if math.isfinite(value.spread)]
    return rf"{format_of}@{{${{}}\pm{{}}$}}S[table-format={whole_digits(spreads)}.{column.decimals}]"


def whole_digits(numbers: Sequence[float]) -> int:
    """Digits before the point of the largest of some numbers."""
    return max((len(str(int(abs(number) + 0.5))) for number in numbers), default=1)


def ruled(body: str, table: Table) -> str:
    """The tabular with a rule before each further group."""
    lines = body.splitlines()
    first = next(number for number, line in enumerate(lines) if line == r"\midrule") + 1
    groups = [line.group for line in table.lines]
    for number in reversed(range(1, len(groups))):
        if groups[number] != groups[number - 1]:
            lines.insert(first + number, r"\midrule")
    return "\n".join(lines)
