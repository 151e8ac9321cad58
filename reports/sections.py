"""Sections of a report: the registry of its tables and figures.

A table or figure is one function of the report's data, which gives None or an empty list where it has nothing to show,
and one line here; the order is that of the report.
"""

from collections.abc import Callable

from reports.figures.attention import attention_figures
from reports.figures.axis_curve import axis_figure
from reports.figures.forest import forest_figures, scores_figure
from reports.figures.heat_map import heat_map_figure
from reports.figures.search import history_figure, importance_figure
from reports.figures.style import ReportFigure
from reports.figures.training_curves import training_figure
from reports.frame import ReportData
from reports.tables.breakdowns import distance_table, type_table
from reports.tables.cost import cost_table
from reports.tables.differences import differences_table
from reports.tables.layout import Table
from reports.tables.published import published_table
from reports.tables.results import ablation_table, main_table
from reports.tables.search import history, importance, trials_table
from reports.tables.settings import settings_table
from studies.search.trials import SearchRecord


def search_table(data: ReportData) -> Table | None:
    """The best trials of a search."""
    return trials_table(data.search) if data.search is not None and data.search.trials else None


def find_search_figures(data: ReportData) -> list[ReportFigure]:
    """Every trial of a search, and which axes mattered."""
    return search_figures(data.search) if data.search is not None else []


def search_figures(search: SearchRecord) -> list[ReportFigure]:
    """The figures of a search."""
    drawings = []
    tried, mattered = history(search), importance(search)
    if tried["mean"].notna().any():
        told = (
            "Trials of the search by mean validation F1. The line is the best by then, with more seeds before a higher "
            "mean: it falls where a config that had been lucky on fewer seeds got more."
        )
        drawings.append(ReportFigure("search-history", history_figure(tried, metric=search.metric), told))
    if len(mattered):
        told = "How much each axis sets the better trials apart from the others (PED-ANOVA): shares of 1."
        drawings.append(ReportFigure("search-importance", importance_figure(mattered), told))
    return drawings


TABLES: tuple[Callable[[ReportData], Table | None], ...] = (
    main_table,
    ablation_table,
    differences_table,
    published_table,
    distance_table,
    type_table,
    cost_table,
    search_table,
    settings_table,
)
FIGURES: tuple[Callable[[ReportData], list[ReportFigure]], ...] = (
    forest_figures,
    scores_figure,
    axis_figure,
    heat_map_figure,
    training_figure,
    attention_figures,
    find_search_figures,
)
MAX_LINES = 200
"""Lines of a table that are printed; CSV files hold all."""


def make_tables(data: ReportData) -> list[Table]:
    """The tables of a report, the main one first; of a huge study their first lines."""
    return [table.first_lines(MAX_LINES) for make in TABLES if (table := make(data)) is not None]


def make_figures(data: ReportData) -> list[ReportFigure]:
    """The figures of a report; one that has nothing to show is left out."""
    return [figure for make in FIGURES for figure in make(data)]
