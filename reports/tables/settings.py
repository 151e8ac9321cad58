"""What a paper's appendix prints: every setting that can change a number, and what each row cost in all."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from core.config.schema import RunConfig
from core.config.signature import active_settings
from reports.captions import label
from reports.frame import FILES, ReportData, run_facts
from reports.tables.layout import Column, Line, Table
from studies.record import StudyRecord

MOST_NAMED = 3
"""Rows that are named beside a value; of more it says how many."""


def settings_table(data: ReportData) -> Table | None:
    """Every setting that can change a number, a line per value that it has, with the rows that have it."""
    study, configs, hashes = data.study, data.configs, find_data_hashes(data.frame)
    if not configs:
        return None
    values: dict[str, dict[str, list[str]]] = {}
    for row in sorted((row for row in study.study.rows if row in configs), key=lambda row: not configs[row]["memory"]):
        for name, value in resolved(configs[row], hashes.get(row, {})):
            values.setdefault(name, {}).setdefault(value, []).append(row)
    reading = sum(bool(config["memory"]) for config in configs.values())
    lines, tidy = [], []
    for name, of_setting in values.items():
        for value, rows in of_setting.items():
            told = named(study, rows, len(configs), reading if name.startswith("memory.") else 0)
            lines.append(Line([name, value, told]))
            tidy += [{"setting": name, "value": value, "row": row} for row in rows]
    columns = [Column("setting", "Setting", once=True), Column("value", "Value"), Column("rows", "Rows")]
    caption = [
        "Every setting that can change a number, as the first recorded run of each row resolved it; the seed, what "
        "cannot change a number (device, threads, intervals, tracking) and what another setting switches off are left "
        "out.",
        "Rows without memory have no memory settings. A file stands with the first 12 digits of its content hash.",
    ]
    absent = [label(study, row) for row in study.study.rows if row not in configs]
    notes = [f"No run of these rows is recorded: {', '.join(absent)}."] if absent else []
    frame_of = pd.DataFrame(tidy, columns=["setting", "value", "row"])
    return Table("settings", f"{study.label}: settings", columns, lines, caption, notes, frame_of, appendix=True)


def resolved(config: Mapping[str, Any], hashes: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The active settings of a recorded config by path, as text; a default where an older record has none."""
    # What a later release or W&B added is not ours to name.
    for path, value in active_settings(RunConfig.model_validate(config, extra="ignore")).items():
        section, _, name = path.rpartition(".")
        is_file = section == "data" and name in FILES
        text = written(Path(value).name if is_file and value else value)
        yield path, f"{text} ({hashes[name]})" if is_file and name in hashes else text


def written(value: Any) -> str:
    """A setting's value as the command line takes it."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def named(study: StudyRecord, rows: list[str], every: int, reading: int) -> str:
    """The rows that share a value, in words; `reading` is how many have memory, 0 where that is not the question."""
    if len(rows) == every:
        return "all"
    if len(rows) == reading:
        return "all with memory"
    return f"{len(rows)} of {every}" if len(rows) > MOST_NAMED else ", ".join(label(study, row) for row in rows)


def find_data_hashes(frame: pd.DataFrame) -> dict[str, dict[str, str]]:
    """Row -> file of its data -> the content hash's beginning, from the row's first run that knows it."""
    runs = run_facts(frame)
    found: dict[str, dict[str, str]] = {}
    for row, data in zip(runs["row"], runs["data"], strict=True):
        if data and row not in found:
            found[row] = dict(part.split("=", 1) for part in data.split())
    return found
