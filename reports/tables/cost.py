"""Cost table: time, memory and parameters of every row, and where its checkpoint was chosen."""

import math

import pandas as pd

from core.records.record import SCORED
from reports.captions import describe_means
from reports.frame import ReportData, run_facts
from reports.row_means import SPREADS
from reports.tables.layout import Cell, Column, Line, Table, Value
from studies.statistics import Summary, summarize
from studies.study import EXTERNAL

MEASURES = ("seconds", "peak_memory_mib", "chosen_epoch", "knock_out_seconds")
"""Facts of a run of which the table shows mean and std; the last one where any run has it."""
KNOCK_OUTS = (
    "Knock-outs: test scored again with reading taken away, once per run; part of its seconds, where not added later."
)


def cost_table(data: ReportData) -> Table:
    """What a row costs, over its scored runs."""
    study, runs = data.study, run_facts(data.frame)
    runs = runs[runs["status"] != EXTERNAL]
    scored = runs[runs["status"].isin(SCORED)]
    by_row = dict(list(scored.groupby("row")))
    knocked_out = bool(scored["knock_out_seconds"].notna().any())
    measures = MEASURES if knocked_out else MEASURES[:-1]
    lines, tidy = [], []
    for row in data.rows:
        if study.study.rows[row].predictions:
            continue
        of_row = by_row.get(row, scored[:0])
        summaries = {name: summarize(of_row[name].dropna()) for name in measures}
        sizes = of_row["parameters"].dropna().unique()
        parameters = Value(float(sizes[0])) if len(sizes) == 1 else Value()
        seconds, memory, epoch, *more = (Value(summary.mean, summary.std) for summary in summaries.values())
        hours = Value(float(of_row["seconds"].sum()) / 3600) if len(of_row) else Value()
        cells: list[Cell] = [study.study.row_title(row), seconds, hours, memory, parameters, epoch, *more]
        cells.append(str(len(of_row)))
        lines.append(Line(cells, study.study.rows[row].group, row))
        summaries["parameters"] = Summary(parameters.number, math.nan, len(of_row))
        tidy += [{"row": row, "measure": name, "mean": s.mean, "std": s.std, "n": s.n} for name, s in summaries.items()]
    return Table(
        name="cost",
        title=f"{study.label}: cost",
        columns=[
            Column("row", "System"),
            Column("seconds", "Seconds", "mean", decimals=1),
            Column("hours", "Hours in all", "number"),
            Column("peak_memory_mib", "Peak MiB", "mean", decimals=0),
            Column("parameters", "Parameters", "number", decimals=0),
            Column("chosen_epoch", "Chosen epoch", "mean", decimals=1),
            *([Column("knock_out_seconds", "Knock-outs, seconds", "mean", decimals=1, in_print=False)] * knocked_out),
            Column("n", "Runs", in_print=len({line.cells[-1] for line in lines}) > 1),
        ],
        lines=lines,
        caption=[
            f"Cost of training and of scoring {describe_means(study, data.frame)}.",
            "Seconds of wall time per run, evaluation included; peak resident memory of its process.",
            f"±: {SPREADS['std']}.",
            *([KNOCK_OUTS] if knocked_out else ()),
            total_hours_sentence(runs.drop_duplicates("run")),
        ],
        notes=["Runs that were computed at the same time shared a machine: these times are no benchmark."],
        data=pd.DataFrame(tidy),
    )


def total_hours_sentence(runs: pd.DataFrame) -> str:
    """The hours of all runs of a study, each counted once, those without a score apart."""
    has_score = runs["status"].isin(SCORED)
    hours = runs["seconds"].astype(float).fillna(0.0) / 3600
    without, count = hours[~has_score].sum(), int((~has_score).sum())
    more = f"; {count} runs without a score took {without:.2f} more" if without else ""
    return f"{has_score.sum()} scored runs took {hours[has_score].sum():.2f} hours in all{more}."
