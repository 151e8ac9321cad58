"""Memory use table: what reading does to what it reads, and what knock-outs change, with the verdicts on it."""

import math
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import get_args

import msgspec
import pandas as pd

from core.records.memory_use import KnockOut, MemoryUse
from core.records.record import SCORED
from core.records.tracking import flatten
from reports.captions import METRIC, describe_means, format_seeds, label, measured_on, missing_interval_notes
from reports.frame import ReportData, run_facts
from reports.memory_use import VERDICTS, Difference, find_judged, judge, write_verdict
from reports.tables.layout import Cell, Column, Line, Table, Value
from studies.bootstrap import RESAMPLES
from studies.statistics import Summary, summarize

RATIOS = (0.9, 1.1)
"""Factor at inference over factor in training: outside of these reading does not mean the same in both."""
MATRICES = {"written": "its memory", "learned": "its learned matrix", "random": "its random matrix"}
"""memory.reads -> what such a row reads; of the other controls it is not one matrix."""
READS_CAPTION = (
    "Tokens %, mentions %: norm of what reading adds over the norm before, for the word pieces and for the spans of "
    "gold mentions. Ratio: factor of gold mentions (norm after reading over norm before) among inference's candidates "
    "over that among training's, both on validation documents: 1 where reading means the same. Entropy: of the "
    "attention over its maximum, the smallest over places and memories: 1 is attention to all alike. All are means "
    "over seeds; ±: sample standard deviation (ddof 1)."
)
KNOCK_OUTS_CAPTION = (
    "Δ: the same trained weights without (a part of) reading minus the whole model, mean over seeds, in points of F1; "
    "reading off: memory is not read; mean read: all reads of a document are replaced by their mean. A knock-out "
    "loses where its 95 % interval lies below 0: over documents and seeds (hierarchical paired bootstrap, "
    f"{RESAMPLES:,} resamples), or, for rows that a note names, the t-interval over seeds. Uses its memory: mean read "
    "loses. Uses only the scale: reading off loses, mean read does not. No use shown: neither loses. A loss shows "
    "that these weights depend on their reads, not that reading helped (see the differences to the baseline), nor "
    "that what was written matters (compare with a row that reads a random matrix)."
)


def memory_use_table(data: ReportData) -> Table | None:
    """A line per row that reads, with its sentences as findings; None where no run of the study was measured.

    Knock-outs have columns where any was made. The CSV file holds all that `summarize_reads` gives, and the differences
    of all tasks.
    """
    if not data.memory_use:
        return None
    runs, judged = run_facts(data.frame), find_judged(data)
    ids = {str(row): of_row["run"].tolist() for row, of_row in runs[runs["reads"].eq(True)].groupby("row")}
    rows = [row for row in data.rows if row in ids]
    reads = {row: summarize_reads(data.memory_use[run] for run in ids[row] if run in data.memory_use) for row in rows}
    split = str(data.frame["split"].iloc[0])
    lines, findings = [], []
    for row in rows:
        places = [find_value(reads[row], f"{split}/{place}/change_gold", 100) for place in ("tokens", "mentions")]
        ratio = find_value(reads[row], "validation/mentions/ratio")
        entropy = find_value(reads[row], f"{split}/smallest_entropy")
        cells: list[Cell] = [data.study.study.row_title(row), *places, ratio, entropy]
        if judged:
            off, mean = (judged.get(row, {}).get(name, Difference()) for name in get_args(KnockOut))
            verdict, matrix = judge(off, mean), find_matrix(data, row)
            cells += [Value(one.delta, low=one.low, high=one.high) for one in (off, mean)]
            cells.append(VERDICTS.get(verdict, f"uses {matrix}"))
            findings.append(write_verdict(label(data.study, row), matrix, data.study.study.metric, off, mean))
        findings += write_ratio(label(data.study, row), reads[row])
        lines.append(Line(cells, data.study.study.rows[row].group, row))
    columns = [
        Column("row", "System"),
        Column("tokens", "Tokens %", "mean", decimals=1, in_print=not judged),
        Column("mentions", "Mentions %", "mean", decimals=1),
        Column("ratio", "Ratio", "mean"),
        Column("entropy", "Entropy", "number", in_print=not judged),
        Column("reading-off", "Δ reading off", "difference", signed=True),
        Column("mean-read", "Δ mean read", "difference", signed=True),
        Column("verdict", "Verdict"),
    ]
    return Table(
        name="memory-use",
        title=f"{data.study.label}: does it use its memory?",
        columns=columns if judged else columns[:5],
        lines=lines,
        findings=findings,
        caption=[
            f"What reading memory changes on {describe_means(data.study, data.frame)}"
            f"{'; Δ: change of F1 (points) without it, with its 95 % interval' if judged else ''}.",
            READS_CAPTION,
            *([KNOCK_OUTS_CAPTION, METRIC] if judged else ()),
            *measured_on(data.study, data.frame),
        ],
        notes=list(missing_notes(data, runs)) if judged else (),
        data=build_tidy_numbers(reads, data.knock_outs),
    )


def build_tidy_numbers(reads: Mapping[str, Mapping[str, Summary]], knock_outs: pd.DataFrame) -> pd.DataFrame:
    """A line per row and measure: of its reads, and `<knock-out>/<task>` with the columns of `compare_knock_outs`."""
    tidy = [
        {"row": row, "measure": measure, "mean": summary.mean, "std": summary.std, "n": summary.n}
        for row, measures in reads.items()
        for measure, summary in measures.items()
    ]
    for line in knock_outs.to_dict("records"):
        measure = f"{line.pop('knock_out')}/{line.pop('task')}"
        tidy.append({"row": line.pop("row"), "measure": measure, "mean": line.pop("delta"), **line})
    return pd.DataFrame(tidy)


def summarize_reads(uses: Iterable[MemoryUse]) -> dict[str, Summary]:
    """`<split>/<place>/<field of PlaceUse>` -> mean and std over runs; with the ratio, and the smallest entropy."""
    values: dict[str, list[float]] = {}
    for use in uses:
        measures: dict[str, float] = dict(flatten(msgspec.to_builtins(use.reads)))
        for split, places in use.reads.items():
            ratios = {f"{split}/{place}/ratio": reads.ratio for place, reads in places.items()}
            measures |= {name: ratio for name, ratio in ratios.items() if ratio is not None}
            entropies = [value for reads in places.values() for value in reads.entropy.values()]
            if entropies:
                measures[f"{split}/smallest_entropy"] = min(entropies)
        for name, value in measures.items():
            values.setdefault(name, []).append(value)
    return {name: summarize(numbers) for name, numbers in values.items()}


def find_value(reads: Mapping[str, Summary], measure: str, scale: float = 1.0) -> Value:
    """A measure of a row as a cell; missing where no run has it."""
    summary = reads.get(measure)
    return Value(scale * summary.mean, scale * summary.std) if summary is not None else Value()


def find_matrix(data: ReportData, row: str) -> str:
    """What a row reads, in words: `its memory`, `its random matrix`, or `what it reads`."""
    memory = data.configs.get(row, {}).get("memory") or {}
    return MATRICES.get(memory.get("reads", "written"), "what it reads")


def write_ratio(name: str, reads: Mapping[str, Summary]) -> Iterator[str]:
    """A sentence where a gold mention's factor is another one at inference than in training."""
    measures = [reads.get(f"validation/mentions/{measure}") for measure in ("factor_training", "factor", "ratio")]
    training, inference, ratio = (measure.mean if measure is not None else math.nan for measure in measures)
    if ratio < RATIOS[0] or ratio > RATIOS[1]:
        written = [f"{value:.2f}".removeprefix("0") for value in (training, inference, ratio)]
        yield (
            f"{name}: reading does not mean the same in training and at inference: a gold mention's factor is "
            f"{written[0]} among training's candidates and {written[1]} among inference's (ratio {written[2]})."
        )


def missing_notes(data: ReportData, runs: pd.DataFrame) -> Iterator[str]:
    """Scored seeds of reading rows that have no knock-out, and rows that have no interval over documents, and why."""
    scored = runs[runs["status"].isin(SCORED) & runs["reads"].eq(True)]
    done = {run_id for run_id, use in data.memory_use.items() if use.knock_outs}
    for (row, early), of_row in scored[~scored["run"].isin(done)].groupby(
        ["row", scored["chosen_reading"] == 0], sort=False
    ):
        reason = "chosen before memory was read" if early else "not computed"
        yield f"{label(data.study, str(row))}: no knock-out of {format_seeds(of_row['seed'])}: {reason}."
    yield from missing_interval_notes(data.knock_outs, ["row"], partial(label, data.study))
