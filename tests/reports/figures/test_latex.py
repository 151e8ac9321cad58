"""LaTeX of figures: a paper that inputs them compiles, in columns as wide as the figures and in narrower ones."""

import re
from pathlib import Path

import pytest

from reports.figures.style import FigureFormat, house_style, page_width, save_figure
from reports.sections import make_figures
from studies.rows import Row
from tests.reports.figures.test_forest import LONG
from tests.reports.papers import compile_paper, needs_latex
from tests.reports.records import make_study, read_data

PAPER = r"""\documentclass[twocolumn]{article}
\usepackage[a4paper,textwidth=%spt,columnsep=17pt]{geometry}
\usepackage{graphicx}\graphicspath{{report/}}
\begin{document}
%s
\end{document}
"""


@needs_latex
@pytest.mark.parametrize("text_width", ["455.24", "400"])
def test_figures_fit_the_columns_of_a_paper(tmp_path: Path, text_width: str, figure_format: FigureFormat) -> None:
    rows = {f"row{n}": Row("memory-grc", title=f"& row {n} of 100 % {LONG}") for n in range(10)}
    study = make_study(tmp_path, {row: {0: 38.0 + n, 1: 38.5 + n} for n, row in enumerate(rows)}, rows=rows)
    (tmp_path / "report").mkdir()
    with house_style(FigureFormat(figure_format.font)):
        figures = make_figures(read_data(study, tmp_path))
        for figure in figures:
            save_figure(figure, tmp_path / "report", "made")
        assert page_width() * 72.27 <= 455.24
    names = [f"figure-{figure.name}" for figure in figures]
    inputs = "\n".join(rf"Some words \input{{report/{name}.tex}}" for name in names)
    log = compile_paper(tmp_path, PAPER % (text_width, inputs))
    assert "Overfull" not in log
    assert "multiply" not in log
    written = {name: (tmp_path / "report" / f"{name}.tex").read_text() for name in names}
    assert r"\begin{figure*}" in written["figure-forest-tasks"], "ten rows of four tasks need both columns"
    assert r"\begin{figure}" in written["figure-forest"]
    for name, text in written.items():
        caption = re.findall(r"\\caption\{(.*)\}", text)[0]
        assert caption.count(". ") == 0, f"one sentence: {caption}"
        assert rf"\label{{fig:made-{name.removeprefix('figure-')}}}" in text
