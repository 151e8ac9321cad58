"""Where strict relation scores come from: tables per relation type, and within or across sentences."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import pandas as pd

from core.record import SCORED, read_record
from reports.captions import label
from reports.load import runs_of
from reports.table import Column, Line, Table, Value
from reports.tables import by_group
from studies.statistics import summarize
from studies.study_record import StudyRecord

KINDS = {"distance": "by_sentence_distance", "type": "by_relation_type"}
DISTANCES = {"intra": "Within a sentence", "inter": "Across sentences"}
MOST_ROWS, MOST_TYPES = 6, 20
SPREAD = "mean ± sample standard deviation over seeds (ddof 1)"


def load_breakdowns(frame: pd.DataFrame, kinds: Collection[str] = tuple(KINDS)) -> pd.DataFrame:
    """A line per scored run, kind (distance, type) and name: strict relation F1 in percent, `gold` items.

    A run whose record has no such breakdown (its documents know no sentences) has no lines of that kind.
    """
    known: dict[str, list[dict[str, Any]]] = {}
    lines = []
    runs = runs_of(frame)
    for run in runs[runs["status"].isin(SCORED)].to_dict("records"):
        if run["run"] not in known:
            record = read_record(Path(run["folder"]))
            extra = record.metrics[run["split"]].get("extra", {}) if record is not None else {}
            known[run["run"]] = [
                {"kind": kind, "name": name, "f1": float(part["f1"]), "gold": int(part["tp"] + part["fn"])}
                for kind in kinds
                for name, part in extra.get(KINDS[kind], {}).items()
            ]
        lines += [{"row": run["row"], "seed": run["seed"], **one} for one in known[run["run"]]]
    return pd.DataFrame(lines, columns="row seed kind name f1 gold".split())


def distance_table(study: StudyRecord, broken: pd.DataFrame) -> Table:
    """Strict relation F1 within and across sentences, a line per row."""
    part = broken[broken["kind"] == "distance"]
    values = values_of(part)
    columns = [Column("row", "System"), *(Column(name, told, "mean") for name, told in DISTANCES.items())]
    lines = []
    for row in by_group(study):
        told = [values.get((row, name), Value()) for name in DISTANCES]
        lines.append(Line([study.study.title_of(row), *told], study.study.rows[row].group, row))
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
    rows = by_group(study)
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


def breakdown_tables(study: StudyRecord, frame: pd.DataFrame) -> list[Table]:
    """The breakdowns that the records hold; per type only where the rows fit side by side."""
    side_by_side = len(study.study.rows) <= MOST_ROWS
    broken = load_breakdowns(frame, KINDS if side_by_side else ("distance",))
    tables = []
    if (broken["kind"] == "distance").any():
        tables.append(distance_table(study, broken))
    if (broken["kind"] == "type").any():
        tables.append(type_table(study, broken))
    return tables
