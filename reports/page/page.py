"""One self-contained HTML page of a study: question, verdict, tables, figures, and the runs behind every number."""

import json
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from core.config.presets import leaves
from core.config.signature import drop_neutral_sections
from reports.baseline_differences import RULES
from reports.captions import EMBEDDED_CORPUS_NOTE, is_embedded, label, problems
from reports.figures.style import drawn
from reports.frame import run_facts
from reports.page.viewer import Viewer
from reports.sections import ReportFigure
from reports.tables.layout import NONE, Column, Line, Table, Value
from reports.tables.results import rows_by_group
from studies.record import StudyRecord

TEMPLATES = Path(__file__).with_name("templates")


def page(
    study: StudyRecord,
    frame: pd.DataFrame,
    compared: pd.DataFrame,
    tables: Sequence[Table],
    drawings: Sequence[ReportFigure],
    looked_at: Viewer | None = None,
) -> str:
    """The page of a study as HTML; it loads nothing. `compared` is what `baseline_differences` says of it."""
    split = frame["split"].iloc[0]
    flags = ", ".join(f"{path} {value}" for path, value in leaves(drop_neutral_sections(study.settings)).items())
    settings = f" Settings of every row: {flags}." if flags else ""
    told = verdicts(study, compared)
    rows = runs_by_row(study, frame)
    return rendered(
        title=study.label,
        heading=study.study.question,
        lead=f"Study {study.study.name} under profile {study.profile}, {split} split.{settings}",
        warning=EMBEDDED_CORPUS_NOTE if is_embedded(study) else "",
        metric=study.study.metric,
        verdicts=told,
        tables=[shown(table, heading="Results" if not place else "") for place, table in enumerate(tables)],
        figures=[(drawing, source(drawing)) for drawing in drawings],
        viewer=looked_at,
        rows=rows,
        problems=problems(frame),
    )


def build_comparison_page(a: str, b: str, tables: Sequence[Table], looked_at: Viewer | None) -> str:
    """The page of two sides that were compared."""
    return rendered(
        title=f"{a} and {b}",
        heading=f"{a} and {b}",
        lead="A is the first, B the second; every difference is B less A.",
        tables=[shown(table, heading="All measures" if not place else "") for place, table in enumerate(tables)],
        viewer=looked_at,
    )


def rendered(
    *,
    title: str,
    heading: str,
    lead: str,
    tables: Sequence[dict[str, Any]],
    viewer: Viewer | None,
    warning: str = "",
    metric: str = "",
    verdicts: Sequence[tuple[str, str]] = (),
    figures: Sequence[tuple[ReportFigure, str]] = (),
    rows: Sequence[dict[str, Any]] = (),
    problems: Sequence[str] = (),
) -> str:
    """The template with everything in its place; what is empty has no section."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    sections = [("verdict", "What the seeds say")] if verdicts else []
    sections += [(one["table"].name, one["heading"]) for one in tables]
    later = (("figures", "Figures", figures), ("documents", "Documents", viewer), ("runs", "Runs", rows))
    sections += [(aim, name) for aim, name, there in later if there]
    return environment.get_template("page.html").render(
        title=title,
        heading=heading,
        lead=lead,
        warning=warning,
        metric=metric,
        verdicts=verdicts,
        rules=RULES,
        sections=sections,
        tables=tables,
        figures=figures,
        viewer=viewer,
        told=told_to_script(viewer) if viewer else None,
        rows=rows,
        problems=problems,
    )


def told_to_script(viewer: Viewer) -> dict[str, Any]:
    """What the viewer's script knows before it unpacks anything."""
    return {
        "systems": [{"name": system.name, "run": system.run} for system in viewer.systems],
        "ids": viewer.ids,
        "kinds": [{"kind": kind, "name": name} for kind, name, _ in viewer.kinds],
        "names": viewer.names,
        "errors": viewer.errors,
    }


def verdicts(study: StudyRecord, compared: pd.DataFrame) -> list[tuple[str, str]]:
    """(what is compared, the rule's words) on the study's metric."""
    lines = compared[compared["task"] == study.study.metric].to_dict("records")
    return [
        (f"{label(study, line['row'])} against {label(study, line['baseline'])}", line["verdict"]) for line in lines
    ]


def shown(table: Table, *, heading: str = "") -> dict[str, Any]:
    """A table for the template: every cell with its text, what it is sorted by, whether it is best, where it leads.

    What a row of the study says leads to the row's runs, a document's name to the document in the viewer.
    """
    columns = [Column("group", table.group_heading), *table.columns] if table.grouped else list(table.columns)
    lines = []
    for line in table.lines:
        cells = [line.group, *line.cells] if table.grouped else list(line.cells)
        lines.append(
            [
                cell_of(column, cell) | {"aim": aim_of(column, cell, line)}
                for column, cell in zip(columns, cells, strict=True)
            ]
        )
    told = heading or table.title.partition(": ")[2] or table.title
    return {"table": table, "columns": columns, "lines": lines, "heading": told[:1].upper() + told[1:]}


def aim_of(column: Column, cell: Value | str, line: Line) -> str:
    """The place on the page that a cell leads to; empty for none."""
    if column.key == "document" and isinstance(cell, str):
        return f"document={quote(cell)}"
    leads = column.key == "row" or (isinstance(cell, Value) and not cell.missing)
    return f"runs-{line.row}" if line.row and leads else ""


def cell_of(column: Column, cell: Value | str) -> dict[str, Any]:
    """A cell for the template."""
    if isinstance(cell, str):
        return {"text": cell, "by": cell, "bold": False}
    return {"text": column.write(cell), "by": "" if cell.missing else repr(float(cell.number)), "bold": cell.bold}


def source(drawing: ReportFigure) -> str:
    """A figure as an address that holds it, drawn as vectors."""
    held = drawn(drawing.figure, "svg", {"Date": None, "Creator": None})
    return f"data:image/svg+xml;base64,{b64encode(held).decode()}"


def runs_by_row(study: StudyRecord, frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Every row with its settings and, seed by seed, its runs and their score on the study's metric."""
    of_metric = frame[frame["task"] == study.study.metric]
    keys = zip(of_metric["row"], of_metric["seed"], strict=True)
    scores = dict(zip(keys, of_metric["f1"], strict=True))
    runs: dict[str, list[dict[str, Any]]] = {}
    for run in run_facts(frame).to_dict("records"):
        runs.setdefault(run["row"], []).append({str(name): value for name, value in run.items()})
    found = []
    for row in rows_by_group(study):
        entry = study.study.rows[row]
        lines = []
        for run in runs.get(row, ()):
            known = {name: ("" if pd.isna(run[name]) else run[name]) for name in run}
            value = scores[row, run["seed"]]
            lines.append({**known, "score": NONE if pd.isna(value) else f"{value:.2f}"})
        told = json.dumps(entry.settings) if entry.settings else "none"
        found.append({"row": row, "label": label(study, row), "entry": entry, "settings": told, "runs": lines})
    return found
