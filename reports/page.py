"""One self-contained HTML page of a study: question, verdict, tables, figures, and the runs behind every number."""

import json
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from reports.captions import NO_REAL_RESULT, is_embedded, label, problems
from reports.comparison import RULES
from reports.contents import Drawing
from reports.figures import drawn
from reports.load import runs_of
from reports.table import NONE, Column, Table, Value
from reports.tables import by_group
from studies.study_record import StudyRecord

TEMPLATES = Path(__file__).with_name("templates")


def page(
    study: StudyRecord,
    frame: pd.DataFrame,
    compared: pd.DataFrame,
    tables: Sequence[Table],
    drawings: Sequence[Drawing],
) -> str:
    """The page as HTML; it loads nothing from anywhere. `compared` is what `reports.comparison` says of the frame."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html").render(
        study=study,
        split=frame["split"].iloc[0],
        warning=NO_REAL_RESULT if is_embedded(study) else "",
        verdicts=verdicts(study, compared),
        rules=RULES,
        tables=[shown(table) for table in tables],
        figures=[(drawing, source(drawing)) for drawing in drawings],
        rows=runs_by_row(study, frame),
        problems=problems(frame),
    )


def verdicts(study: StudyRecord, compared: pd.DataFrame) -> list[tuple[str, str]]:
    """(what is compared, the rule's words) on the study's metric."""
    lines = compared[compared["task"] == study.study.metric].to_dict("records")
    return [
        (f"{label(study, line['row'])} against {label(study, line['baseline'])}", line["verdict"]) for line in lines
    ]


def shown(table: Table) -> dict[str, Any]:
    """A table for the template: every cell with its text, what it is sorted by, and whether it is best."""
    columns = [Column("group", table.group_heading), *table.columns] if table.grouped else list(table.columns)
    lines = []
    grouped = table.grouped
    for line in table.lines:
        cells = [line.group, *line.cells] if grouped else list(line.cells)
        told = [cell_of(column, cell) for column, cell in zip(columns, cells, strict=True)]
        # The row's name leads to its runs.
        lines.append(
            [one | {"row": line.row if column.key == "row" else ""} for column, one in zip(columns, told, strict=True)]
        )
    return {"table": table, "columns": columns, "lines": lines}


def cell_of(column: Column, cell: Value | str) -> dict[str, Any]:
    """A cell for the template."""
    if isinstance(cell, str):
        return {"text": cell, "by": cell, "bold": False}
    return {"text": column.write(cell), "by": "" if cell.missing else repr(float(cell.number)), "bold": cell.bold}


def source(drawing: Drawing) -> str:
    """A figure as an address that holds it, drawn as vectors."""
    held = drawn(drawing.figure, "svg", {"Date": None, "Creator": None})
    return f"data:image/svg+xml;base64,{b64encode(held).decode()}"


def runs_by_row(study: StudyRecord, frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Every row with its settings and, seed by seed, its runs and their score on the study's metric."""
    of_metric = frame[frame["task"] == study.study.metric]
    keys = zip(of_metric["row"], of_metric["seed"], strict=True)
    scores = dict(zip(keys, of_metric["f1"], strict=True))
    runs: dict[str, list[dict[str, Any]]] = {}
    for run in runs_of(frame).to_dict("records"):
        runs.setdefault(run["row"], []).append({str(name): value for name, value in run.items()})
    found = []
    for row in by_group(study):
        entry = study.study.rows[row]
        lines = []
        for run in runs.get(row, ()):
            known = {name: ("" if pd.isna(run[name]) else run[name]) for name in run}
            value = scores[row, run["seed"]]
            lines.append({**known, "score": NONE if pd.isna(value) else f"{value:.2f}"})
        told = json.dumps(entry.settings) if entry.settings else "none"
        found.append({"row": row, "label": label(study, row), "entry": entry, "settings": told, "runs": lines})
    return found
