"""LaTeX in papers: every table of several studies in a paper of two columns and in one of one, as its log tells."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from reports.commands import write_as_text
from reports.tables.latex.environments import Paper
from reports.tables.latex.text import write_character
from reports.tables.layout import Table
from tests.reports.papers import ACL, compile_paper, needs_latex
from tests.reports.tables.latex.paper_studies import (
    SHIPPED,
    make_comparison,
    make_shipped_study,
    make_side_by_side,
    make_wide_study,
)

ARTICLE = r"\documentclass{article}"
CHARACTERS = "".join(map(chr, [*range(0x20, 0x7F), *range(0xA0, 0x2800)]))
WORDS = "Some words of a paper that stand between its tables, as many as fill a few lines of it. " * 3


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Table]]:
    """The tables of studies and of a comparison, by the name that their labels have."""
    runs = tmp_path_factory.mktemp("runs")
    made = {name: make_shipped_study(runs / name, name) for name in SHIPPED}
    made |= {f"wide of {rows}": make_wide_study(runs / f"wide-{rows}", rows) for rows in (8, 15)}
    return made | {"A and B": make_comparison(runs / "compare"), "two": make_side_by_side(runs / "two")}


def write_paper(folder: Path, preamble: str, tables: dict[str, list[Table]], paper: Paper) -> str:
    """A paper of all tables and of their notes; its text."""
    lines = [preamble, r"\usepackage{booktabs}\begin{document}", *known_characters()]
    for number, (name, of_study) in enumerate(tables.items()):
        for file, text in write_as_text(of_study, name, paper).items():
            if file.endswith(".tex"):
                path = folder / f"{number}-{file}"
                path.write_text(text, encoding="utf-8")
                lines += [WORDS, rf"\input{{{path}}}", ""]
        lines.append(r"\clearpage")
    return "\n".join([*lines, r"\end{document}"])


def known_characters() -> Iterator[str]:
    """Every character that is not refused, as LaTeX."""
    for character in CHARACTERS:
        if (written := write_character(character)) is not None:
            yield f"{written}, "


@needs_latex
@pytest.mark.parametrize(("preamble", "paper"), [(ACL, "two-column"), (ARTICLE, "one-column")])
def test_every_table_fits_its_paper(
    tmp_path: Path, tables: dict[str, list[Table]], preamble: str, paper: Paper
) -> None:
    text = write_paper(tmp_path, preamble, tables, paper)
    log = compile_paper(tmp_path, text)
    wide = [float(points) for points in re.findall(r"Overfull \\hbox \(([\d.]+)pt", log)]
    assert [points for points in wide if points > 1] == []
    for trouble in ("multiply", "Missing character", "LaTeX Error", "too large"):
        assert trouble not in log
    written = "".join(path.read_text(encoding="utf-8") for path in tmp_path.glob("*-*.tex"))
    assert not re.search(r"resizebox|scalebox|hfuzz|\\tiny|sideways|\\fontsize", written)
    labels = re.findall(r"\\label\{(.*?)\}", written)
    assert len(set(labels)) == len(labels) == sum(map(len, tables.values()))
    assert {"tab:paper-results", "tab:ladder-differences", "tab:A-and-B-compare"} <= set(labels)
    assert (r"\begin{table*}" in written) == (paper == "two-column")
    assert r"\begin{table}" in (tmp_path / "0-table.tex").read_text(encoding="utf-8"), "the poster's table has a column"
