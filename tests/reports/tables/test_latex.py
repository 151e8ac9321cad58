"""LaTeX of tables: S columns, sizes, long tables, escapes; and that every table of a report compiles and fits."""

import shutil
import subprocess
from pathlib import Path

import pytest

import engram
from reports.tables.latex import escape, to_latex
from reports.tables.layout import Column, Line, Table, Value
from studies.rows import Row
from tests.reports.records import PAPER, make_study

TEX = shutil.which("pdflatex")
ODD = Row("jerex-grc", title=r"5% a_b & {c}#$~^\<", group="GRC")
SEEDS = {
    "jerex-grc": {0: 38.0, 1: 39.0, 2: 40.0},
    "memory-grc": {0: 38.5, 1: None, 2: 50.5},
    "odd": {0: 38.0, 1: 39.0, 2: 40.5},
    "memory-mrc": {0: None, 1: None, 2: None},
}


def test_every_special_character_is_escaped_once() -> None:
    assert escape("a\\b{c}") == r"a\textbackslash{}b\{c\}"
    assert escape("38 ± 1, Δ 0–4") == r"38 $\pm$ 1, $\Delta$ 0--4"


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


def test_a_long_table_continues_under_its_number() -> None:
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


@pytest.mark.skipif(TEX is None, reason="no pdflatex: apt-get install texlive-latex-recommended texlive-science")
def test_the_tables_of_a_report_compile(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert TEX is not None
    rows = {**PAPER, "odd": ODD, "memory-mrc": Row("memory-mrc", title="memory", group="MRC")}
    make_study(tmp_path, SEEDS, rows=rows)
    assert engram.main(["report", "made", "--runs", str(tmp_path), "--out", str(tmp_path / "out")]) == 0
    tables = sorted((tmp_path / "out").glob("*.tex"))
    assert {path.stem for path in tables} >= {
        "table",
        "ablation",
        "comparisons",
        "cost",
        "distances",
        "published",
        "settings",
        "types",
    }
    inputs = "\n".join(rf"\input{{{path}}}" for path in tables)
    packages = r"\usepackage[margin=25mm]{geometry}\usepackage{booktabs}\usepackage{siunitx}\usepackage{rotating}"
    (tmp_path / "paper.tex").write_text(
        rf"\documentclass{{article}}{packages}\begin{{document}}{inputs}\end{{document}}", encoding="utf-8"
    )
    command = [TEX, "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, errors="replace")
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull \\hbox" not in done.stdout
    assert "Missing character" not in (tmp_path / "paper.log").read_text(errors="replace")
