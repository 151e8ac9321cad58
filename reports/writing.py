"""Tables and frames -> files, each whole or not at all."""

from pathlib import Path

import pandas as pd

from core.replacing import make_folder, replace_file
from reports.latex import to_latex
from reports.markdown import to_markdown
from reports.table import Table


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
    replace_file(path, text.encode())
    return path
