"""The table of a study: hand-computed means, honest gaps, and the same numbers in Markdown, LaTeX and CSV."""

import io
import math
from pathlib import Path

import pandas as pd
import pytest

from reports.frame import load_frame
from reports.tables.latex import escape, to_latex
from reports.tables.layout import Column, Line, Table, Value
from reports.tables.markdown import to_markdown
from reports.tables.results import main_table
from studies.study import Row
from tests.reports.records import make_study

SEEDS = {
    "jerex-grc": {0: 38.0, 1: 39.0, 2: 40.0},
    "memory-grc": {0: 38.5, 1: None, 2: 40.5},
    "jerex-mrc": {0: 41.0, 1: None, 2: None},
    "memory-mrc": {0: None, 1: None, 2: None},
}


@pytest.fixture
def table(tmp_path: Path) -> Table:
    study = make_study(tmp_path, SEEDS, profile="minilm")
    return main_table(study, load_frame(study, tmp_path))


def rows_of(markdown: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in markdown.splitlines() if line[:1] == "|"]


def test_markdown_shows_mean_and_sample_std_by_hand(table: Table) -> None:
    rows = rows_of(to_markdown(table))
    assert rows[0] == ["Group", "System", "Rel.", "Ent.", "Coref.", "Men.", "n"]
    # 38, 39, 40: sample std 1 (population .816); 38.5 and 40.5: mean 39.5, std sqrt(2).
    assert rows[2] == ["GRC", "JEREX", "39.00 ± 1.00", "69.00 ± 1.00", "74.00 ± 1.00", "89.00 ± 1.00", "3"]
    assert rows[3][1:4] == ["JEREX + memory", "**39.50** ± 1.41", "**69.50** ± 1.41"]
    assert rows[3][-1] == "2/3"


def test_one_seed_has_no_std_and_no_seed_no_number(table: Table) -> None:
    rows = rows_of(to_markdown(table))
    assert rows[4] == ["MRC", "JEREX", "41.00 ± –", "71.00 ± –", "76.00 ± –", "91.00 ± –", "1/3"]
    assert rows[5] == ["", "JEREX + memory", "–", "–", "–", "–", "0/3"]
    assert "nan" not in to_markdown(table) + to_latex(table)


def test_the_only_scored_row_of_a_group_is_not_its_best_and_equal_prints_are_both(tmp_path: Path) -> None:
    study = make_study(
        tmp_path, {"jerex-grc": {0: 38.001}, "memory-grc": {0: 38.004}, "jerex-mrc": {0: 38.2}}, profile="minilm"
    )
    rows = rows_of(to_markdown(main_table(study, load_frame(study, tmp_path))))
    assert [row[2] for row in rows[2:]] == ["**38.00** ± –", "**38.00** ± –", "38.20 ± –"]


def test_the_caption_says_metric_data_seeds_and_what_the_sign_means(table: Table) -> None:
    said = " ".join(table.caption)
    for part in ("F1 in percent", "profile minilm, test split, 40 documents", "Seeds 0–2", "ddof 1", "strict"):
        assert part in said
    assert "JEREX + memory (MRC): without a score: seeds 0–2 missing." in table.notes


def test_the_csv_holds_the_unrounded_numbers_their_seeds_and_runs(table: Table) -> None:
    frame = pd.read_csv(io.StringIO(table.data.to_csv(index=False)), dtype={"seeds": str}).set_index(["row", "task"])
    line = frame.loc[("memory-grc", "relation_strict")]
    assert line["mean"] == 39.5
    assert line["std"] == pytest.approx(math.sqrt(2), abs=1e-12)
    assert (line["n"], line["seeds"], line["runs"]) == (2, "0 2", "000000000001-s0 000000000001-s2")
    assert math.isnan(frame.loc[("jerex-mrc", "coref"), "std"])
    assert math.isnan(frame.loc[("memory-mrc", "coref"), "mean"])


def test_latex_aligns_numbers_in_s_columns_and_parts_groups_by_a_rule(table: Table) -> None:
    lines = to_latex(table).splitlines()
    assert r"GRC & JEREX & 39.00 & 1.00 & 69.00 & 1.00 & 74.00 & 1.00 & 89.00 & 1.00 & 3 \\" in lines
    best = next(line for line in lines if "39.50" in line)
    assert best.startswith(r" & JEREX + memory & \bfseries 39.50 & 1.41 &")
    assert lines[lines.index(best) + 1] == r"\midrule"
    assert sum(line == r"\midrule" for line in lines) == 2
    missing = r"\multicolumn{2}{c}{--}"
    assert any(f" & JEREX + memory & {missing} & {missing}" in line for line in lines)
    assert any("& 41.00 & {--} &" in line for line in lines)
    assert "S[table-format=2.2]@{${}\\pm{}$}S[table-format=1.2]" in to_latex(table)


def test_titles_with_characters_of_latex_and_markdown_are_escaped(tmp_path: Path) -> None:
    rows = {"jerex-grc": Row("jerex-grc", title=r"a_b 50% & {c} #1 $x$ ~^\ | *d*")}
    study = make_study(tmp_path, {"jerex-grc": {0: 38.0}}, rows=rows)
    table = main_table(study, load_frame(study, tmp_path))
    assert rows_of(to_markdown(table).replace("\\|", "PIPE"))[2][0] == r"a\_b 50% & {c} #1 $x$ ~^\\ PIPE \*d\*"
    escaped = r"a\_b 50\% \& \{c\} \#1 \$x\$ \textasciitilde{}\textasciicircum{}\textbackslash{} | *d*"
    assert f"{escaped} & 38.00 & {{--}} &" in to_latex(table)


def test_every_special_character_is_escaped_once() -> None:
    assert escape("a\\b{c}") == r"a\textbackslash{}b\{c\}"
    assert escape("38 ± 1, Δ 0–4") == r"38 $\pm$ 1, $\Delta$ 0--4"


def test_signed_numbers_intervals_and_thousands() -> None:
    signed = Column("d", "Δ", "number", signed=True)
    assert [signed.write(Value(number)) for number in (0.256, -0.256, -0.001)] == ["+0.26", "-0.26", "0.00"]
    interval = Column("i", "95 %", "interval", signed=True)
    assert interval.write(Value(1.0, low=-0.5, high=2.5)) == "[-0.50, +2.50]"
    assert interval.write(Value(1.0)) == "–"
    p = Column("p", "p", "p", decimals=3)
    assert [p.write(Value(number)) for number in (0.0004, 0.001, 0.0625, math.nan)] == ["<0.001", "0.001", "0.062", "–"]
    assert "{$<0.001$}" in to_latex(Table("t", "T", [p], [Line([Value(0.0004)]), Line([Value(0.5)])]))
    assert Column("p", "Parameters", "number", decimals=0).write(Value(1_234_567)) == "1 234 567"


def test_the_width_of_an_s_column_follows_its_numbers() -> None:
    columns = [
        Column("a", "A", "mean"),
        Column("b", "B", "number", decimals=0),
        Column("c", "C", "number", signed=True),
    ]
    lines = [
        Line([Value(9.996, 10.5), Value(1234567.0), Value(-0.5)]),
        Line([Value(), Value(), Value()]),
    ]
    latex = to_latex(Table("t", "T", columns, lines))
    assert r"S[table-format=2.2]@{${}\pm{}$}S[table-format=2.2]S[table-format=7.0]S[table-format=+1.2]" in latex
    assert r"10.00 & 10.50 & 1234567 & -0.50 \\" in latex
    assert r"\multicolumn{2}{c}{--} & {--} & {--} \\" in latex


def test_a_wide_table_is_set_smaller_and_then_on_its_side() -> None:
    def form(columns: int) -> str:
        made = [Column(str(number), "Heading", "mean") for number in range(columns)]
        return to_latex(Table("t", "T", made, [Line([Value(38.12, 0.25)] * columns)]))

    assert r"\footnotesize" in form(6).split(r"\setlength")[0]
    assert r"\begin{table}" in form(8)
    assert r"\scriptsize" in form(8).split(r"\setlength")[0]
    assert r"\begin{sidewaystable}" in form(11)
    assert "rotating" in form(11).splitlines()[0]


def test_a_long_table_goes_on_under_its_number() -> None:
    lines = [Line([f"row {number}", Value(float(number))], f"group {number // 10}") for number in range(100)]
    latex = to_latex(
        Table("t", "T", [Column("a", "A"), Column("b", "B", "number")], lines, ["A caption."], ["A note."])
    )
    parts = latex.split(r"\begin{table}")[1:]
    assert len(parts) == 3
    assert [part.count(r"\label{tab:t}") for part in parts] == [1, 0, 0]
    assert [part.count(r"\addtocounter{table}{-1}") for part in parts] == [0, 1, 1]
    assert [latex.count(part) for part in ("A caption.", "A note.", "(Continued.)")] == [1, 1, 2]
    # Every line once, and parts begin with a group.
    assert [latex.count(f"row {number} &") for number in range(100)] == [1] * 100
    assert "group 4 & row 40" in parts[1]


def test_a_huge_table_is_cut_for_print_and_whole_in_its_data() -> None:
    lines = [Line([str(number)]) for number in range(10)]
    table = Table("t", "T", [Column("a", "A")], lines, (), (), pd.DataFrame({"a": range(10)}))
    short = table.shortened(4)
    assert [line.cells for line in short.lines] == [["0"], ["1"], ["2"], ["3"]]
    assert short.notes == ["The first 4 of 10 lines; every number stands in t.csv."]
    assert len(short.data) == 10
    assert table.shortened(10) is table


def test_a_difference_stands_with_its_interval() -> None:
    column = Column("d", "Δ", "difference", signed=True)
    value = Value(0.26, low=-0.05, high=0.47)
    assert column.write(value) == "+0.26 [-0.05, +0.47]"
    assert [column.write(Value()), column.write(Value(0.26))] == ["–", "+0.26 –"]
    assert r"+0.26 & $[-0.05, +0.47]$ \\" in to_latex(Table("t", "T", [column], [Line([value])]))
