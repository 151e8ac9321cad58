"""A table as Markdown: bold with asterisks, caption and notes below it."""

from tabulate import tabulate

from reports.table import Column, Table, Value

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
