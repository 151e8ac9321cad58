"""Breakdown tables: strict relation scores within and across sentences, and per relation type."""

import pandas as pd

from reports.captions import describe_means, explain_means, label
from reports.frame import ReportData, run_facts
from reports.row_means import Spread, compute_spread
from reports.tables.layout import Cell, Column, Line, Table, Value
from studies.statistics import summarize

DISTANCES = {"intra": "Within a sentence", "inter": "Across sentences"}
MAX_TYPES = 20


def breakdown_frame(data: ReportData, kind: str) -> pd.DataFrame:
    """A line per scored run and part of a breakdown (distance or type): strict relation F1 in percent, `gold` items.

    A run whose record has no such breakdown (its documents know no sentences) has no lines.
    """
    runs = run_facts(data.frame)
    lines = [
        (row, seed, kind, name, scores.f1, scores.tp + scores.fn)
        for row, seed, run in zip(runs["row"], runs["seed"], runs["run"], strict=True)
        for name, scores in data.breakdowns.get(run, {}).get(kind, {}).items()
    ]
    return pd.DataFrame(lines, columns="row seed kind name f1 gold".split())


def row_values(scores: pd.DataFrame, spread: Spread) -> dict[tuple[str, str], Value]:
    """Mean and what stands behind its ± over seeds, by (row, name)."""
    grouped = scores.groupby(["row", "name"], sort=False)["f1"]
    summaries = {(str(row), str(name)): summarize(f1) for (row, name), f1 in grouped}
    return {key: Value(summary.mean, compute_spread(summary, spread)) for key, summary in summaries.items()}


def distance_table(data: ReportData) -> Table | None:
    """Strict relation F1 within and across sentences, a line per row; None where the records do not have it."""
    study, scores = data.study, breakdown_frame(data, "distance")
    if not len(scores):
        return None
    values, gold = row_values(scores, data.options.spread), scores.groupby("name")["gold"].max()
    lines = []
    for row in data.rows:
        cells: list[Cell] = [study.study.row_title(row), *(values.get((row, name), Value()) for name in DISTANCES)]
        lines.append(Line(cells, study.study.rows[row].group, row))
    return Table(
        name="distances",
        title=f"{study.label}: sentence distance",
        columns=[
            Column("row", "System"),
            *(Column(name, heading, "mean", data.options.digits) for name, heading in DISTANCES.items()),
        ],
        lines=lines,
        caption=[
            "Strict relation F1 (%) by the distance of head and tail on "
            f"{describe_means(study, data.frame, data.options.spread)}.",
            "Within a sentence: some mention of the head and some mention of the tail share one "
            f"({gold.get('intra', 0)} in gold); across: none do ({gold.get('inter', 0)}). A false positive is judged "
            "by its own mentions.",
            *explain_means(study, data.frame, data.options.spread),
        ],
        data=scores,
    )


def type_table(data: ReportData) -> Table | None:
    """Strict relation F1 per relation type, the most frequent in gold first, a column per row; None where not read."""
    study, scores, names = data.study, breakdown_frame(data, "type"), data.type_names.get("relation", {})
    if not len(scores):
        return None
    values, rows, digits = row_values(scores, data.options.spread), data.rows, min(1, data.options.digits)
    gold = scores.groupby("name")["gold"].max().sort_values(ascending=False, kind="stable")
    most = gold.head(MAX_TYPES)
    left_out = f", {len(gold) - MAX_TYPES} rarer ones left out (see the CSV file)" if len(gold) > MAX_TYPES else ""
    return Table(
        name="types",
        title=f"{study.label}: relation types",
        columns=[
            Column("type", "Relation type"),
            Column("gold", "In gold", "number", decimals=0),
            *(Column(row, label(study, row), "mean", digits) for row in rows),
        ],
        lines=[
            Line([names.get(name, name), Value(float(count)), *(values.get((row, name), Value()) for row in rows)])
            for name, count in zip(map(str, most.index), most, strict=True)
        ],
        caption=[
            f"Strict relation F1 (%) of {f'the {MAX_TYPES} most frequent' if left_out else 'all'} relation types on "
            f"{describe_means(study, data.frame, data.options.spread)}.",
            f"The most frequent in gold first{left_out}. A type that is neither in gold nor predicted has no score.",
            *explain_means(study, data.frame, data.options.spread),
        ],
        data=scores.assign(readable_name=[names.get(name, name) for name in scores["name"]]),
    )
