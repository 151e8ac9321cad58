"""What a report consists of: the tables and figures that a study has something to say in.

A part is a function of the material that gives the tables or drawings it has something to show in, or none. Another
part is added by naming it in `TABLES` or `DRAWINGS`; the order is that of the report.

What tables and figures are made of, and what a figure is: all that a part of a report is handed, in one place.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from reports.baseline_differences import find_largest_differences
from reports.captions import METRIC, data_sentence, format_ranges, label
from reports.figures.attention import SOURCES, WORDS, attended, attention, build_picture, find_modes
from reports.figures.curves import axis, axis_frame, curves, differences, scores_frame, training_frame
from reports.figures.heat_map import heat_map, heat_map_frame
from reports.figures.search import history_figure, importance_figure
from reports.figures.style import forest, scores
from reports.row_means import LONG, TASK_HEADINGS
from reports.tables.breakdowns import Parts, breakdown_tables
from reports.tables.differences import cost_table, differences_table
from reports.tables.layout import Table
from reports.tables.published import TABLE, published_table
from reports.tables.results import ablation_table, main_table
from reports.tables.search import trials_frame, trials_table
from reports.tables.settings import settings_table
from studies.record import StudyRecord
from studies.search.trials import SearchRecord


@dataclass(frozen=True)
class Material:
    """A study and what its records say, read once for every table and figure."""

    study: StudyRecord
    frame: pd.DataFrame
    """The tidy frame of `reports.frame`: a line per row, seed and task; `folder` is the run's, where it has one."""
    compared: pd.DataFrame
    """What `reports.baseline_differences.comparisons` says of the frame."""
    parts: Parts = field(default_factory=dict)
    """Breakdowns of strict relation scores by run id, as `reports.frame` reads them."""
    configs: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    """Row -> the resolved config of its first run that has a record."""
    search: SearchRecord | None = None
    """The trials that chose a row, where the study is a search."""


@dataclass(frozen=True)
class ReportFigure:
    """A figure with its file name and what its caption says."""

    name: str
    figure: Figure
    caption: str


MOST_LINES = 200
"""Lines of a table that are printed; CSV files hold all."""
MIN_ABLATION_ROWS = 3
"""Compared rows from which on they have a table of their own, a line each."""
MOST_ROWS, MOST_CURVES = 40, 10
"""What a figure can hold: rows of a forest, rows of training curves."""
MAX_HEAT_MAP_CELLS = 80
"""Cells that a map can hold."""
MAX_ATTENTION_ROWS = 8
"""Rows whose stored attention is drawn."""


def results(material: Material) -> list[Table]:
    """The table of the study."""
    return [main_table(material.study, material.frame)]


def compared_rows(material: Material) -> list[Table]:
    """Every row against its baseline."""
    return [located(differences_table(material.study, material.compared), material)] if len(material.compared) else []


def ablation(material: Material) -> list[Table]:
    """What each row changes, where there are more rows than the table of differences shows at a glance."""
    if material.compared["row"].nunique() < MIN_ABLATION_ROWS:
        return []
    return [located(ablation_table(material.study, material.frame, material.compared), material)]


def breakdowns(material: Material) -> list[Table]:
    """Where strict relation scores come from."""
    found = breakdown_tables(material.study, material.frame, material.parts)
    return [located(table, material) for table in found]


def cost(material: Material) -> list[Table]:
    """What the rows cost."""
    return [cost_table(material.study, material.frame)]


def appendix(material: Material) -> list[Table]:
    """Every setting that can change a number."""
    return [settings_table(material.study, material.frame, material.configs)] if material.configs else []


def published(material: Material) -> list[Table]:
    """What the published table supports, beside a study of the same groups."""
    groups = {row.group for row in material.study.study.rows.values()}
    return [published_table()] if groups & {row.group for row in TABLE} else []


def forests(material: Material) -> list[ReportFigure]:
    """Differences to the baseline, seed by seed."""
    study = material.study
    compared = material.compared
    head = find_largest_differences(study, compared, MOST_ROWS)
    apart = differences(study, material.frame, compared[compared["row"].isin(head)])
    left = compared["row"].nunique()
    if not len(apart):
        return []
    shown = f" Of {left} rows the {MOST_ROWS} that differ most." if left > MOST_ROWS else ""
    told = "Dots: seeds; diamond and bar: mean and 95 % t-interval of the differences paired by seed." + shown
    metric = study.study.metric
    alone = forest(apart[apart["task"] == metric], [metric])
    return [
        measured(
            ReportFigure("forest", alone, f"{LONG[metric].capitalize()} F1 less the baseline's. {told}"), material
        ),
        measured(ReportFigure("forest-tasks", forest(apart, list(TASK_HEADINGS)), f"All four tasks: {told}"), material),
    ]


def seeds_of_rows(material: Material) -> list[ReportFigure]:
    """F1 of every row, seed by seed."""
    if len(material.study.study.rows) > MOST_ROWS:
        return []
    numbers = scores_frame(material.study, material.frame)
    if not len(numbers):
        return []
    metric = material.study.study.metric
    told = f"{LONG[metric].capitalize()} F1. Dots: seeds; diamond and bar: mean and 95 % t-interval over seeds."
    return [measured(ReportFigure("scores", scores(numbers, metric), told), material)]


def axis_curves(material: Material) -> list[ReportFigure]:
    """F1 along the study's axis of numbers."""
    study = material.study
    title, numbers = axis_frame(study, material.frame, material.configs)
    if not title or not len(numbers):
        return []
    baseline = study.study.baseline
    off = scores_frame(study, material.frame)
    off = off[(off["row"] == baseline) & ~off["row"].isin(numbers["row"])]
    beside = (label(study, baseline), float(off["mean"].iloc[0])) if len(off) else None
    line = f" Dashed: mean of {beside[0]}." if beside else ""
    told = f"{LONG[study.study.metric].capitalize()} F1 against {title.lower()}. Dots: seeds; bars: mean and 95 % "
    figure = axis(title, numbers, metric=study.study.metric, beside=beside)
    return [measured(ReportFigure("axis", figure, f"{told}t-interval over seeds.{line}"), material)]


def map_of_two_axes(material: Material) -> list[ReportFigure]:
    """Every combination of two axes."""
    study = material.study.study
    numbers = heat_map_frame(material.study, material.frame)
    if not len(numbers) or len(numbers) > MAX_HEAT_MAP_CELLS or not numbers["n"].any():
        return []
    told = (
        f"{LONG[study.metric].capitalize()} F1: mean over seeds, ± sample standard deviation (ddof 1). Framed: the row "
        "that all are compared with. A dash: no score, or no such row."
    )
    figure = heat_map(numbers, metric=study.metric, seeds=len(study.seeds))
    return [measured(ReportFigure("map", figure, told), material)]


def training(material: Material) -> list[ReportFigure]:
    """Loss and validation F1 over training."""
    if len(material.study.study.rows) > MOST_CURVES:
        return []
    trained = training_frame(material.study, material.frame)
    if not len(trained):
        return []
    seeds = format_ranges(set(material.frame["seed"]))
    told = (
        f"Training loss and validation F1 over training. Lines: mean over seeds {seeds}, where they have a history; "
        "bands: one sample standard deviation to either side; dotted: where memories begin to be read, which ends the "
        "warm-up."
    )
    return [ReportFigure("curves", curves(trained, metric=material.study.study.metric), told)]


def attention_figures(material: Material) -> list[ReportFigure]:
    """A picture per mode of reading of the rows whose attention was stored (`engram evaluate RUN --attention`)."""
    drawings = []
    for number, (row, run, document) in enumerate(islice(attended(material.frame), MAX_ATTENTION_ROWS)):
        modes = find_modes(document)
        for mode in modes:
            who = f"Memory attention. {label(material.study, row)}: run {run}, which reads {SOURCES[document.source]}."
            name = f"attention-{number + 1}" + (f"-{mode}" if len(modes) > 1 else "")
            drawings.append(ReportFigure(name, attention(build_picture(document, mode)), f"{who} {WORDS[mode]}"))
    return drawings


def trials(material: Material) -> list[Table]:
    """The best trials of a search."""
    search = material.search
    return [trials_table(search)] if search is not None and search.trials else []


def searched(material: Material) -> list[ReportFigure]:
    """Every trial of a search, and which axes mattered."""
    return search_figures(material.search) if material.search is not None else []


def search_figures(search: SearchRecord) -> list[ReportFigure]:
    """The figures of a search."""
    drawings = []
    frame = trials_frame(search)
    if frame["mean"].notna().any():
        told = (
            "Trials of the search by mean validation F1. The line is the best by then, with more seeds before a higher "
            "mean: it falls where a config that had been lucky on fewer seeds got more."
        )
        drawings.append(ReportFigure("search-history", history_figure(frame, metric=search.metric), told))
    if search.importance:
        titles = {axis.name: axis.title for axis in search.axes}
        shares = {titles[name]: share for name, share in search.importance.items()}
        told = "How much each axis sets the better trials apart from the others (PED-ANOVA): shares of 1."
        drawings.append(ReportFigure("search-importance", importance_figure(shares), told))
    return drawings


TABLES: tuple[Callable[[Material], list[Table]], ...] = (
    results,
    ablation,
    compared_rows,
    published,
    breakdowns,
    cost,
    trials,
    appendix,
)
DRAWINGS: tuple[Callable[[Material], list[ReportFigure]], ...] = (
    forests,
    seeds_of_rows,
    axis_curves,
    map_of_two_axes,
    training,
    attention_figures,
    searched,
)


def tables_of(material: Material) -> list[Table]:
    """The tables of a report, the main one first; of a huge study their first lines."""
    return [table.shortened(MOST_LINES) for part in TABLES for table in part(material)]


def make_figures(material: Material) -> list[ReportFigure]:
    """The figures of a report; one that has nothing to show is left out."""
    return [drawing for part in DRAWINGS for drawing in part(material)]


def located(table: Table, material: Material) -> Table:
    """The table with metric, data, split and seeds in its caption."""
    return replace(table, caption=[*table.caption, METRIC, *where(material)])


def measured(drawing: ReportFigure, material: Material) -> ReportFigure:
    """The drawing with data, split and seeds in its caption."""
    return replace(drawing, caption=" ".join([drawing.caption, *where(material)]))


def where(material: Material) -> list[str]:
    """On which data, split and seeds the numbers were measured."""
    seeds = format_ranges(set(material.frame["seed"]))
    return [data_sentence(material.study, material.frame), f"Seeds {seeds}."]
