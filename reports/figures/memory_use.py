"""Memory use figure: what knock-outs change in every row that reads, seed by seed, with the interval that is judged."""

import pandas as pd

from reports.captions import label, name_sample
from reports.figures.forest import COLUMNS, MAX_ROWS, Series, draw_rows
from reports.figures.style import ReportFigure
from reports.frame import ReportData
from reports.memory_use import find_differences, find_judged
from reports.row_means import TASK_NAMES

SERIES = {
    "reading-off": Series("reading off", dot="#E69F00", mean="#D55E00", marker="s"),
    "mean-read": Series("mean read"),
}


def memory_use_figure(data: ReportData) -> list[ReportFigure]:
    """Differences of both knock-outs on the study's metric; nothing where no run has one."""
    numbers = knock_out_frame(data)
    if not 0 < numbers["row"].nunique() <= MAX_ROWS:
        return []
    metric = data.study.study.metric
    caption = (
        f"{TASK_NAMES[metric].capitalize()} F1 of the same weights with reading off or with the mean read, minus the "
        f"whole model's ({name_sample(data.frame)}): dots are seeds, larger markers and bars mean and 95 % interval."
    )
    axis = f"Δ {TASK_NAMES[metric]} F1 to the whole model, points"
    figure = draw_rows(numbers, [metric], label=axis, zero=True, series=list(SERIES.values()))
    return [ReportFigure("memory-use", figure, caption, "The intervals are those of the table.")]


def knock_out_frame(data: ReportData) -> pd.DataFrame:
    """A line per row, knock-out (`series`) and seed on the study's metric, otherwise as the frames of forest plots."""
    metric, runs = data.study.study.metric, {row.row: row.runs for row in data.study.row_runs}
    lines = []
    for row, knock_outs in find_judged(data).items():
        for knock_out, judged in knock_outs.items():
            shown = (judged.delta, judged.low, judged.high, SERIES[knock_out].name)
            by_seed = find_differences(data, runs[row], knock_out, metric)
            lines += [(row, label(data.study, row), metric, seed, value, *shown) for seed, value in by_seed.items()]
    return pd.DataFrame(lines, columns=[*COLUMNS, "series"])
