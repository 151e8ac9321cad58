"""The page as a reader uses it, in a real headless Chromium: by mouse, by keyboard, narrow, and large."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import engram
from tests.browser import OpenPage, launch, playwright
from tests.reports.annotated_records import make_annotated_study

KINDS = {"jerex-grc": 1, "memory-grc": 2, "jerex-mrc": 3, "memory-mrc": 0}


@pytest.fixture(scope="module")
def browser() -> Iterator["playwright.Browser"]:
    with launch() as launched:
        yield launched


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("runs")
    make_annotated_study(runs, KINDS)
    assert engram.main(["report", "made", "--runs", str(runs), "--out", str(runs / "out")]) == 0
    return runs / "out" / "index.html"


@pytest.fixture
def opened(browser: "playwright.Browser", made: Path) -> Iterator[OpenPage]:
    shown = OpenPage(browser, made)
    yield shown
    # Hostile text would have changed it.
    assert shown.page.title() == "made@paper"
    shown.close()


def errors_of(page: "playwright.Page", panel: int = 0) -> list[str]:
    """What the errors of a panel say."""
    return list(page.locator("#viewer-panels article").nth(panel).locator("button.error").all_inner_texts())


def at(page: "playwright.Page", place: str) -> None:
    """Wait until the viewer stands at a place among the documents that are chosen."""
    playwright.expect(page.locator("#viewer-place")).to_have_text(place)


def test_a_table_is_sorted_by_a_click_and_says_so(opened: OpenPage) -> None:
    page = opened.page
    head = page.locator("#table th").nth(2)
    column = page.locator("#table tbody tr td:nth-child(3)")
    head.locator("button.sort").click()
    assert head.get_attribute("aria-sort") == "descending"
    falling = column.all_inner_texts()
    head.locator("button.sort").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert column.all_inner_texts() == falling[::-1]
    assert falling[0].startswith("100.00")


def test_a_number_leads_to_its_runs(opened: OpenPage) -> None:
    page = opened.page
    runs = page.locator("#runs-memory-mrc")
    assert runs.get_attribute("open") is None
    page.locator("#table td.number a[href='#runs-memory-mrc']").first.click()
    playwright.expect(runs).to_have_attribute("open", "")
    assert runs.locator("tbody tr").count() == 2
    assert "000000000003-s1" in runs.inner_text()
    assert runs.locator("tbody a").first.get_attribute("href") == "https://wandb.ai/we/engram/runs/000000000003-s0"
    assert "JEREX + memory (MRC)" in opened.focused()


def test_documents_are_chosen_and_filtered_by_error(opened: OpenPage) -> None:
    page = opened.page
    page.locator("#documents").scroll_into_view_if_needed()
    page.wait_for_selector("#viewer-panels article")
    assert page.locator("#viewer-place").inner_text() == "1 of 6"
    # Hostile text is text.
    assert "</script><img" in page.locator("#viewer-panels .text").inner_text()
    # JEREX (GRC) misses the place in documents 1, 2, 4 and 5.
    page.select_option("#viewer-kind", "mention-missed")
    playwright.expect(page.locator("#viewer-kind option:checked")).to_have_text("missed mention (4)")
    at(page, "1 of 4")
    assert page.locator("#viewer-panels h3").inner_text() == "Document 1 & <i>1</i>"
    assert errors_of(page) == ["“Oslo”", "“Acme” → P159 → “Oslo”"]
    page.get_by_role("button", name="Oslo").first.click()
    assert page.locator("mark.lit").inner_text().startswith("Oslo")
    assert page.locator("#viewer-panels mark.missed").count() == 1
    page.fill("#viewer-search", "document 4")
    at(page, "1 of 1")
    assert page.locator("#viewer-panels h3").inner_text() == "Document 4 & <i>4</i>"


def test_two_systems_side_by_side(opened: OpenPage) -> None:
    page = opened.page
    page.locator("#documents").scroll_into_view_if_needed()
    page.select_option("#viewer-b", label="JEREX + memory (GRC), seed 0")
    page.wait_for_selector("#viewer-panels article >> nth=1")
    page.locator("#viewer-next").click()
    at(page, "2 of 6")
    assert errors_of(page, 0) == ["“Oslo”", "“Acme” → P159 → “Oslo”"]
    assert errors_of(page, 1) == ["“Ada Byron” “She”", "“Ada Byron” → P108 → “Acme”", "“Ada Byron” → P108 → “Acme”"]
    boxes = [page.locator("#viewer-panels article").nth(place).bounding_box() for place in (0, 1)]
    assert boxes[0] is not None
    assert boxes[1] is not None
    assert boxes[0]["y"] == boxes[1]["y"]
    # An error of the second system counts in the filter, too.
    page.select_option("#viewer-kind", "cluster-split")
    at(page, "1 of 4")


def test_everything_works_by_keyboard_alone(opened: OpenPage) -> None:
    page = opened.page
    page.keyboard.press("Tab")
    assert opened.focused() == "Skip to the content"
    page.locator("#table th button.sort").nth(2).focus()
    page.keyboard.press("Enter")
    assert page.locator("#table th").nth(2).get_attribute("aria-sort") == "descending"
    page.locator("#table tbody td.number a").first.focus()
    page.keyboard.press("Enter")
    playwright.expect(page.locator("details[open] summary:focus")).to_contain_text("2 runs")
    page.locator("#viewer-a").focus()
    page.wait_for_selector("#viewer-panels article")
    page.keyboard.press("ArrowDown")
    playwright.expect(page.locator("#viewer-panels .soft").first).to_contain_text("JEREX + memory (GRC)")
    page.locator("#viewer-next").focus()
    for key, place in (("j", "2 of 6"), ("j", "3 of 6"), ("k", "2 of 6"), ("Enter", "3 of 6")):
        page.keyboard.press(key)
        at(page, place)
    page.locator("#viewer-panels button.error").first.focus()
    page.keyboard.press("Space")
    assert page.locator("mark.lit").count() > 0


def test_a_word_is_explained_by_keyboard(opened: OpenPage) -> None:
    page = opened.page
    explanation = page.locator(".explanation", has_text="to flip the signs of the seeds")
    assert not explanation.is_visible()
    page.get_by_role("button", name="What is “Sign-flip”?").first.focus()
    page.keyboard.press("Enter")
    playwright.expect(explanation).to_be_visible()
    page.keyboard.press("Escape")
    playwright.expect(explanation).to_be_hidden()


def test_on_a_phone_the_first_column_stays(browser: "playwright.Browser", made: Path) -> None:
    shown = OpenPage(browser, made, width=390)
    frame = shown.page.locator("#comparisons .scroll")
    frame.evaluate("frame => frame.scrollLeft = 300")
    first, second = (frame.locator("tbody tr").first.locator("td").nth(place).bounding_box() for place in (0, 1))
    assert first is not None
    assert second is not None
    assert 0 <= first["x"] < 30
    assert first["width"] < 200
    assert second["x"] < 0
    shown.close()


def test_on_a_desk_no_table_is_scrolled_sideways(opened: OpenPage) -> None:
    opened.page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    wide = "frames => frames.filter(frame => frame.scrollWidth > frame.clientWidth).map(frame => frame.ariaLabel)"
    assert opened.page.locator(".scroll:has(.sortable), #runs .scroll").evaluate_all(wide) == []


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_wider_than_the_window(browser: "playwright.Browser", made: Path, width: int) -> None:
    shown = OpenPage(browser, made, width=width)
    shown.page.locator("#documents").scroll_into_view_if_needed()
    shown.page.select_option("#viewer-b", "1")
    shown.page.wait_for_selector("#viewer-panels article >> nth=1")
    assert shown.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    shown.close()


def test_a_large_study_opens_at_once(browser: "playwright.Browser", tmp_path: Path) -> None:
    make_annotated_study(tmp_path, KINDS, seeds=5, documents=300)
    assert engram.main(["report", "made", "--runs", str(tmp_path), "--out", str(tmp_path / "out")]) == 0
    shown = OpenPage(browser, tmp_path / "out" / "index.html")
    timing = "performance.getEntriesByType('navigation')[0].loadEventEnd"
    assert shown.page.evaluate(timing) < 6_000, "2 s are promised; a loaded machine may take three times as long"
    shown.page.locator("#documents").scroll_into_view_if_needed()
    shown.page.wait_for_selector("#viewer-panels article", timeout=6_000)
    assert shown.page.locator("#viewer-a option").count() == 20
    assert shown.page.locator("#viewer-place").inner_text() == "1 of 300"
    shown.close()


def test_two_sides_are_read_side_by_side(browser: "playwright.Browser", made: Path) -> None:
    runs, out = made.parent.parent, made.parent.parent / "compared"
    arguments = ["compare", "made:jerex-grc", "made:memory-mrc", "--runs", str(runs), "--out", str(out)]
    assert engram.main(arguments) == 0
    shown = OpenPage(browser, out / "index.html")
    shown.page.get_by_role("link", name="Document 4").click()
    shown.page.wait_for_selector("#viewer-panels article >> nth=1")
    assert shown.page.locator("#viewer-panels h3").all_inner_texts() == ["Document 4 & <i>4</i>"] * 2
    assert errors_of(shown.page, 0) == ["“Oslo”", "“Acme” → P159 → “Oslo”"]
    assert errors_of(shown.page, 1) == []
    menu = shown.page.locator("nav a").all_inner_texts()
    assert len(menu) == len(set(menu))
    answer = shown.page.locator("#answer").inner_text()
    assert answer.startswith("made@paper:memory-mrc raises strict relation F1 by ")
    shown.close()
