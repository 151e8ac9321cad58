"""Options of tables: decimals, tasks, rows, what ± is, and daggers, in every table and format alike."""

import math
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

import engram
from core.errors import UserError
from reports.frame import ReportData
from reports.row_means import TableOptions, task_headings
from reports.tables.breakdowns import distance_table
from reports.tables.differences import differences_table
from reports.tables.layout import Table, Value
from reports.tables.markdown import to_markdown
from reports.tables.results import ablation_table, main_table
from studies.record import StudyRecord
from studies.rows import Row
from tests.reports.records import make_study, present, read_data

ROWS = {
    "jerex": Row("jerex-grc", title="JEREX"),
    "near": Row("memory-grc", title="near"),
    "far": Row("memory-grc", title="far", baseline=("near", "jerex")),
    "high": Row("memory-grc", title="high", baseline="near"),
}
SEEDS = {
    "jerex": {0: 38.0, 1: 39.0, 2: 40.0},
    # Δ 1, 1.2, .8: t = 8.7, p = .013; times the 12 comparisons that are not more certain it is above .05.
    "near": {0: 39.0, 1: 40.2, 2: 40.8},
    # Against near Δ -3, -2.1, -4.1.
    "far": {0: 36.0, 1: 38.1, 2: 36.7},
    # Against near Δ 5, 5.01, 4.99: t = 866, p = 1.3e-6.
    "high": {0: 44.0, 1: 45.21, 2: 45.79},
}


@pytest.fixture
def study(tmp_path: Path) -> StudyRecord:
    return make_study(tmp_path, SEEDS, rows=ROWS)


@pytest.fixture
def data(study: StudyRecord, tmp_path: Path) -> ReportData:
    return read_data(study, tmp_path)


def shown(table: Table, heading: str) -> dict[str, str]:
    """Row -> its cell in the column of a heading, the first line of each row."""
    number = [column.heading for column in table.columns].index(heading)
    return {line.row: table.columns[number].write(line.cells[number]) for line in reversed(table.lines)}


def with_options(data: ReportData, **options: object) -> ReportData:
    return replace(data, options=TableOptions(**options))  # type: ignore[arg-type]


def test_only_differences_that_hold_after_holm_are_marked_in_all_three_tables(data: ReportData) -> None:
    holm = data.compared.set_index(["row", "baseline", "task"])["p_holm"]
    assert holm["high", "near", "entity"] < 0.05 < holm["near", "jerex", "entity"]
    table = main_table(data)
    assert shown(table, "Rel.") == {
        "jerex": "39.00 ± 1.00",
        "near": "40.00 ± 0.92",
        "far": "36.93 ± 1.07",
        "high": "45.00 ± 0.91†",
    }
    assert "†: p\u00a0<\u00a0.05 against near after Holm" in " ".join(table.caption)
    assert shown(present(ablation_table(data)), "Δ Men.")["high"] == "+5.00 [+4.98, +5.02]†"
    assert shown(present(differences_table(data)), "Δ") == {"near": "+1.00", "far": "−3.07", "high": "+5.00†"}
    for make in (main_table, ablation_table, differences_table):
        plain = to_markdown(present(make(with_options(data, marks=False))))
        assert "†" not in plain


def test_a_row_with_two_baselines_is_marked_by_its_first(data: ReportData) -> None:
    compared = data.compared.copy()
    first = (compared["row"] == "far") & (compared["baseline"] == "near")
    other = (compared["row"] == "far") & (compared["baseline"] == "jerex")
    assert shown(main_table(replace(data, compared=compared.assign(p_holm=(~other).astype(float)))), "Ent.")[
        "far"
    ].endswith("1.07")
    table = main_table(replace(data, compared=compared.assign(p_holm=(~first).astype(float))))
    assert shown(table, "Ent.")["far"].endswith("1.07†")
    assert "†: p\u00a0<\u00a0.05 against near (of several, the first) after Holm" in " ".join(table.caption)


def test_digits_tasks_and_rows_reach_each_table_and_its_csv_and_change_no_p(data: ReportData) -> None:
    chosen = with_options(data, digits=1, tasks=("mention", "relation_strict"), rows=("high", "far", "near"))
    table = main_table(chosen)
    assert [column.heading for column in table.columns] == ["System", "Men.", "Rel.", "n"]
    assert [line.row for line in table.lines] == ["high", "far", "near"]
    assert list(shown(table, "Rel.").values()) == ["40.0 ± 0.9", "36.9 ± 1.1", "45.0 ± 0.9†"]
    assert set(table.data["row"]) == {"high", "far", "near"}
    assert set(table.data["task"]) == {"mention", "relation_strict"}
    ablation = present(ablation_table(chosen))
    assert [column.heading for column in ablation.columns][2:] == ["Rel. F1", "Δ Men.", "Δ Rel."]
    assert [line.row for line in ablation.lines] == ["high", "far", "far", "near"]
    assert shown(ablation, "Δ Men.")["high"] == "+5.0 [+5.0, +5.0]†"
    differences = present(differences_table(chosen))
    assert [line.cells[1] for line in differences.lines] == ["Men.", "Rel."] * 4
    assert shown(differences, "95 % seeds")["high"] == "[+5.0, +5.0]"
    # Holm's family is what was compared, not what is shown.
    whole = present(differences_table(data)).data.set_index(["row", "baseline", "task"])["p_holm"]
    kept = differences.data.set_index(["row", "baseline", "task"])["p_holm"]
    assert len(kept) == 8 < len(whole)
    pd.testing.assert_series_equal(kept, whole[kept.index])
    assert "over all 16 comparisons" in " ".join(differences.caption)


def test_bold_is_the_best_of_the_rows_that_are_shown(data: ReportData) -> None:
    table = main_table(with_options(data, rows=("jerex", "near")))
    best = [line.row for line in table.lines if isinstance(line.cells[1], Value) and line.cells[1].bold]
    assert best == ["near"]


def test_the_interval_behind_the_sign_is_half_the_t_interval(data: ReportData) -> None:
    chosen = with_options(data, spread="ci")
    table = main_table(chosen)
    # t(2; .975) = 4.3027, std 1, n = 3.
    assert shown(table, "Rel.")["jerex"] == f"39.00 ± {4.3027 / math.sqrt(3):.2f}"
    assert shown(present(ablation_table(chosen)), "Rel. F1")["jerex"] == "39.00 ± 2.48"
    assert shown(present(distance_table(chosen)), "Within a sentence")["jerex"] == "41.00 ± 2.48"
    for made in (table, present(ablation_table(chosen)), present(distance_table(chosen))):
        caption = " ".join(made.caption)
        assert "half the width of the 95 % t-interval" in caption
        assert "standard deviation" not in caption
    line = table.data.set_index(["row", "task"]).loc[("jerex", "relation_strict")]
    assert (line["low"], line["high"]) == (pytest.approx(39 - 2.4841, abs=1e-4), pytest.approx(39 + 2.4841, abs=1e-4))


def test_a_further_task_is_compared_too(study: StudyRecord, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "relation" not in task_headings(study)
    arguments = ["report", "made", "--runs", str(tmp_path), "--documents", "0", "--out", str(tmp_path / "out")]
    assert engram.main([*arguments, "--tasks", "relation,entity", "--rows", "high", "--digits", "0"]) == 0
    out = capsys.readouterr().out
    assert "Δ Rel. loose" in out or "| Rel. loose | " in out
    assert "over all 20 comparisons" in out
    page = (tmp_path / "out" / "index.html").read_text()
    results = page.partition('<section id="table">')[2].partition("</section>")[0]
    assert "46 ± 1†" in results
    assert "JEREX" not in results.partition("</table>")[0]
    assert "46" in (tmp_path / "out" / "table.tex").read_text()
    assert set(pd.read_csv(tmp_path / "out" / "comparisons.csv")["task"]) == {"relation", "entity"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"digits": 5}, "--digits 5: give 0 to 4 decimals"),
        ({"tasks": ("entitie",)}, "--tasks: 'entitie' is none of mention, .*Did you mean entity"),
        (
            {"rows": ("jerx",)},
            "--rows of study made@paper: 'jerx' is none of jerex, near, far, high.*Did you mean jerex",
        ),
    ],
)
def test_what_cannot_be_shown_is_named_with_what_can(study: StudyRecord, options: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        TableOptions(**options).check(study)
