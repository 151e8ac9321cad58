"""Reports of names, titles, tokens and types that are HTML, TeX or JavaScript: they run nothing, and compile."""

import json
from pathlib import Path

import msgspec
import pytest

import engram
from studies.record import write_study_record
from tests.browser import OpenPage, launch, playwright
from tests.reports.annotated_records import make_annotated_study
from tests.reports.papers import compile_paper, needs_latex

RUNS = "document.title='hit'"
ROWS = (f"<img src=x onerror={RUNS}>", "'\"><script>document.title='hit'</script>")
TITLES = (f"<svg/onload={RUNS}> {{{{ 7*7 }}}}", r"\input{/etc/hostname} \end{document} $x^{ %50")
GROUP = r"\write18{id} ]]>--></style><!-- &amp;"
TYPE = f"</script><script>{RUNS}</script> \\csname x"
TOKEN = f"</textarea><iframe src=javascript:{RUNS}> \\def\\par{{}} #1 ~^"
PAPER = r"""\documentclass{article}\usepackage[T1]{fontenc}\usepackage{graphicx,booktabs,multirow,longtable}
\begin{document}
%s
THE END
\end{document}
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a report in which everything that a user names is hostile."""
    runs = tmp_path_factory.mktemp("runs")
    record = make_annotated_study(runs, {"jerex-grc": 1, "memory-grc": 3})
    for path in runs.rglob("*.json*"):
        text = path.read_text().replace('"P108"', json.dumps(TYPE)).replace('"Acme"', json.dumps(TOKEN))
        path.write_text(text)
    names = dict(zip(record.study.rows, ROWS, strict=True))
    rows = {
        name: msgspec.structs.replace(record.study.rows[old], title=title, group=GROUP)
        for (old, name), title in zip(names.items(), TITLES, strict=True)
    }
    study = msgspec.structs.replace(record.study, rows=rows, baseline=ROWS[0], question=f"{TITLES[0]} {TITLES[1]}?")
    cells = [msgspec.structs.replace(row, row=names[row.row]) for row in record.row_runs]
    write_study_record(runs, msgspec.structs.replace(record, study=study, row_runs=cells))
    out = runs / "out"
    assert engram.main(["report", "made", "--runs", str(runs), "--out", str(out)]) == 0
    compared = ["compare", *(f"made:{row}" for row in ROWS), "--runs", str(runs), "--out", str(runs / "compared")]
    assert engram.main(compared) == 0
    return out


@pytest.mark.parametrize("page", ["out/index.html", "compared/index.html"])
def test_a_page_of_hostile_text_runs_nothing(report: Path, page: str) -> None:
    with launch() as browser:
        opened = OpenPage(browser, report.parent / page)
        title = opened.page.title()
        assert title != "hit"
        for _ in range(3):
            opened.page.keyboard.press("ArrowRight")
        for details in opened.page.locator("details").all():
            details.evaluate("one => { one.open = true }")
        assert opened.page.locator("iframe, svg[onload], img[onerror], article script").count() == 0
        playwright.expect(opened.page).to_have_title(title)
        opened.close()


@needs_latex
def test_hostile_text_compiles_and_reads_no_file(report: Path, tmp_path: Path) -> None:
    for path in (*report.glob("*.tex"), *report.glob("*.pdf")):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    inputs = "\n".join(rf"\input{{{path.name}}}\clearpage" for path in sorted(report.glob("*.tex")))
    log = compile_paper(tmp_path, PAPER % inputs)
    assert "/etc/hostname" not in log
    assert "runsystem" not in log
    assert (tmp_path / "paper.pdf").stat().st_size > 0
