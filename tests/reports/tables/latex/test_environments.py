"""LaTeX of tables: where a table stands, how its columns are written, and what becomes of one that is too large."""

import re

import pytest

from reports.tables.latex.environments import MAX_LINES, to_latex
from reports.tables.latex.notes import to_notes
from reports.tables.layout import Column, Line, Table, Value

POSTER = [Column("row", "System"), *(Column(task, task, "mean") for task in ("Rel.", "Ent.", "Coref.", "Men."))]


def write_poster(title: str) -> str:
    """The poster's table with one row."""
    table = Table("table", "T", POSTER, [Line([title, *[Value(38.65, 0.13)] * 4], "GRC")], ["A sentence.", "Another."])
    return to_latex(table, "paper@quick")


@pytest.mark.parametrize(
    ("title", "environment"), [("+ residual", "table"), ("JEREX", "table"), ("JEREX and its memory", "table*")]
)
def test_a_table_stands_in_a_column_where_it_fits(title: str, environment: str) -> None:
    latex = write_poster(title)
    assert rf"\begin{{{environment}}}" in latex
    assert r"\multicolumn{9}{@{}l@{}}{\itshape GRC} \\" in latex
    assert r"\caption{A sentence.}" in latex
    assert "Another" not in latex
    assert r"\label{tab:paper-quick-results}" in latex


def test_numbers_are_plain_columns_whose_minus_signs_are_no_hyphens() -> None:
    columns = [
        Column("row", "Row"),
        Column("a", "A", "mean"),
        Column("b", "B", "number", decimals=0),
        Column("c", "C", "difference", signed=True),
        Column("d", "D", in_print=False),
    ]
    lines = [
        Line(["x", Value(9.996, 10.5, bold=True), Value(1234567.0), Value(-0.5, low=-1.0, high=2.0), "hidden"]),
        Line(["[y]", Value(9.0), Value(), Value(), "hidden"]),
    ]
    latex = to_latex(Table("t", "T", columns, lines), "made")
    assert r"\begin{tabular}{@{}lr@{}lrr@{\ }l@{}}" in latex
    assert r"x & \textbf{10.00} & $\pm$10.50 & 1\,234\,567 & $-$0.50 & [$-$1.00, +2.00] \\" in latex
    assert r"{}[y] & 9.00 &  & -- & -- &  \\" in latex
    assert "hidden" not in latex


def test_too_many_columns_go_on_below_with_the_first_again() -> None:
    columns = [Column("row", "Row"), *(Column(str(n), f"Heading {n}", "mean") for n in range(16))]
    latex = to_latex(Table("t", "T", columns, [Line(["title", *[Value(38.12, 0.25)] * 16])]), "made", "one-column")
    assert latex.count(r"\begin{tabular}") == 3
    assert latex.count(r"title & 38.12") == 3
    assert latex.count(r"\begin{table}") == 1
    assert latex.count("38.12 & $") == 16


def test_text_wraps_where_the_page_is_too_narrow() -> None:
    lines = [Line(["short", "many words " * 30, Value(1.0)])]
    columns = [Column("a", "A"), Column("b", "B"), Column("c", "C", "number")]
    latex = to_latex(Table("t", "T", columns, lines), "made")
    width = re.search(r"\{@\{\}lp\{([\d.]+)pt\}r@\{\}\}", latex)
    assert width is not None
    assert 300 < float(width[1]) < 395
    assert r"short & \raggedright many words" in latex
    assert r"1.00 \tabularnewline" in latex


def test_a_long_table_continues_under_its_number() -> None:
    lines = [Line([f"row {number}", Value(float(number))], f"group {number // 10}") for number in range(100)]
    table = Table("t", "T", [Column("a", "A"), Column("b", "B", "number")], lines, ["A caption.", "B."], ["A note."])
    latex = to_latex(table, "made")
    parts = latex.split(r"\begin{table}")[1:]
    assert len(parts) == 4
    assert [part.count(r"\label{tab:made-t}") for part in parts] == [1, 0, 0, 0]
    assert [part.count(r"\addtocounter{table}{-1}") for part in parts] == [0, 1, 1, 1]
    # Every line once, parts begin with a group, and none is longer than a page.
    assert [latex.count(f"row {number} &") for number in range(100)] == [1] * 100
    assert r"{\itshape group 3} \\" in parts[1].splitlines()[11]
    assert all(part.count("row ") + part.count("group ") <= MAX_LINES for part in parts)
    assert to_notes([table]).splitlines()[1:-1] == [r"\paragraph{T.}", "B.", "A note."]


def test_what_heads_lines_stands_above_them() -> None:
    columns = [Column("row", "System", once=True, heads=True), Column("task", "Task"), Column("d", "D", "number")]
    lines = [Line([row, task, Value(1.0)], "G") for row in ("one", "two") for task in ("Rel.", "Ent.")]
    latex = to_latex(Table("t", "T", columns, lines), "made")
    assert "System" not in latex
    assert [line for line in latex.splitlines() if "multicolumn" in line] == [
        r"\multicolumn{2}{@{}l@{}}{\itshape G} \\",
        r"\multicolumn{2}{@{}l@{}}{one} \\",
        r"\multicolumn{2}{@{}l@{}}{two} \\",
    ]


def test_a_dagger_hangs_behind_its_number_and_takes_no_width() -> None:
    columns = [Column("row", "Row"), Column("f1", "F1", "mean"), Column("n", "Δ", "number", signed=True)]
    marked = Value(3.5, 0.5, bold=True, mark=True)
    latex = to_latex(
        Table("t", "T", columns, [Line(["a", marked, marked]), Line(["b", Value(3.0, 0.25), Value(-1)])]), "s"
    )
    dagger = r"\rlap{$^{\dagger}$}"
    assert rf"a & \textbf{{3.50}} & $\pm$0.50{dagger} & \textbf{{+3.50{dagger}}} \\" in latex
    assert r"@{\kern3.5pt}}" in latex, "what hangs behind the last column has room before the rule ends"
    plain = to_latex(Table("t", "T", columns, [Line(["b", Value(3.0, 0.25), Value(-1)])]), "s")
    assert r"\kern" not in plain


def test_columns_share_a_heading_above_a_rule() -> None:
    columns = [Column("row", "Row"), *(Column(f"{over}{n}", "F1", "mean", over=over) for over in "ab" for n in "12")]
    latex = to_latex(Table("t", "T", columns, [Line(["r", *[Value(3.0, 0.25)] * 4])]), "s")
    assert r"\multicolumn{1}{c}{} & \multicolumn{4}{c}{a} & \multicolumn{4}{c}{b} \\" in latex
    assert r"\cmidrule(lr){2-5}\cmidrule(lr){6-9}" in latex
