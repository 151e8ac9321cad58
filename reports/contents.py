"""What a report consists of: the tables and figures that a study has something to say in."""

from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from reports.baselines import TABLE
from reports.breakdown_tables import breakdown_tables
from reports.comparison_tables import comparison_table, cost_table, published_table
from reports.figure_numbers import axis_curve, differences, training_curves
from reports.figures import axis, curves, forest
from reports.search_figures import history_figure, importance_figure
from reports.search_numbers import history, importance, trials_table
from reports.summary import SHORT
from reports.table import Table
from reports.tables import main_table
from studies.search_record import SearchRecord
from studies.study_record import StudyRecord

MOST_ROWS, MOST_CURVES = 40, 10
"""What a figure can hold: rows of a forest, rows of training curves."""


@dataclass(frozen=True)
class Drawing:
    """A figure with its file name and what its caption says."""

    name: str
    figure: Figure
    caption: str


def tables_of(
    study: StudyRecord, frame: pd.DataFrame, compared: pd.DataFrame, search: SearchRecord | None = None
) -> list[Table]:
    """The tables of a report, the main one first."""
    tables = [main_table(study, frame)]
    if len(compared):
        tables.append(comparison_table(study, compared))
    tables += breakdown_tables(study, frame)
    tables.append(cost_table(study, frame))
    if {row.group for row in study.study.rows.values()} & {row.group for row in TABLE}:
        tables.append(published_table())
    if search is not None and search.trials:
        tables.append(trials_table(search))
    return tables


def drawings_of(
    study: StudyRecord, frame: pd.DataFrame, compared: pd.DataFrame, search: SearchRecord | None = None
) -> list[Drawing]:
    """The figures of a report; one that has nothing to show is left out."""
    drawings = []
    head, left = most_different(study, compared)
    apart = differences(study, frame, head)
    if len(apart):
        shown = f" Of {left} rows the {MOST_ROWS} that differ most." if left > MOST_ROWS else ""
        told = "Dots: seeds; diamond and bar: mean and 95 % t-interval of the differences paired by seed." + shown
        if study.study.metric in SHORT:
            alone = forest(apart[apart["task"] == study.study.metric], [study.study.metric])
            drawings.append(Drawing("forest", alone, f"F1 less the baseline's. {told}"))
        drawings.append(Drawing("forest-tasks", forest(apart, list(SHORT)), f"The same on all four tasks. {told}"))
    title, numbers = axis_curve(study, frame)
    if title and len(numbers):
        told = f"F1 against {title.lower()}: mean and 95 % t-interval over seeds."
        drawings.append(Drawing("axis", axis(title, numbers, metric=study.study.metric), told))
    trained = training_curves(study, frame)
    if len(trained) and trained["row"].nunique() <= MOST_CURVES:
        told = "Validation F1 over training. Thin: seeds; thick: mean; dotted: where the memories begin to be read."
        drawings.append(Drawing("curves", curves(trained, metric=study.study.metric), told))
    return drawings + (search_drawings(search) if search is not None else [])


def search_drawings(search: SearchRecord) -> list[Drawing]:
    """The figures of a search."""
    drawings = []
    tried, mattered = history(search), importance(search)
    if tried["mean"].notna().any():
        told = (
            "Trials of the search by mean validation F1. The line is the best by then, with more seeds before a higher "
            "mean: it falls where a config that had been lucky on fewer seeds got more."
        )
        drawings.append(Drawing("search-history", history_figure(tried, metric=search.metric), told))
    if len(mattered):
        told = "How much each axis sets the better trials apart from the others (PED-ANOVA): shares of 1."
        drawings.append(Drawing("search-importance", importance_figure(mattered), told))
    return drawings


def most_different(study: StudyRecord, compared: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """The comparisons of at most `MOST_ROWS` rows, those that differ most, and how many there are."""
    sizes = compared[compared["task"] == study.study.metric].set_index("row")["delta"].abs()
    kept = sizes.sort_values(ascending=False, kind="stable").index[:MOST_ROWS] if len(sizes) > MOST_ROWS else None
    return (compared if kept is None else compared[compared["row"].isin(kept)]), len(sizes)
