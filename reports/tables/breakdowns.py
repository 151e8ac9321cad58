"""Where strict relation scores come from: tables per relation type, and within or across sentences."""

from collections.abc import Mapping

import pandas as pd

from core.records.summary import PartScores
from reports.captions import label
from reports.frame import run_facts
from reports.tables.layout import Column, Line, Table, Value
from reports.tables.results import rows_by_group
from studies.record import StudyRecord
from studies.statistics import summarize

DISTANCES = {"intra": "Within a sentence", "inter": "Across sentences"}
MOST_TYPES = 20
SPREAD = "mean ± sample standard deviation over seeds (ddof 1)"


Parts = Mapping[str, Mapping[str, Mapping[str, PartScores]]]
"""Run id -> kind of breakdown -> name -> scores, as `reports.frame` reads them."""


def breakdown_frame(frame: pd.DataFrame, parts: Parts) -> pd.DataFrame:
    """A line per scored run, kind (distance, type) and name: strict relation F1 in percent, `gold` items.

    A run whose record has no such breakdown (its documents know no sentences) has no lines of that kind.
    """
    runs = run_facts(frame)
    lines = [
        (row, seed, kind, name, part.f1, part.tp + part.fn)
        for row, seed, run in zip(runs["row"], runs["seed"], runs["run"], strict=True)
        for kind, named in parts.get(run, {}).items()
        for name, part in named.items()
    ]
    return pd.DataFrame(lines, columns="row seed kind name f1 gold".split())


def distance_table(study: StudyRecord, broken: pd.DataFrame) -> Table:
    """Strict relation F1 within and across sentences, a line per row."""
    part = broken[broken["kind"] == "distance"]
    values = values_of(part)
    columns = [Column("row", "System"), *(Column(name, told, "mean") for name, told in DISTANCES.items())]
    lines = []
    for row in rows_by_group(study):
        told = [values.get((row, name), Value()) for name in DISTANCES]
        lines.append(Line([study.study.row_title(row), *told], study.study.rows[row].group, row))
    gold = part.groupby("name")["gold"].max()
    caption = [
        f"Strict relation F1 in percent, {SPREAD}. Within a sentence: some mention of the head and some mention of the "
        f"tail share one ({gold.get('intra', 0)} in gold); across: none do ({gold.get('inter', 0)}). A false positive "
        "is judged by its own mentions."
    ]
    return Table("distances", f"{study.label}: sentence distance", columns, lines, caption, (), part)


def type_table(study: StudyRecord, broken: pd.DataFrame) -> Table:
    """Strict relation F1 per relation type, the most frequent in gold first, a column per row."""
    part = broken[broken["kind"] == "type"]
    values = values_of(part)
    gold = part.groupby("name")["gold"].max().sort_values(ascending=False, kind="stable")
    rows = rows_by_group(study)
    columns = [Column("type", "Relation type"), Column("gold", "In gold", "number", decimals=0)]
    columns += [Column(row, label(study, row), "mean", decimals=1) for row in rows]
    lines = [
        Line([name, Value(float(count)), *(values.get((row, name), Value()) for row in rows)])
        for name, count in gold.head(MOST_TYPES).items()
    ]
    left = max(0, len(gold) - MOST_TYPES)
    caption = [
        f"Strict relation F1 in percent per relation type, {SPREAD}; the most frequent in gold first"
        f"{f', {left} rarer ones left out (see the CSV file)' if left else ''}. A type that is neither in gold nor "
        "predicted has no score."
    ]
    return Table("types", f"{study.label}: relation types", columns, lines, caption, (), part)


def values_of(part: pd.DataFrame) -> dict[tuple[str, str], Value]:
    """Mean and std over seeds, by (row, name)."""
    grouped = part.groupby(["row", "name"], sort=False)["f1"]
    found = {(str(row), str(name)): summarize(scores) for (row, name), scores in grouped}
    return {key: Value(one.mean, one.std) for key, one in found.items()}


def breakdown_tables(study: StudyRecord, frame: pd.DataFrame, parts: Parts) -> list[Table]:
    """The breakdowns that the records hold; per type only where the rows fit side by side."""
    lines = breakdown_frame(frame, parts)
    tables = []
    if (lines["kind"] == "distance").any():
        tables.append(distance_table(study, lines))
    if (lines["kind"] == "type").any():
        tables.append(type_table(study, lines))
    return tables
