"""The tables of comparisons and of cost: what stands in which column."""

from typing import Any

import pandas as pd

from core.records.record import SCORED
from reports.captions import against, coverage_sentence, format_ranges, label
from reports.frame import run_facts
from reports.row_means import LONG, task_headings
from reports.tables.layout import Column, Line, Table, Value
from reports.tables.results import rows_by_group
from studies.bootstrap import RESAMPLES
from studies.record import StudyRecord
from studies.statistics import POWER, smallest_detectable_effect, summarize

MOST_NAMED = 5
PAIRED = (
    "Δ: mean over shared seeds of a row's F1 less its baseline's, paired by seed, in points; 95 % seeds: t-interval of "
    "these differences (other seeds, same documents).",
    "Higher: seeds in which the row is above its baseline; Pr. higher: share of all pairs of a seed of the row and one "
    "of the baseline in which the row is above, ties half.",
)
TESTS = (
    "p: two-sided paired t-test; Holm: the same p corrected over all {lines} comparisons of the study.",
    "Sign-flip: exact two-sided p without a normal assumption; it cannot fall below {floors}.",
)
BOOTSTRAP = (
    "95 % documents and seeds: hierarchical paired bootstrap, {resamples:,} resamples of documents and shared seeds, "
    "micro-F1 computed anew in each."
)


def differences_table(study: StudyRecord, compared: pd.DataFrame) -> Table:
    """Each row against its baseline, task by task; `compared` is what `reports.baseline_differences.comparisons` gives.

    With what `reports.baseline_differences` adds to it the interval over documents and seeds stands beside that over
    seeds.
    """
    wide = "low_all" in compared
    parts: dict[str, list[dict[Any, Any]]] = {}
    for line in compared.to_dict("records"):
        parts.setdefault(line["row"], []).append(line)
    columns = [
        Column("row", "System", once=True),
        Column("task", "Task"),
        Column("delta", "Δ", "number", signed=True),
        Column("interval", "95 % seeds", "interval", signed=True),
        *([Column("bootstrap", "95 % documents and seeds", "interval", signed=True)] if wide else ()),
        Column("higher", "Higher"),
        Column("improvement", "Pr. higher", "number"),
        Column("p_t", "p", "p", decimals=3),
        Column("p_holm", "Holm", "p", decimals=3),
        Column("p_sign_flip", "Sign-flip", "p", decimals=4),
    ]
    names = task_headings(study)
    lines = []
    for row in rows_by_group(study):
        for line in parts.get(row, ()):
            over_documents = [Value(line["delta"], low=line["low_all"], high=line["high_all"])] if wide else []
            cells: list[Value | str] = [
                f"{study.study.row_title(row)} against {against(study, row)}",
                names[line["task"]],
                Value(line["delta"]),
                Value(line["delta"], low=line["low"], high=line["high"]),
                *over_documents,
                f"{line['higher']}/{line['n']}",
                Value(line["improvement"]),
                Value(line["p_t"]),
                Value(line["p_holm"]),
                Value(line["p_sign_flip"]),
            ]
            lines.append(Line(cells, line["group"], row))
    tested = int(compared["p_t"].notna().sum())
    bootstrap = [BOOTSTRAP.format(resamples=RESAMPLES), coverage_sentence()] if wide else []
    tests = [sentence.format(lines=tested, floors=format_smallest_p(compared)) for sentence in TESTS]
    caption = [*PAIRED, *bootstrap, *tests, *power_sentences(study, compared)]
    notes = unpaired(study, compared)
    title = f"{study.label}: differences to the baseline"
    return Table("comparisons", title, columns, lines, caption, notes, compared)


def unpaired(study: StudyRecord, compared: pd.DataFrame) -> list[str]:
    """Which seeds were not paired and why, and which intervals over documents there are none of."""
    notes = []
    reasons = {
        "left_out": "a score in one of the two rows only",
        "unlike": "in the two rows they do not stand for the same documents in the same order",
    }
    for name, reason in reasons.items():
        for row, part in compared[compared[name] != ""].groupby("row", sort=False):
            seeds = format_ranges(map(int, part[name].iloc[0].split()))
            notes.append(f"{label(study, str(row))}: seeds {seeds} left out: {reason}.")
    if "without" in compared:
        for reason, part in compared[compared["without"] != ""].groupby("without", sort=False):
            rows = list(dict.fromkeys(part["row"]))
            named = ", ".join(label(study, row) for row in rows) if len(rows) <= MOST_NAMED else f"{len(rows)} rows"
            notes.append(f"No interval over documents for {named}: {reason}.")
    return notes


def format_smallest_p(compared: pd.DataFrame) -> str:
    """The smallest sign-flip p that the shared seeds can reach, by their number."""
    known = compared[compared["n"] > 0].drop_duplicates("n").sort_values("n")
    floors = [
        f"{floor:.4f} at {n} seed{'s' if n > 1 else ''}" for n, floor in zip(known["n"], known["p_floor"], strict=True)
    ]
    return " or ".join(floors) or "what two shared seeds allow"


def power_sentences(study: StudyRecord, compared: pd.DataFrame) -> list[str]:
    """What the paired t-test can find with as many seeds as the comparisons have; nothing where none has two."""
    sentences = []
    for n in sorted({int(n) for n in compared["n"] if n > 1}):
        part = compared[(compared["n"] == n) & (compared["task"] == study.study.metric)]["detectable"]
        here = f": here {format_range(part)} points on {LONG[study.study.metric]} F1" if len(part) else ""
        sentences.append(
            f"With {n} seeds the paired t-test finds, with a chance of {100 * POWER:.0f} %, differences from "
            f"{smallest_detectable_effect(n):.1f} times their standard deviation on{here}."
        )
    return sentences


def format_range(values: pd.Series) -> str:
    """`0.31` or `0.31 to 0.92`."""
    low, high = f"{values.min():.2f}", f"{values.max():.2f}"
    return low if low == high else f"{low} to {high}"


def cost_table(study: StudyRecord, frame: pd.DataFrame) -> Table:
    """What a row costs: time, memory, parameters, and where its checkpoint was chosen."""
    runs = run_facts(frame)
    scored = runs[runs["status"].isin(SCORED)]
    columns = [
        Column("row", "System"),
        Column("seconds", "Seconds", "mean", decimals=1),
        Column("hours", "Hours in all", "number"),
        Column("peak_memory_mib", "Peak MiB", "mean", decimals=0),
        Column("parameters", "Parameters", "number", decimals=0),
        Column("chosen_epoch", "Chosen epoch", "mean", decimals=1),
        Column("n", "Runs"),
    ]
    lines, data = [], []
    parts: dict[str, list[dict[Any, Any]]] = {}
    for run in scored[["row", "seconds", "peak_memory_mib", "chosen_epoch", "parameters"]].to_dict("records"):
        parts.setdefault(run["row"], []).append(run)
    for row in rows_by_group(study):
        part = parts.get(row, [])
        summaries = {
            name: summarize(float(run[name]) for run in part if not pd.isna(run[name]))
            for name in ("seconds", "peak_memory_mib", "chosen_epoch")
        }
        sizes = sorted({run["parameters"] for run in part if not pd.isna(run["parameters"])})
        size = Value(float(sizes[0])) if len(sizes) == 1 else Value()
        told = {name: Value(one.mean, one.std) for name, one in summaries.items()}
        in_all = sum(float(run["seconds"]) for run in part) / 3600
        cells: list[Value | str] = [
            study.study.row_title(row),
            told["seconds"],
            Value(in_all) if part else Value(),
            told["peak_memory_mib"],
            size,
            told["chosen_epoch"],
        ]
        lines.append(Line([*cells, str(len(part))], study.study.rows[row].group, row))
        data += [{"row": row, "measure": name, "mean": s.mean, "std": s.std, "n": s.n} for name, s in summaries.items()]
        data += [{"row": row, "measure": "parameters", "mean": size.number, "std": None, "n": len(part)}]
    once = runs.drop_duplicates("run")
    hours = {True: 0.0, False: 0.0}
    for status, seconds in zip(once["status"], once["seconds"], strict=True):
        hours[status in SCORED] += 0.0 if pd.isna(seconds) else float(seconds) / 3600
    others = len(once) - scored["run"].nunique()
    besides = f"; {others} runs without a score took {hours[False]:.2f} besides" if hours[False] else ""
    caption = [
        "Seconds of wall time per run, evaluation included; peak resident memory of its process; ±: sample "
        "standard deviation over seeds (ddof 1).",
        f"{scored['run'].nunique()} scored runs took {hours[True]:.2f} hours in all{besides}.",
    ]
    notes = ["Runs shared one machine with others where they were computed side by side: times are no benchmark."]
    return Table("cost", f"{study.label}: cost", columns, lines, caption, notes, pd.DataFrame(data))
