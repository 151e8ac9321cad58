"""A table as Markdown: bold with asterisks, caption and notes below it.

Tables and frames -> files, each whole or not at all.
"""

from pathlib import Path

import pandas as pd
from tabulate import tabulate

from core.files import atomic_write, make_folder
from reports.tables.latex import to_latex
from reports.tables.layout import Column, Table, Value

SPECIAL = str.maketrans({"\\": "\\\\", "|": "\\|", "*": "\\*", "_": "\\_", "<": "&lt;", "\n": " "})


def to_markdown(table: Table) -> str:
    """The table with title, caption and notes; text cells are escaped, numbers stand to the right."""
    frame = table.frame(write=write)
    aligned = ["left"] if table.grouped else []
    aligned += ["left" if column.kind == "text" else "right" for column in table.columns]
    rows = frame.to_numpy().tolist()
    body = tabulate(
        rows, list(frame.columns), tablefmt="pipe", colalign=aligned if rows else None, disable_numparse=True
    )
    caption = " ".join(table.caption).translate(SPECIAL)
    notes = "".join(f"- {note.translate(SPECIAL)}\n" for note in table.notes)
    return "\n\n".join([f"### {table.title.translate(SPECIAL)}", body, caption]) + (f"\n\n{notes}" if notes else "\n")


def write(column: Column, cell: Value | str) -> str:
    """A cell as Markdown."""
    if isinstance(cell, str):
        return cell.translate(SPECIAL)
    text = column.write(cell)
    if not cell.bold:
        return text
    # As in print: the mean is bold, its spread is not.
    first, sign, rest = text.partition(" ± ")
    return f"**{first}**{sign}{rest}"


def write_table(table: Table, folder: Path) -> list[Path]:
    """Write `<name>.md`, `.tex` and `.csv`; their paths."""
    texts = {".md": to_markdown(table), ".tex": to_latex(table), ".csv": table.data.to_csv(index=False)}
    return [write_text(text, folder / f"{table.name}{ending}") for ending, text in texts.items()]


def write_frame(frame: pd.DataFrame, path: Path) -> Path:
    """Write a frame as CSV, numbers unrounded."""
    return write_text(frame.to_csv(index=False), path)


def write_text(text: str, path: Path) -> Path:
    """Write a text file, its folder made where it is not there."""
    make_folder(path.parent, "give a folder that is yours (--out DIR)")
    atomic_write(path, text.encode())
    return path
