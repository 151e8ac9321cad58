"""HTML page of a report, one file: answer, results, figures, differences, documents; settings, cost and runs folded."""

import json
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd

from core.config.presets import leaves
from core.config.signature import drop_neutral_sections
from core.data.datasets import SYNTHETIC
from core.prediction.html import TEMPLATES, Viewer, templates
from core.records.provenance import collect_provenance, describe_code
from reports.captions import EMBEDDED_CORPUS_NOTE, label, problems
from reports.figures.style import ReportFigure, render
from reports.frame import run_facts
from reports.page.answer import RULES
from reports.page.glossary import GLOSSARY, explain, write_button
from reports.row_means import rows_by_group
from reports.tables.layout import Cell, Column, Line, Table, Value
from studies.record import StudyRecord
from studies.statistics import DASH

DATELESS = {"Date": None, "Creator": None}
"""What a drawing says of its making: nothing, as the page's head has it."""
PIXELS_PER_INCH = 160
FOLDED = ("search", "cost", "settings")
"""Tables that a reader opens."""
ENVIRONMENT = templates(Path(__file__).with_name("templates"), TEMPLATES)
ENVIRONMENT.filters |= {"explain": explain, "help": write_button}


def build_study_page(
    study: StudyRecord,
    frame: pd.DataFrame,
    answer: Sequence[str],
    tables: Sequence[Table],
    figures: Sequence[ReportFigure],
    viewer: Viewer | None = None,
) -> str:
    """The page of a study as HTML; it loads nothing, and links to the files that `engram report` writes beside it."""
    flags = ", ".join(f"{path} {value}" for path, value in leaves(drop_neutral_sections(study.settings)).items())
    settings = f" Settings of every row: {flags}." if flags else ""
    addresses = [address.rpartition("/runs/")[0] for address in frame["address"] if address]
    return _render(
        title=study.label,
        heading=study.study.question,
        lead=f"Study {study.study.name} under profile {study.profile}, {frame['split'].iloc[0]} split.{settings}",
        wandb=list(dict.fromkeys(addresses)),
        warning=EMBEDDED_CORPUS_NOTE if study.data_name == SYNTHETIC else "",
        answer=answer,
        rules=RULES,
        tables=list(_template_tables(tables, "Results")),
        figures=[_template_figure(figure) for figure in figures],
        viewer=viewer,
        rows=_runs_by_row(study, frame),
        problems=problems(frame),
    )


def build_comparison_page(a: str, b: str, answer: str, tables: Sequence[Table], viewer: Viewer | None) -> str:
    """The page of two systems that were compared."""
    return _render(
        title=f"{a} and {b}",
        heading=f"{a} and {b}",
        lead="A is the first, B the second; every difference is B minus A.",
        answer=[answer],
        tables=list(_template_tables(tables, "All tasks")),
        viewer=viewer,
    )


def _render(**content: Any) -> str:
    """The template with everything in its place; what is not given has no section."""
    absent = dict.fromkeys(("warning", "wandb", "rules", "figures", "rows", "problems"), ())
    here = collect_provenance({})
    written = f"{date.today():%d %B %Y}, Engram {here.packages.get('engram', 'from a checkout')}"
    code = describe_code(here) if here.commit else ""
    template = ENVIRONMENT.get_template("page.html")
    return template.render({**absent, "written": written, "code": code, "glossary": GLOSSARY, **content})


def _template_figure(figure: ReportFigure) -> dict[str, Any]:
    drawing = b64encode(render(figure.figure, "svg", DATELESS)).decode()
    return {"figure": figure, "drawing": drawing, "width": round(figure.figure.get_figwidth() * PIXELS_PER_INCH)}


def _template_tables(tables: Iterable[Table], first_heading: str) -> Iterator[dict[str, Any]]:
    """Tables for the template: every cell with its text, its sort key, whether it is best, and its link.

    The cells of a study's row link to the row's runs, a document's name to the document in the viewer. A line's group
    stands behind its first cell, which stays in sight when the table is scrolled.
    """
    for number, table in enumerate(tables):
        lines = []
        for line in table.lines:
            group = f" ({line.group})" if line.group else ""
            cells = [f"{cell}{group}" if not place else cell for place, cell in enumerate(line.cells)]
            lines.append([_cell(column, cell, line) for column, cell in zip(table.columns, cells, strict=True)])
        heading = table.short_title if number else first_heading
        shown = {"table": table, "columns": table.columns, "lines": lines}
        yield {**shown, "heading": heading, "folded": table.name in FOLDED}


def _cell(column: Column, cell: Cell, line: Line) -> dict[str, Any]:
    link = ""
    if column.key == "document" and isinstance(cell, str):
        link = f"document={quote(cell)}"
    elif line.row and (column.key == "row" or (isinstance(cell, Value) and not cell.missing)):
        link = f"runs-{line.row}"
    if isinstance(cell, str):
        return {"text": cell, "rest": "", "sort": cell, "bold": False, "link": link}
    sort = "" if cell.missing else repr(float(cell.number))
    number, *rest = column.write_parts(cell)
    return {"text": number, "rest": "".join(f" {part}" for part in rest), "sort": sort, "bold": cell.bold, "link": link}


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
