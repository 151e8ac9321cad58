"""HTML page of a report, one self-contained file: question, verdicts, tables, figures, documents, runs."""

import json
from base64 import b64encode
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd

from core.config.presets import leaves
from core.config.signature import drop_neutral_sections
from core.data.datasets import SYNTHETIC
from core.prediction.html import TEMPLATES, Viewer, templates
from reports.captions import EMBEDDED_CORPUS_NOTE, label, problems
from reports.figures.style import ReportFigure, render
from reports.frame import run_facts
from reports.row_means import rows_by_group
from reports.tables.layout import Cell, Column, Line, Table, Value
from studies.record import StudyRecord
from studies.statistics import DASH

DATELESS = {"Date": None, "Creator": None}
"""What a drawing says of its making: nothing, so that the same study gives the same page."""
ENVIRONMENT = templates(Path(__file__).with_name("templates"), TEMPLATES)


def build_study_page(
    study: StudyRecord,
    frame: pd.DataFrame,
    compared: pd.DataFrame,
    tables: Sequence[Table],
    figures: Sequence[ReportFigure],
    viewer: Viewer | None = None,
) -> str:
    """The page of a study as HTML; it loads nothing. `compared` is what `baseline_differences` finds in it."""
    flags = ", ".join(f"{path} {value}" for path, value in leaves(drop_neutral_sections(study.settings)).items())
    settings = f" Settings of every row: {flags}." if flags else ""
    return _render(
        title=study.label,
        heading=study.study.question,
        lead=f"Study {study.study.name} under profile {study.profile}, {frame['split'].iloc[0]} split.{settings}",
        warning=EMBEDDED_CORPUS_NOTE if study.data_name == SYNTHETIC else "",
        metric=study.study.metric,
        verdicts=[
            (f"{label(study, line['row'])} against {label(study, line['baseline'])}", line["verdict"])
            for line in compared[compared["task"] == study.study.metric].to_dict("records")
        ],
        tables=_template_tables(tables, "Results"),
        figures=[(figure, b64encode(render(figure.figure, "svg", DATELESS)).decode()) for figure in figures],
        viewer=viewer,
        rows=_runs_by_row(study, frame),
        problems=problems(frame),
    )


def build_comparison_page(a: str, b: str, tables: Sequence[Table], viewer: Viewer | None) -> str:
    """The page of two systems that were compared."""
    return _render(
        title=f"{a} and {b}",
        heading=f"{a} and {b}",
        lead="A is the first, B the second; every difference is B minus A.",
        tables=_template_tables(tables, "All measures"),
        viewer=viewer,
    )


def _render(**content: Any) -> str:
    """The template with everything in its place; what is not given has no section."""
    absent = dict.fromkeys(("warning", "verdicts", "figures", "rows", "problems"), ())
    return ENVIRONMENT.get_template("page.html").render({**absent, **content})


def _template_tables(tables: Iterable[Table], first_heading: str) -> list[dict[str, Any]]:
    """Tables for the template: every cell with its text, its sort key, whether it is best, and its link.

    The cells of a study's row link to the row's runs, a document's name to the document in the viewer.
    """
    made = []
    for number, table in enumerate(tables):
        columns = [Column("group", "Group"), *table.columns] if table.grouped else list(table.columns)
        lines = []
        for line in table.lines:
            cells = [line.group, *line.cells] if table.grouped else list(line.cells)
            lines.append([_cell(column, cell, line) for column, cell in zip(columns, cells, strict=True)])
        heading = first_heading if number == 0 else table.title.partition(": ")[2] or table.title
        heading = heading[:1].upper() + heading[1:]
        made.append({"table": table, "columns": columns, "lines": lines, "heading": heading})
    return made


def _cell(column: Column, cell: Cell, line: Line) -> dict[str, Any]:
    link = ""
    if column.key == "document" and isinstance(cell, str):
        link = f"document={quote(cell)}"
    elif line.row and (column.key == "row" or (isinstance(cell, Value) and not cell.missing)):
        link = f"runs-{line.row}"
    if isinstance(cell, str):
        return {"text": cell, "sort": cell, "bold": False, "link": link}
    sort = "" if cell.missing else repr(float(cell.number))
    return {"text": column.write(cell), "sort": sort, "bold": cell.bold, "link": link}


def _runs_by_row(study: StudyRecord, frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Every row with its settings and, seed by seed, its runs and their score on the study's metric."""
    on_metric = frame[frame["task"] == study.study.metric]
    scores = {(row, seed): f1 for row, seed, f1 in on_metric[["row", "seed", "f1"]].itertuples(index=False)}
    runs: dict[str, list[dict[str, Any]]] = {}
    for run in run_facts(frame).to_dict("records"):
        score = scores[run["row"], run["seed"]]
        facts = {str(name): "" if pd.isna(value) else value for name, value in run.items()}
        runs.setdefault(run["row"], []).append({**facts, "score": DASH if pd.isna(score) else f"{score:.2f}"})
    rows = []
    for row in rows_by_group(study):
        entry = study.study.rows[row]
        settings = json.dumps(entry.settings) if entry.settings else "none"
        facts = {"row": row, "label": label(study, row), "entry": entry, "settings": settings}
        rows.append({**facts, "runs": runs.get(row, [])})
    return rows
