r"""LaTeX of a table: booktabs rules and plain columns, ready for \input in a paper of one or two columns.

A table takes one column of a two-column paper where its natural width allows that, else both. What is too wide even
there wraps its text, then goes on below with its further columns; what is too long, in a further environment.
"""

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, groupby
from typing import Literal

from reports.tables.latex.columns import (
    PAIRS,
    SEPARATION,
    PrintColumn,
    build_column,
    compute_width,
    fit_columns,
)
from reports.tables.latex.text import add_breaks, escape, text_width, write_label
from reports.tables.layout import MARK, Line, Table

Paper = Literal["two-column", "one-column"]
COLUMN_WIDTH = 216.0
"""Points of 8 pt Times in a column of ACL's classes, which are 219 pt wide; those of other conferences are wider."""
PAGE_WIDTHS: dict[Paper, float] = {"two-column": 395.0, "one-column": 320.0}
"""Points of 8 pt Times that every usual page has: 455 pt in ACL's two columns, 410 in article's; 345 in its one."""
MAX_LINES = 42
"""Lines of 8 pt on a page, those above groups too."""
SIZE = r"\footnotesize\ifdim\fontcharwd\font`0>4.1pt \scriptsize\fi % the larger one whose digits are 4 pt wide"
SAFE_WIDTH = 175.0
"""Points that fit every paper's column, in Computer Modern too; a table between the two is measured by LaTeX."""
MEASURE_START = r"""\begingroup % measured: in a paper whose column is too narrow it goes across both
\ifdefined\measuredtable\else\newsavebox{\measuredtable}\fi
\begin{lrbox}{\measuredtable}"""
MEASURE_END = r"""\end{lrbox}
\ifdim\wd\measuredtable>\columnwidth
\expandafter\let\expandafter\table\csname table*\endcsname
\expandafter\let\expandafter\endtable\csname endtable*\endcsname
\fi"""
MARK_WIDTH = 3.5
"""Points of a raised dagger."""
LABELS = {"table": "results", "comparisons": "differences"}
"""Tables that a label calls otherwise than their file."""


def to_latex(table: Table, study: str, paper: Paper = "two-column") -> str:
    """Whole table environments with a caption of one sentence and the label `tab:<study>-<table>`."""
    shown = [(number, column) for number, column in enumerate(table.columns) if column.in_print and not column.heads]
    columns = [build_column(column, [line.cells[number] for line in table.lines]) for number, column in shown]
    width = compute_width(columns) + MARK_WIDTH * columns[-1].marked
    blocks = fit_columns(columns, PAGE_WIDTHS[paper])
    environment = "table" if paper == "one-column" or width <= COLUMN_WIDTH else "table*"
    measured = paper == "two-column" and SAFE_WIDTH < width <= COLUMN_WIDTH
    caption = escape(add_breaks(table.caption[0] if table.caption else table.title))
    written = [r"% Needs in the preamble: \usepackage{booktabs}"]
    for number, (start, end) in enumerate(split_lines(table, blocks)):
        tabulars = [SIZE, rf"\setlength{{\tabcolsep}}{{{SEPARATION}pt}}%"]
        for position, block in enumerate(blocks):
            tabulars += [r"\par\medskip"] if position else []
            tabulars += write_tabular(table, block, range(start, end))
        written += [*([MEASURE_START, *tabulars, MEASURE_END] if measured else ()), rf"\begin{{{environment}}}[tp]"]
        written += [r"\centering", *([r"\addtocounter{table}{-1}"] if number else ())]
        written += [r"\setlength{\belowcaptionskip}{6pt}", rf"\caption{{{caption}{' (Continued.)' if number else ''}}}"]
        written += [] if number else [write_label("tab", study, LABELS.get(table.name, table.name))]
        written += [r"\usebox{\measuredtable}"] if measured else tabulars
        written += [rf"\end{{{environment}}}", *([r"\endgroup"] if measured else ()), ""]
    return "\n".join(written)


def find_heads(table: Table, lines: Sequence[Line]) -> list[list[tuple[str, str]]]:
    """Per line the lines to stand above it, with their face: its group and its text of `heads`, where they are new."""
    position = next((number for number, column in enumerate(table.columns) if column.heads), None)
    heads: list[list[tuple[str, str]]] = []
    before: tuple[str, str] = ("", "")
    for line in lines:
        now = (line.group, str(line.cells[position]) if position is not None else "")
        new_group = now[0] != before[0]
        heads.append([(r"\itshape ", now[0])] * (new_group and now[0] != ""))
        heads[-1] += [("", now[1])] * (now[1] != "" and (new_group or now[1] != before[1]))
        before = now
    return heads


def split_lines(table: Table, blocks: Sequence[Sequence[PrintColumn]]) -> Iterator[tuple[int, int]]:
    """Where parts that fit a page start and end, before a group or row where that leaves half a page."""
    most = MAX_LINES - sum(max(len(column.heading) for column in block) for block in blocks)
    sources = [(line.group, line.row) for line in table.lines]
    cells = [sum(max(column.count_lines(n) for column in block) for block in blocks) for n in range(len(sources))]
    start = 0
    while True:
        heads = find_heads(table, table.lines[start:])
        above = [sum(count_head_lines(text, block) for block in blocks for _, text in of_line) for of_line in heads]
        heights = list(accumulate(map(sum, zip(cells[start:], above, strict=True))))
        fitting = max(1, bisect_right(heights, most))
        if fitting >= len(heights):
            break
        ends = range(start + (fitting + 1) // 2, start + fitting + 1)
        end = max((end for end in ends if sources[end - 1] != sources[end]), default=start + fitting)
        yield start, end
        start = end
    yield start, len(sources)


def count_head_lines(text: str, columns: Sequence[PrintColumn]) -> int:
    """Lines of a text above the lines that share it, which is no wider than the columns."""
    return math.ceil(text_width(text) / compute_width(columns))


def write_tabular(table: Table, columns: Sequence[PrintColumn], lines: range) -> Iterator[str]:
    """The lines of a tabular, with a rule before each further group."""
    # Ragged text takes the short end of a row for its own.
    end_of_row = r" \tabularnewline" if any(column.wraps for column in columns) else r" \\"
    count = sum(2 if column.kind in PAIRS else 1 for column in columns)
    # A dagger hangs in the space between columns, and behind the last one needs its own.
    end = rf"@{{\kern{MARK_WIDTH}pt}}" if columns[-1].marked else "@{}"
    yield rf"\begin{{tabular}}{{@{{}}{''.join(column.format for column in columns)}{end}}}"
    yield r"\toprule"
    if any(column.over for column in columns):
        yield from write_shared_headings(columns, end_of_row)
    yield " & ".join(write_heading(column, last=column is columns[-1]) for column in columns) + end_of_row
    yield r"\midrule"
    for number, heads in zip(lines, find_heads(table, table.lines[lines.start : lines.stop]), strict=True):
        if number != lines.start and table.lines[number - 1].group != table.lines[number].group:
            yield r"\midrule"
        for face, text in heads:
            wraps = count_head_lines(text, columns) > 1
            form = f"p{{{compute_width(columns):.1f}pt}}" if wraps else "l"
            written = (r"\raggedright\let\\\tabularnewline " if wraps else "") + face + escape(add_breaks(text))
            yield rf"\multicolumn{{{count}}}{{@{{}}{form}@{{}}}}{{{written}}}{end_of_row}"
        cells = " & ".join(write_cell(column, number, first=number == lines.start) for column in columns)
        # What stands in brackets or has an asterisk after a row's end is LaTeX's, not the next row's.
        yield ("{}" if cells[:1] in ("[", "*") else "") + cells + end_of_row
    yield r"\bottomrule"
    yield r"\end{tabular}"


def write_shared_headings(columns: Sequence[PrintColumn], end_of_row: str) -> Iterator[str]:
    """The line of headings that neighbouring columns share, with a rule below each."""
    cells, rules, start = [], [], 1
    for over, shared in groupby(columns, key=lambda column: column.over):
        count = sum(2 if column.kind in PAIRS else 1 for column in shared)
        cells.append(rf"\multicolumn{{{count}}}{{c}}{{{escape(over)}}}")
        rules += [rf"\cmidrule(lr){{{start}-{start + count - 1}}}"] if over else []
        start += count
    yield " & ".join(cells) + end_of_row
    yield "".join(rules)


def write_heading(column: PrintColumn, *, last: bool) -> str:
    """A column heading in lines; over two of LaTeX's columns it spans both."""
    if column.wraps:
        return escape(add_breaks(" ".join(column.heading)))
    side = "l" if column.kind == "text" else "c" if column.kind in PAIRS else "r"
    lines = [escape(line) for line in column.heading]
    joined = r"\\".join(lines)
    text = joined if len(lines) == 1 else rf"\begin{{tabular}}[b]{{@{{}}{side}@{{}}}}{joined}\end{{tabular}}"
    return rf"\multicolumn{{2}}{{c{'@{}' * last}}}{{{text}}}" if column.kind in PAIRS else text


def write_cell(column: PrintColumn, line: int, *, first: bool) -> str:
    """A line's cell as LaTeX, in as many of its columns as the column takes; `first`: of this part of the table."""
    cell = column.cells[line]
    if column.once and not first and cell == column.cells[line - 1]:
        return ""
    if column.wraps:
        return rf"\raggedright {escape(add_breaks(cell[0]))}"
    number, *rest = map(write_part, cell) if column.kind != "text" else map(escape, cell)
    number = rf"\textbf{{{number}}}" if column.bold[line] else number
    return " & ".join([number, *(rest or [""])] if column.kind in PAIRS else [number])


def write_part(text: str) -> str:
    """A number or what follows it, its dagger raised and without a width of its own."""
    return escape(text.removesuffix(MARK)) + (r"\rlap{$^{\dagger}$}" if text.endswith(MARK) else "")
