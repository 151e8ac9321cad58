"""Settings table: every setting that can change a number, with the rows that have each value."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd

from core.config.schema import RunConfig
from core.config.signature import active_settings
from reports.captions import label, read_config
from reports.frame import ReportData, run_facts
from reports.run_results import FILES
from reports.tables.layout import Column, Line, Table

MAX_NAMED_ROWS = 3
"""Rows that are named next to a value; of more only their number is given."""


def settings_table(data: ReportData) -> Table | None:
    """Every setting that can change a number, a line per value that it has; None where no config was read."""
    study, configs, hashes = data.study, data.configs, read_data_hashes(data.frame)
    rows = [row for row in study.study.rows if row in configs]
    with_memory = [row for row in rows if configs[row]["memory"]]
    values: dict[str, dict[str, list[str]]] = {}
    # Rows with memory first: they have all settings, in the order of the schema.
    for row in sorted(rows, key=lambda row: row not in with_memory):
        for name, value in write_settings(read_config(configs[row], row), hashes.get(row, {})):
            values.setdefault(name, {}).setdefault(value, []).append(row)
    lines, tidy = [], []
    for name, by_value in values.items():
        for value, having in by_value.items():
            if len(having) == len(rows):
                names = "all"
            elif name.startswith("memory.") and len(having) == len(with_memory):
                names = "all with memory"
            elif len(having) > MAX_NAMED_ROWS:
                names = f"{len(having)} of {len(rows)}"
            else:
                names = ", ".join(label(study, row) for row in having)
            lines.append(Line([name, value, names]))
            tidy += [{"setting": name, "value": value, "row": row} for row in having]
    if not lines:
        return None
    return Table(
        name="settings",
        title=f"{study.label}: settings",
        columns=[Column("setting", "Setting", once=True), Column("value", "Value"), Column("rows", "Rows")],
        lines=lines,
        caption=[
            "Every setting that can change a number, and the rows that have each value.",
            "A setting is given as the first recorded run of each row resolved it; the seed, what "
            "cannot change a number (device, threads, intervals, tracking) and what another setting switches off are "
            "left out.",
            "Rows without memory have no memory settings. A file stands with the first 12 digits of its content hash.",
        ],
        data=pd.DataFrame(tidy),
        appendix=True,
    )


def write_settings(config: RunConfig, hashes: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The active settings of a config by path, as text."""
    for path, value in active_settings(config).items():
        section, _, name = path.rpartition(".")
        if section == "data" and name in FILES and value:
            yield path, Path(value).name + (f" ({hashes[name]})" if name in hashes else "")
        elif isinstance(value, bool):
            yield path, "on" if value else "off"
        else:
            yield path, "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def read_data_hashes(frame: pd.DataFrame) -> dict[str, dict[str, str]]:
    """Row -> file of its data -> the content hash's beginning, from the row's first run that has it."""
    runs = run_facts(frame)
    hashes: dict[str, dict[str, str]] = {}
    for row, data in zip(runs["row"], runs["data"], strict=True):
        if data:
            hashes.setdefault(row, dict(entry.split("=", 1) for entry in data.split()))
    return hashes
