r"""LaTeX of a table: booktabs rules, numbers in siunitx columns, ready for \input in a paper.

A wide table is set smaller, then on its side; a long one continues in a further environment.
"""

import math
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from reports.tables.layout import Cell, Column, Table, Value
from studies.statistics import DASH

MIN_HEADING_WIDTH = 6
"""Characters that a heading's line may have where the cells below it are narrower."""


@dataclass(frozen=True)
class PageFormat:
    """How a table is set: up to how many characters wide, how many lines a page holds, and by which commands."""

    characters: float
    lines: int
    size: str
    separation: str
    environment: str = "table"


PAGE_FORMATS = (
    PageFormat(100, 48, r"\footnotesize", "4pt"),
    PageFormat(116, 54, r"\scriptsize", "3pt"),
    PageFormat(math.inf, 32, r"\scriptsize", "3pt", "sidewaystable"),
)
"""On A4 with margins of 25 mm, whose lines hold so many characters in these sizes."""
TEXT = {"\\": "backslash", "~": "asciitilde", "^": "asciicircum", "<": "less", ">": "greater"}
MATH = {"±": r"\pm", "Δ": r"\Delta", "−": "-", "×": r"\times", "α": r"\alpha", "≥": r"\ge", "≤": r"\le"}
SPECIAL = {
    "–": "--",
    "²": "$^2$",
    "³": "$^3$",
    **{character: f"\\{character}" for character in "&%$#_{}"},
    **{character: rf"\text{name}{{}}" for character, name in TEXT.items()},
    **{character: f"${command}$" for character, command in MATH.items()},
}
SPECIAL_PATTERN = re.compile("|".join(map(re.escape, SPECIAL)))
CODE = re.compile("`([^`]*)`")
LINE_BREAK = r"\\"
TWO_COLUMNS = ("mean", "difference")
"""Kinds of columns that take two of LaTeX's."""


def to_latex(table: Table) -> str:
    """Whole table environments with caption and label `tab:<name>`; whatever LaTeX takes for a command is escaped.

    A mean takes two columns with ± between them: siunitx sets the sign of a separate uncertainty differently from
    version to version, and bold numbers with it.
    """
    # In print a column's distance to the next is one and a half characters.
    cells = zip(table.headings, cell_widths(table), strict=True)
    width = sum(max(width, *map(len, wrap_heading(heading, width))) + 1.5 for heading, width in cells)
    page = next(page for page in PAGE_FORMATS if width <= page.characters)
    parts = split_lines(table, page.lines)
    environments = [write_environment(part, page, continued=number > 0) for number, part in enumerate(parts)]
    packages = ["booktabs", "siunitx"] + ["rotating"] * (page.environment == "sidewaystable")
    needed = " ".join(rf"\usepackage{{{package}}}" for package in packages)
    return "\n".join([f"% Needs in the preamble: {needed}", *environments])


def cell_widths(table: Table) -> list[int]:
    """Characters of the widest cell of each column, that of the groups first."""
    return [max(map(len, cells)) for cells in zip(*table.write_cells(), strict=True)] or [0] * len(table.headings)


def wrap_heading(heading: str, width: int) -> list[str]:
    """A heading in lines that are as wide as the cells below it, where its words allow that."""
    return textwrap.wrap(heading, max(MIN_HEADING_WIDTH, width), break_long_words=False) or [""]


def split_lines(table: Table, most: int) -> Iterator[Table]:
    """The table in parts of at most so many lines, broken before a group or a row where that leaves half a page."""
    lines = list(table.lines)
    while len(lines) > most:
        sources = [(line.group, line.row) for line in lines]
        starts = [number for number in range(most // 2, most + 1) if sources[number - 1] != sources[number]]
        end = starts[-1] if starts else most
        yield replace(table, lines=lines[:end])
        lines = lines[end:]
    yield replace(table, lines=lines)


def write_environment(table: Table, page: PageFormat, *, continued: bool) -> str:
    """One table environment; `continued`: more of the table before it, under the same number."""
    title = table.title if table.title[-1:] in "?!." else f"{table.title}."
    # The class sets captions in the size of the text, which is too large for whole sentences over a small table.
    more = rf" \protect\footnotesize {escape(' '.join(table.caption))}" if table.caption and not continued else ""
    notes = [r"\par\smallskip", rf"\parbox{{\linewidth}}{{\scriptsize {escape(' '.join(table.notes))}}}"]
    return "\n".join(
        [
            rf"\begin{{{page.environment}}}[htbp]",
            rf"\centering{page.size}",
            rf"\setlength{{\tabcolsep}}{{{page.separation}}}\setlength{{\belowcaptionskip}}{{6pt}}",
            r"\sisetup{detect-weight=true, retain-explicit-plus=true}",
            *([r"\addtocounter{table}{-1}"] if continued else ()),
            rf"\caption[{escape(title)}]{{{escape(title)}{' (Continued.)' if continued else ''}{more}}}",
            *([] if continued else [f"\\label{{tab:{table.name}}}"]),
            *write_tabular(table),
            *(notes if table.notes and not continued else ()),
            rf"\end{{{page.environment}}}",
            "",
        ]
    )


def write_tabular(table: Table) -> Iterator[str]:
    """The lines of the tabular, with a rule before each further group."""
    widths = cell_widths(table)
    kinds = ["text"] * table.grouped + [column.kind for column in table.columns]
    headings = map(write_heading, table.headings, kinds, widths)
    formats = ["l"] * table.grouped + [column_format(table, number) for number in range(len(table.columns))]
    yield rf"\begin{{tabular}}{{@{{}}{''.join(formats)}@{{}}}}"
    yield r"\toprule"
    yield " & ".join(headings) + r" \\"
    yield r"\midrule"
    before = None
    for line, cells in zip(table.lines, table.write_cells(write_cell), strict=True):
        if before is not None and before.group != line.group:
            yield r"\midrule"
        yield " & ".join([escape(cells[0]), *cells[1:]] if table.grouped else cells) + r" \\"
        before = line
    yield r"\bottomrule"
    yield r"\end{tabular}"


def write_heading(heading: str, kind: str, width: int) -> str:
    """A column heading in lines about as wide as the cells below; over two of LaTeX's columns it spans both."""
    lines = [escape(line) for line in wrap_heading(heading, width)]
    text = lines[0] if len(lines) == 1 else rf"\shortstack{{{LINE_BREAK.join(lines)}}}"
    return rf"\multicolumn{{2}}{{c}}{{{text}}}" if kind in TWO_COLUMNS else f"{{{text}}}"


def escape(text: str) -> str:
    """Plain text as LaTeX prints it."""
    return CODE.sub(r"\\texttt{\1}", SPECIAL_PATTERN.sub(lambda match: SPECIAL[match.group()], text))


def write_cell(column: Column, cell: Cell) -> str:
    """A cell as LaTeX: a bare number for an S column, anything else in braces."""
    if isinstance(cell, str):
        return escape(cell)
    if column.kind == "interval":
        return write_interval(column, cell)
    if cell.missing:
        return r"\multicolumn{2}{c}{--}" if column.kind in TWO_COLUMNS else "{--}"
    if column.kind == "p" and column.write(cell).startswith("<"):
        return f"{{${column.write(cell)}$}}"
    # siunitx reads the weight only where it stands bare before the number.
    number = (r"\bfseries " if cell.bold else "") + column.number(cell.number, separator="")
    if column.kind == "difference":
        return f"{number} & {write_interval(column, cell)}"
    if column.kind == "mean":
        return f"{number} & {f'{cell.std:.{column.decimals}f}' if math.isfinite(cell.std) else '{--}'}"
    return number


def write_interval(column: Column, value: Value) -> str:
    """An interval in math, whose minus signs are as long as those of numbers."""
    text = column.interval(value)
    return f"${text}$" if text != DASH else "--"


def column_format(table: Table, number: int) -> str:
    """The S columns that are wide enough for every number of a column; plain ones for text and intervals."""
    column = table.columns[number]
    if column.wraps:
        return r">{\raggedright\arraybackslash}p{0.62\linewidth}"
    if column.kind in ("text", "interval"):
        return "l" if column.kind == "text" else "c"
    values = [cell for line in table.lines if isinstance(cell := line.cells[number], Value) and not cell.missing]
    numbers = [value.number for value in values]
    sign = "+" if column.signed else "-" if min(numbers, default=0) < 0 else ""
    number_format = f"S[table-format={sign}{whole_digits(numbers)}.{column.decimals}]"
    if column.kind == "difference":
        return rf"{number_format}@{{\ }}l"
    if column.kind != "mean":
        return number_format
    stds = [value.std for value in values if math.isfinite(value.std)]
    return rf"{number_format}@{{${{}}\pm{{}}$}}S[table-format={whole_digits(stds)}.{column.decimals}]"


def whole_digits(numbers: Sequence[float]) -> int:
    """Digits before the point of the largest of some numbers."""
    return max((len(str(int(abs(number) + 0.5))) for number in numbers), default=1)
