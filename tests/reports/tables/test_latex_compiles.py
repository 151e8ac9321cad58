"""Every table compiles unchanged in a plain article with booktabs and siunitx, and no table is wider than the page."""

import shutil
import subprocess
from pathlib import Path

import pytest

import engram
from studies.study import Row
from tests.reports.records import PAPER, make_study

TEX = shutil.which("pdflatex")
ODD = Row("jerex-grc", title=r"5% a_b & {c}#$~^\<", group="GRC")
SEEDS = {
    "jerex-grc": {0: 38.0, 1: 39.0, 2: 40.0},
    "memory-grc": {0: 38.5, 1: None, 2: 50.5},
    "odd": {0: 38.0, 1: 39.0, 2: 40.5},
    "memory-mrc": {0: None, 1: None, 2: None},
}


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
