r"""A table as LaTeX: booktabs rules, numbers in siunitx columns, ready for \input in a paper."""

import math
import re
import textwrap
from collections.abc import Sequence

import pandas as pd

from reports.table import NONE, Column, Table, Value

PREAMBLE = r"""% Needs in the preamble: \usepackage{booktabs} \usepackage{siunitx}
"""
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
HEADING, BREAK = 11, r"\\"
"""Characters of a heading's line over a mean; LaTeX's line break."""
PATTERN = re.compile("|".join(map(re.escape, SPECIAL)))


def to_latex(table: Table) -> str:
    """A whole table environment with caption and label `tab:<name>`; whatever LaTeX takes for a command is escaped.

    A mean takes two columns with ± between them: siunitx sets the sign of a separate uncertainty differently from
    version to version, and bold numbers with it.
    """
    frame = table.frame(write=write)
    kinds = ["text"] * table.grouped + [column.kind for column in table.columns]
    frame.columns = pd.Index([heading(text, kind) for text, kind in zip(frame.columns, kinds, strict=True)])
    if table.grouped:
        frame.iloc[:, 0] = [escape(cell) for cell in frame.iloc[:, 0]]
    formats = ["l"] * table.grouped + [column_format(table, place) for place in range(len(table.columns))]
    body = frame.style.hide(axis="index").to_latex(hrules=True, column_format=f"@{{}}{''.join(formats)}@{{}}")
    caption = " ".join([table.title if table.title[-1:] in "?!." else f"{table.title}.", *table.caption])
    notes = [r"\par\smallskip", rf"\parbox{{\linewidth}}{{\scriptsize {escape(' '.join(table.notes))}}}"]
    return "\n".join(
        [
            PREAMBLE + r"\begin{table}[htbp]",
            r"\centering\footnotesize",
            r"\setlength{\tabcolsep}{4pt}\setlength{\belowcaptionskip}{6pt}",
            r"\sisetup{detect-weight=true, retain-explicit-plus=true}",
            f"\\caption{{{escape(caption)}}}",
            f"\\label{{tab:{table.name}}}",
            ruled(body, table).rstrip(),
            *(notes if table.notes else ()),
            r"\end{table}",
            "",
        ]
    )


def heading(text: str, kind: str) -> str:
    """A column heading; over a mean it spans both columns, in lines that are no wider than the numbers below."""
    if kind != "mean":
        return f"{{{escape(text)}}}"
    lines = [escape(line) for line in textwrap.wrap(text, HEADING)] or [""]
    told = lines[0] if len(lines) == 1 else rf"\shortstack{{{BREAK.join(lines)}}}"
    return rf"\multicolumn{{2}}{{c}}{{{told}}}"


def escape(text: str) -> str:
    """Plain text as LaTeX prints it."""
    return PATTERN.sub(lambda found: SPECIAL[found.group()], text)


def write(column: Column, cell: Value | str) -> str:
    """A cell as LaTeX: a bare number for an S column, anything else in braces."""
    if isinstance(cell, str):
        return escape(cell)
    if column.kind == "interval":
        return f"${column.write(cell)}$" if column.write(cell) != NONE else "--"
    if cell.missing:
        return r"\multicolumn{2}{c}{--}" if column.kind == "mean" else "{--}"
    if column.kind == "p" and column.write(cell).startswith("<"):
        return f"{{${column.write(cell)}$}}"
    # siunitx reads the weight only where it stands bare before the number.
    weight = r"\bfseries " if cell.bold else ""
    number = weight + column.number(cell.number, separator="")
    if column.kind == "mean":
        return f"{number} & {f'{cell.spread:.{column.decimals}f}' if math.isfinite(cell.spread) else '{--}'}"
    return number


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
