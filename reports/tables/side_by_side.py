"""Side-by-side table: the same rows on several corpora or profiles, a group of columns each."""

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from core.errors import UserError
from reports.captions import METRIC, count_seeds, describe_data, describe_spread, limiting_notes, measured_on
from reports.frame import ReportData
from reports.row_means import SPREADS
from reports.tables.layout import Line, Table
from reports.tables.results import explain_bold, explain_marks, explain_tasks, main_table


def side_by_side_table(studies: Sequence[ReportData]) -> Table:
    """The main tables of studies next to each other; bold and marks are each corpus's own.

    Raises a UserError that names the rows which only some of the studies have.
    """
    require_same_rows(studies)
    first, names = studies[0], name_studies(studies)
    tables = [main_table(data) for data in studies]
    columns = [tables[0].columns[0]]
    for name, table in zip(names, tables, strict=True):
        columns += [replace(column, key=f"{name}-{column.key}", over=name) for column in table.columns[1:]]
    cells = [{line.row: line.cells for line in table.lines} for table in tables]
    lines = []
    for row in first.rows:
        values = [cell for of_study in cells for cell in of_study[row][1:]]
        lines.append(Line([cells[0][row][0], *values], first.study.study.rows[row].group, row))
    notes = [
        f"{name}: {note}"
        for name, data in zip(names, studies, strict=True)
        for note in limiting_notes(data.study, data.select(data.frame), data.configs)
    ]
    corpora = " and ".join(
        f"{describe_data(data.study, data.frame)} ({name})" for name, data in zip(names, studies, strict=True)
    )
    counts = [count for data in studies for count in count_seeds(data.frame)]
    numbers = [table.data.assign(study=data.study.label) for data, table in zip(studies, tables, strict=True)]
    return Table(
        name="side-by-side",
        title=f"{' and '.join(data.study.label for data in studies)}: {first.study.study.question}",
        columns=columns,
        lines=lines,
        caption=[
            f"F1 (%) on {corpora}, {describe_spread(counts, first.options.spread)}{explain_bold(lines)}"
            f"{explain_marks(first, lines)}.",
            explain_tasks(first),
            METRIC,
            *(text for data in studies for text in measured_on(data.study, data.frame)),
            f"±: {SPREADS[first.options.spread]}.",
        ],
        notes=notes,
        data=pd.concat(numbers, ignore_index=True),
    )


def require_same_rows(studies: Sequence[ReportData]) -> None:
    """Raise a UserError where the studies do not show the same rows."""
    shown = {data.study.label: dict.fromkeys(data.rows) for data in studies}
    common = [row for row in studies[0].rows if all(row in rows for rows in shown.values())]
    others = {label: [row for row in rows if row not in common] for label, rows in shown.items()}
    if any(others.values()):
        differences = "; ".join(f"{label} also has {', '.join(rows)}" for label, rows in others.items() if rows)
        way_out = f"show only common ones with --rows {','.join(common)}" if common else "give studies of the same rows"
        raise UserError(f"the studies do not have the same rows: {differences}: {way_out}")


def name_studies(studies: Sequence[ReportData]) -> list[str]:
    """What the groups of columns are called: by profile, where it tells the studies apart, else by the whole name."""
    profiles = [data.study.profile for data in studies]
    return profiles if len(set(profiles)) == len(profiles) else [data.study.label for data in studies]
