"""Markdown of a table: bold with asterisks, findings above it, caption and notes below."""

from tabulate import tabulate

from reports.tables.layout import Cell, Column, Table

SPECIAL = str.maketrans({"\\": "\\\\", "|": "\\|", "*": "\\*", "_": "\\_", "<": "&lt;", "\n": " "})


def to_markdown(table: Table) -> str:
    """The table with title, findings, caption and notes; text cells are escaped, numbers stand to the right."""
    rows = table.write_cells(write_cell)
    aligned = ["left"] * table.grouped
    aligned += ["left" if column.kind == "text" else "right" for column in table.columns]
    body = tabulate(rows, table.headings, tablefmt="pipe", colalign=aligned if rows else None, disable_numparse=True)
    caption = " ".join(table.caption).translate(SPECIAL)
    notes = "".join(f"- {note.translate(SPECIAL)}\n" for note in table.notes)
    findings = "\n".join(f"- {finding.translate(SPECIAL)}" for finding in table.findings)
    parts = [f"### {table.title.translate(SPECIAL)}", *([findings] if findings else ()), body, caption]
    return "\n\n".join(parts) + (f"\n\n{notes}" if notes else "\n")


def write_cell(column: Column, cell: Cell) -> str:
    """A cell as Markdown."""
    if isinstance(cell, str):
        return cell.translate(SPECIAL)
    # As in print: the mean is bold, its standard deviation is not.
    mean, sign, std = column.write(cell).partition(" ± ")
    return f"**{mean}**{sign}{std}" if cell.bold else f"{mean}{sign}{std}"
