"""Sections of a report: the registry of its tables and figures.

A table or figure is one function of the report's data, which gives None or an empty list where it has nothing to show,
and one line here; the order is that of the report.
"""

from collections.abc import Callable

from reports.figures.attention import attention_figures
from reports.figures.axis_curve import axis_figure
from reports.figures.forest import forest_figures, scores_figure
from reports.figures.heat_map import heat_map_figure
from reports.figures.memory_use import memory_use_figure
from reports.figures.search import search_figures
from reports.figures.style import ReportFigure
from reports.figures.training_curves import training_figure
from reports.frame import ReportData
from reports.tables.breakdowns import distance_table, type_table
from reports.tables.cost import cost_table
from reports.tables.differences import differences_table
from reports.tables.layout import Table
from reports.tables.memory_use import memory_use_table
from reports.tables.published import published_table
from reports.tables.results import ablation_table, main_table
from reports.tables.search import search_table
from reports.tables.settings import settings_table

TABLES: tuple[Callable[[ReportData], Table | None], ...] = (
    main_table,
    ablation_table,
    differences_table,
    memory_use_table,
    distance_table,
    type_table,
    published_table,
    search_table,
    cost_table,
    settings_table,
)
FIGURES: tuple[Callable[[ReportData], list[ReportFigure]], ...] = (
    forest_figures,
    scores_figure,
    memory_use_figure,
    axis_figure,
    heat_map_figure,
    training_figure,
    attention_figures,
    search_figures,
)
MAX_LINES = 200
"""Lines of a table that are printed; CSV files hold all."""


def make_tables(data: ReportData) -> list[Table]:
    """The tables of a report, the main one first; of a huge study their first lines."""
    return [table.first_lines(MAX_LINES) for make in TABLES if (table := make(data)) is not None]


def make_figures(data: ReportData) -> list[ReportFigure]:
    """The figures of a report; one that has nothing to show is left out."""
    return [figure for make in FIGURES for figure in make(data)]
