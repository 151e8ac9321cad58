"""The page as text: self-contained, escaped, honest; how it behaves is `test_page_in_browser`'s part."""

import re
from datetime import date
from pathlib import Path

import pytest

import engram
from studies.rows import Row
from tests.reports.memory_use_records import store_memory_use
from tests.reports.records import PAPER, make_study

SEEDS = {"jerex-grc": {0: 38.0, 1: 39.0}, "memory-grc": {0: 40.0, 1: 42.0}, "odd": {0: 37.0, 1: None}}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tmp_path = tmp_path_factory.mktemp("page")
    make_study(tmp_path, SEEDS, rows={**PAPER, "odd": Row("jerex-grc", title="<b>&odd", group="GRC")}, profile="quick")
    store_memory_use(tmp_path, 1, {"reading-off": [-3.0, -3.2], "mean-read": [-0.1, 0.1]})
    assert engram.main(["report", "made", "--runs", str(tmp_path), "--out", str(tmp_path / "out")]) == 0
    return tmp_path / "out" / "index.html"


def test_the_page_holds_everything_and_loads_nothing(made: Path) -> None:
    text = made.read_text(encoding="utf-8")
    addresses = re.findall(r'(?:src|href)="([^"]{0,40})', text)
    assert addresses
    links = {address for address in addresses if not address.startswith(("data:image/svg+xml;base64,", "#"))}
    assert {"table.csv", "table.tex", "forest.pdf", "figure-forest.tex", "runs.csv"} <= links
    assert all((made.parent / link).is_file() for link in links)
    assert "@import" not in text
    assert "no number here stands for a result on real text" in text.split("<main")[0]
    assert "Does it help?" in text


def test_the_answer_and_its_rule_stand_before_everything_else(made: Path) -> None:
    text = made.read_text(encoding="utf-8")
    answer = text.partition('<section id="answer"')[2].partition("</section>")[0]
    # Differences 2 and 3: 2.5 ± 12.706 · .7071 / sqrt(2).
    assert "Not shown: JEREX + memory (GRC) is 2.5 points above JEREX in strict relation F1" in answer
    assert "(95 % interval over seeds −3.9 to 8.9, higher in 2 of 2 seeds)" in answer
    assert "it holds 0: either sign is possible" in answer
    assert "significant" not in text
    assert text.index('id="answer"') < text.index("<nav") < text.index('<section id="table"')


def test_the_page_is_in_the_order_of_a_reader(made: Path) -> None:
    text = made.read_text(encoding="utf-8")
    order = re.findall(r'<(section|details) id="([^"]+)"', text)
    shown = [name for kind, name in order if kind == "section"]
    assert shown == ["answer", "table", "figures", "comparisons", "memory-use", "distances", "types"]
    assert [name for kind, name in order if kind == "details"][:3] == ["cost", "settings", "runs"]
    head = text.partition("</header>")[0]
    assert f"{date.today():%d %B %Y}, Engram" in head
    menu = re.findall(r'<li><a href="#[^"]+">([^<]+)', text)
    assert len(menu) == len(set(menu))


def test_every_question_mark_names_an_explanation(made: Path) -> None:
    text = made.read_text(encoding="utf-8")
    targets = set(re.findall(r'popovertarget="([^"]+)"', text))
    assert targets <= set(re.findall(r'<div popover id="([^"]+)"', text))
    for word in ("Sign-flip", "Pr. higher", "ddof 1", "judged by its own mentions"):
        assert f'aria-label="What is “{word}”?"' in text


def test_every_run_is_listed_and_titles_are_escaped(made: Path) -> None:
    text = made.read_text(encoding="utf-8")
    for run in ("000000000000-s0", "000000000001-s1", "000000000002-s1"):
        assert f"<code>{run}</code>" in text
    assert "&lt;b&gt;&amp;odd" in text
    assert "<b>&odd" not in text
    assert "000000000002-s1 was not started" in text


def test_whether_memory_is_used_is_said_before_its_table(made: Path) -> None:
    section = made.read_text(encoding="utf-8").partition('<section id="memory-use">')[2].partition("</section>")[0]
    assert section.lstrip().startswith("<h2>Does it use its memory?</h2>")
    sentences, _, table = section.partition("<table")
    assert "JEREX + memory (GRC) uses only the scale: with reading off it loses 3.10 points" in sentences
    assert "(ratio .70)" in sentences
    assert "uses only the scale" in table
    assert "data:image" in made.read_text(encoding="utf-8").partition('aria-label="memory-use"')[2][:200]
