"""What a report consists of: the tables and figures that a study has something to say in.

A part is a function of the material that gives the tables or drawings it has something to show in, or none. Another
part is added by naming it in `TABLES` or `DRAWINGS`; the order is that of the report.
"""

from collections.abc import Callable

from reports.ablation_tables import ablation_table
from reports.appendix_tables import settings_table
from reports.baselines import TABLE
from reports.breakdown_tables import breakdown_tables
from reports.comparison import most_different
from reports.comparison_tables import comparison_table, cost_table
from reports.figure_numbers import axis_curve, differences, training_curves
from reports.figures import axis, curves, forest
from reports.material import Drawing, Material
from reports.published import published_table
from reports.summary import LONG, SHORT
from reports.table import Table
from reports.tables import main_table

MOST_LINES = 200
"""Lines of a table that are printed; CSV files hold all."""
FEWEST_ABLATED = 3
"""Compared rows from which on they have a table of their own, a line each."""
MOST_ROWS, MOST_CURVES = 40, 10
"""What a figure can hold: rows of a forest, rows of training curves."""


def results(material: Material) -> list[Table]:
    """The table of the study."""
    return [main_table(material.study, material.frame)]


def compared_rows(material: Material) -> list[Table]:
    """Every row against its baseline."""
    return [comparison_table(material.study, material.compared)] if len(material.compared) else []


def ablation(material: Material) -> list[Table]:
    """What each row changes, where there are more rows than the table of differences shows at a glance."""
    if material.compared["row"].nunique() < FEWEST_ABLATED:
        return []
    return [ablation_table(material.study, material.frame, material.compared)]


def breakdowns(material: Material) -> list[Table]:
    """Where strict relation scores come from."""
    return breakdown_tables(material.study, material.frame, material.parts)


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


def forests(material: Material) -> list[Drawing]:
    """Differences to the baseline, seed by seed."""
    study = material.study
    compared = material.compared
    head = most_different(study, compared, MOST_ROWS)
    apart = differences(study, material.frame, compared[compared["row"].isin(head)])
    left = compared["row"].nunique()
    if not len(apart):
        return []
    shown = f" Of {left} rows the {MOST_ROWS} that differ most." if left > MOST_ROWS else ""
    told = "Dots: seeds; diamond and bar: mean and 95 % t-interval of the differences paired by seed." + shown
    metric = study.study.metric
    alone = forest(apart[apart["task"] == metric], [metric])
    return [
        Drawing("forest", alone, f"{LONG[metric].capitalize()} F1 less the baseline's. {told}"),
        Drawing("forest-tasks", forest(apart, list(SHORT)), f"The same on all four tasks. {told}"),
    ]


def axis_curves(material: Material) -> list[Drawing]:
    """F1 along the study's axis of numbers."""
    title, numbers = axis_curve(material.study, material.frame)
    if not title or not len(numbers):
        return []
    told = f"F1 against {title.lower()}: mean and 95 % t-interval over seeds."
    return [Drawing("axis", axis(title, numbers, metric=material.study.study.metric), told)]


def training(material: Material) -> list[Drawing]:
    """Validation F1 over training."""
    if len(material.study.study.rows) > MOST_CURVES:
        return []
    trained = training_curves(material.study, material.frame)
    if not len(trained):
        return []
    told = "Validation F1 over training. Thin: seeds; thick: mean; dotted: where the memories begin to be read."
    return [Drawing("curves", curves(trained, metric=material.study.study.metric), told)]


TABLES: tuple[Callable[[Material], list[Table]], ...] = (
    results,
    ablation,
    compared_rows,
    published,
    breakdowns,
    cost,
    appendix,
)
DRAWINGS: tuple[Callable[[Material], list[Drawing]], ...] = (forests, axis_curves, training)


def tables_of(material: Material) -> list[Table]:
    """The tables of a report, the main one first; of a huge study their first lines."""
    return [table.shortened(MOST_LINES) for part in TABLES for table in part(material)]


def drawings_of(material: Material) -> list[Drawing]:
    """The figures of a report; one that has nothing to show is left out."""
    return [drawing for part in DRAWINGS for drawing in part(material)]
