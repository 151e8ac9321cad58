"""Comparison of two systems on the same gold: all measures with paired statistics."""

from collections.abc import Iterator, Mapping

import pandas as pd

from core.config.presets import leaves
from core.errors import UserError
from core.scoring.metrics import TASKS, score
from reports.captions import COVERAGE_NOTE, describe_spread, format_ranges
from reports.compare_details import (
    distance_differences_table,
    document_differences_table,
    type_differences_table,
)
from reports.compare_inputs import ComparedSystem
from reports.row_means import SPREADS, TASK_NAMES
from reports.tables.layout import Cell, Column, Line, Table, Value
from studies.bootstrap import RESAMPLES, bootstrap_differences, pair_counts
from studies.statistics import DASH, PairedDifference, paired_difference, summarize

MEASURES = {"precision": "precision", "recall": "recall", "macro_f1": "macro F1"}
UNTYPED = ("mention", "coref")
"""Tasks whose items have one type, so that a mean over types repeats their F1."""
EXTRA_MEASURES = {
    "MUC F1": "coreference.muc.f1",
    "B³ F1": "coreference.b_cubed.f1",
    "CEAFφ4 F1": "coreference.ceaf_phi4.f1",
    "mean of the three": "coreference.mean.f1",
    "lenient entity F1": "lenient.entity.f1",
    "lenient strict relation F1": "lenient.relation_strict.f1",
    "relation F1 on gold clusters": "on_gold.relation.f1",
    "relation average precision": "ranking.average_precision",
    "relation F1 at the best threshold": "ranking.best_f1",
    "relation Ign-F1": "ign.f1",
}
"""Scores beyond the five tasks: name -> path in `core.scoring.metrics.Scores.extra`."""
VALUE_COLUMNS = (
    Column("a", "A", "mean"),
    Column("b", "B", "mean"),
    Column("delta", "B − A", "number", signed=True),
    Column("seeds", "95 % seeds", "interval", signed=True),
)
"""The columns of `compare_values`."""


def pair_systems(a: ComparedSystem, b: ComparedSystem) -> tuple[ComparedSystem, ComparedSystem]:
    """Both systems on the seeds that they share; two single runs are one pair, whatever their seeds.

    Raises a UserError where a system has several seeds and none is shared.
    """
    if len(a.counts) == len(b.counts) == 1:
        return a.select_seeds({next(iter(a.counts)): 0}), b.select_seeds({next(iter(b.counts)): 0})
    shared = {seed: seed for seed in sorted(a.counts.keys() & b.counts.keys())}
    if not shared:
        raise UserError(
            f"{a.label} (seeds {format_ranges(a.counts)}) and {b.label} (seeds {format_ranges(b.counts)}) share no "
            "seed: differences are paired by seed; run the missing ones, or compare two single runs"
        )
    return a.select_seeds(shared), b.select_seeds(shared)


def f1_table(a: ComparedSystem, b: ComparedSystem, *, resamples: int = RESAMPLES) -> Table:
    """F1 of all tasks of both systems and their difference: per seed, and over documents and seeds together."""
    scores = [{seed: score(counts) for seed, counts in system.counts.items()} for system in (a, b)]
    lines, data = [], []
    for task in TASKS:
        f1_a, f1_b = ({seed: float(getattr(of_seed, task).f1) for seed, of_seed in s.items()} for s in scores)
        cells, numbers, paired = compare_values(f1_a, f1_b)
        pair = pair_counts(b.counts, a.counts, task, files=(b.files, a.files))
        both = bootstrap_differences([(pair.row, pair.baseline)], resamples=resamples)[0].interval
        sign_flip = f"{paired.p_sign_flip:.4f} ({paired.p_floor:.4f})" if paired.n else DASH
        more: list[Cell] = [Value(paired.mean, low=both.low, high=both.high), f"{paired.higher}/{paired.n}", sign_flip]
        lines.append(Line([TASK_NAMES[task], *cells, *more]))
        numbers |= {"low_all": both.low, "high_all": both.high, "n": paired.n, "p_sign_flip": paired.p_sign_flip}
        data.append({"task": task, **numbers})
    n = len(a.counts)
    documents = len(next(iter(a.counts.values())))
    return Table(
        name="compare",
        title=f"{a.label} and {b.label}",
        columns=[
            Column("task", "Task"),
            *VALUE_COLUMNS,
            Column("bootstrap", "95 % documents and seeds", "interval", signed=True),
            Column("higher", "B higher", in_print=False),
            Column("p_sign_flip", "Sign-flip", in_print=False),
        ],
        lines=lines,
        caption=[
            f"F1 (%) of {a.label} (A) and {b.label} (B) on the same {documents} documents, {describe_spread([n])}, and "
            "their difference with 95 % intervals.",
            f"±: {SPREADS['std']}.",
            "95 % seeds: t-interval of the differences paired by seed. 95 % documents and seeds: hierarchical paired "
            f"bootstrap, {resamples} resamples.",
            COVERAGE_NOTE,
            "Sign-flip: exact two-sided p, in brackets the smallest that so many seeds can reach.",
        ],
        notes=["One run of each: the intervals are over documents; nothing is known about other seeds."] * (n == 1),
        data=pd.DataFrame(data),
    )


def further_measures_table(a: ComparedSystem, b: ComparedSystem) -> Table:
    """A line per measure that both systems have at every seed, with the difference paired by seed."""
    values_a, values_b = dict(compute_measures(a)), dict(compute_measures(b))
    lines, data = [], []
    for name in values_a:
        if name in values_b:
            cells, numbers, _ = compare_values(values_a[name], values_b[name])
            lines.append(Line([name, *cells]))
            data.append({"measure": name, **numbers})
    columns = [Column("measure", "Measure"), *VALUE_COLUMNS]
    caption = (
        f"Further measures (%) of {a.label} (A) and {b.label} (B), {describe_spread([len(a.counts)])}, and their "
        "difference with its 95 % interval.",
        "Macro: unweighted mean over the types in gold or prediction. Lenient: a gold entity is found by a "
        "predicted cluster that holds its first mention. The best threshold is fitted on these documents.",
    )
    return Table("compare-further", "Further measures", columns, lines, caption, data=pd.DataFrame(data))


def compare_values(
    a: Mapping[int, float], b: Mapping[int, float]
) -> tuple[list[Cell], dict[str, float], PairedDifference]:
    """A measure of both systems by seed -> its cells and CSV columns (A, B, B - A and the interval), the difference."""
    paired, summaries = paired_difference(b, a), [summarize(values.values()) for values in (a, b)]
    interval = Value(paired.mean, low=paired.interval.low, high=paired.interval.high)
    cells: list[Cell] = [*(Value(summary.mean, summary.std) for summary in summaries), Value(paired.mean), interval]
    numbers = {"a": summaries[0].mean, "b": summaries[1].mean, "delta": paired.mean}
    return cells, {**numbers, "low": interval.low, "high": interval.high}, paired


def compute_measures(system: ComparedSystem) -> Iterator[tuple[str, dict[int, float]]]:
    """Each measure that a system has at every seed, with its value per seed."""
    scores = {seed: score(counts) for seed, counts in system.counts.items()}
    for task in TASKS:
        for field, name in MEASURES.items():
            if field == "macro_f1" and task in UNTYPED:
                continue
            values = {seed: float(getattr(getattr(of_seed, task), field)) for seed, of_seed in scores.items()}
            yield f"{TASK_NAMES[task]} {name}", values
    extra = {seed: leaves(system.extra.get(seed, {})) for seed in scores}
    for name, path in EXTRA_MEASURES.items():
        if all(values.get(path) is not None for values in extra.values()):
            yield name, {seed: float(values[path]) for seed, values in extra.items()}


COMPARISON_TABLES = (
    f1_table,
    further_measures_table,
    distance_differences_table,
    type_differences_table,
    document_differences_table,
)
"""The tables of `engram compare`, in order; one without lines is left out."""
