"""The page of predictions: what it packs, and how a reader uses it in a real browser."""

import gzip
import json
import re
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from core.data.documents import Annotation, Document, Entity, LabelSet, Relation
from core.prediction.html import render_predictions, spaced_tokens
from tests.browser import OpenPage, launch, playwright


def document(words: str, **changes: object) -> Document:
    tokens = tuple(words.split(" "))
    made: dict[str, object] = {"id": "d", "tokens": tokens, "sentences": ((0, len(tokens)),), "title": "A title"}
    return Document(**(made | changes))  # type: ignore[arg-type]


LABELS = LabelSet(("PER", "LOC"), ("P19",), ("person", "place"), ("place of birth",))
BORN = document("Ann Lee was born in Bonn , and Ann left .")
PREDICTED = Annotation.from_entities(
    [Entity(((5, 6),), "LOC"), Entity(((0, 2), (8, 9)), "PER"), Entity(((9, 10),), "LOC")],
    [Relation(1, 0, "P19", 0.9173)],
)


def packed(html: str, name: str) -> Any:
    """What a page holds for its script."""
    script = re.search(rf'<script type="application/(json|gzip)" id="viewer-{name}">(.*?)</script>', html)
    assert script is not None
    kind, text = script.groups()
    return json.loads(text if kind == "json" else gzip.decompress(b64decode(text)))


def test_a_page_packs_text_clusters_and_relations_in_reading_order() -> None:
    html = render_predictions([(BORN, PREDICTED)], LABELS)
    assert packed(html, "documents") == [
        {"title": "A title", "tokens": "Ann| Lee| was| born| in| Bonn|,| and| Ann| left|.".split("|"), "gold": None}
    ]
    mentions = [[0, 2], [5, 6], [8, 9], [9, 10]]
    entities = [[[[0, 2], [8, 9]], "PER", None], [[[5, 6]], "LOC", None], [[[9, 10]], "LOC", None]]
    assert packed(html, "system-0") == [
        {"predicted": [mentions, entities, [[0, 1, "P19", 0.917]], []], "errors": [], "right": []}
    ]
    data = packed(html, "data")
    assert data["names"] == {"PER": "person", "LOC": "place", "P19": "place of birth"}
    # The place of a type among them is its colour: as the label set has them, not as a document does.
    assert data["types"] == ["PER", "LOC"]
    assert html == render_predictions([(BORN, PREDICTED)], LABELS)


@pytest.mark.parametrize("place", ["tokens", "title", "entity type", "relation type", "relation name"])
def test_nothing_from_a_document_becomes_markup(place: str) -> None:
    evil = "</script><script>alert(1)</script>\"'><img/src=x>"
    source = document(
        f"{evil} Lee" if place == "tokens" else "Ann Lee", title=evil if place == "title" else "t", id=evil
    )
    entities = [Entity(((0, 1),), evil if place == "entity type" else "PER"), Entity(((1, 2),), "LOC")]
    predicted = Annotation.from_entities(entities, [Relation(0, 1, evil if place == "relation type" else "P19")])
    labels = LabelSet(("PER", "LOC"), ("P19",), (), (evil,)) if place == "relation name" else None
    plain = render_predictions([(BORN, PREDICTED)], LABELS)
    html = render_predictions([(source, predicted)], labels)
    assert "<img" not in html
    assert html.count("<script") == plain.count("<script") == html.count("</script")


def test_the_page_links_to_nothing() -> None:
    html = render_predictions([(BORN, PREDICTED)] * 2, LABELS).replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?:|//[a-z]|@import|url\((?!#)|<link|<img|src=", html)
    assert "No documents" in render_predictions([])


def test_text_is_written_as_one_writes() -> None:
    tokens = document("He said “ no ” ( twice ) , Ann 's son .")
    assert "".join(spaced_tokens(tokens)) == "He said “no” (twice), Ann's son."
    source = document("a b c", text="a  b\nc", offsets=((0, 1), (3, 4), (5, 6)))
    assert "".join(spaced_tokens(source)) == "a  b\nc"


@pytest.fixture(scope="module")
def browser() -> Iterator["playwright.Browser"]:
    with launch() as launched:
        yield launched


def show(browser: "playwright.Browser", folder: Path, *pairs: tuple[Document, Annotation]) -> OpenPage:
    path = folder / "page.html"
    path.write_text(render_predictions(pairs, LABELS), encoding="utf-8")
    shown = OpenPage(browser, path)
    shown.page.wait_for_selector("#viewer-panels article")
    return shown


def test_a_reader_sees_mentions_clusters_and_relations(browser: "playwright.Browser", tmp_path: Path) -> None:
    shown = show(browser, tmp_path, (BORN, PREDICTED))
    page = shown.page
    assert page.locator(".text").inner_text() == "Ann Lee1 was born in Bonn2, and Ann1 left3."
    # A type has one colour everywhere.
    for style, types in (("--c: var(--t0)", ".text mark >> nth=0"), ("--c: var(--t1)", ".text mark >> nth=1")):
        assert page.locator(types).get_attribute("style") == style
    assert page.locator(".types").inner_text().split("\n") == ["place (LOC) 2", "person (PER) 1"]
    assert page.locator(".clusters li").first.inner_text().split("\n") == ["1", "Ann Lee · Ann", "person (PER)"]
    (row,) = page.locator("tbody tr").all_inner_texts()
    assert row.split("\t") == ["1 Ann Lee", "place of birth (P19)", "2 Bonn", "0.917"]
    # Related clusters alone are in the graph.
    assert page.locator(".node").count() == 2
    assert page.locator(".arc").count() == 1
    assert not page.locator(".controls").is_visible()
    shown.close()


def test_pointing_at_a_mention_or_a_type_says_how_sure_it_is(browser: "playwright.Browser", tmp_path: Path) -> None:
    # In the order of the annotation, which is not that of the text.
    scored = msgspec.structs.replace(
        PREDICTED,
        mentions=PREDICTED.mentions[::-1],
        mention_scores=(0.1, None, 0.3, 0.4),
        entity_scores=(0.5, 0.6, 0.7),
    )
    shown = show(browser, tmp_path, (BORN, scored))
    titles = [mark.get_attribute("title") for mark in shown.page.locator(".text mark").all()]
    assert titles == [
        "predicted, mention score 0.300, type person 0.600",
        "predicted, mention score 0.400, type place 0.500",
        "predicted, type person 0.600",
        "predicted, mention score 0.100, type place 0.700",
    ]
    types = [item.get_attribute("title") for item in shown.page.locator(".clusters li .soft").all()]
    assert types == ["score of the type 0.600", "score of the type 0.500", "score of the type 0.700"]
    shown.close()
    shown = show(browser, tmp_path, (BORN, PREDICTED))
    assert shown.page.locator(".text mark").first.get_attribute("title") == "predicted"
    shown.close()


def test_pointing_at_one_thing_shows_what_belongs_to_it(browser: "playwright.Browser", tmp_path: Path) -> None:
    shown = show(browser, tmp_path, (BORN, PREDICTED))
    page = shown.page
    page.locator(".text mark").nth(1).hover()
    assert page.locator("mark.on, li.on, tr.on, .node.on, .arc.on").count() == 5
    assert page.locator(".arc text").text_content() == "place of birth"
    assert page.locator(".arc text").is_visible()
    page.locator("h1").hover()
    assert page.locator(".on").count() == 0
    page.locator("tbody tr").focus()
    page.keyboard.press("Enter")
    page.locator("h1").hover()
    assert page.locator("mark.on").all_inner_texts() == ["Ann Lee1", "Bonn2", "Ann1"]
    page.keyboard.press("Escape")
    assert page.locator(".on").count() == 0
    shown.close()


def test_documents_are_chosen_by_list_key_title_and_address(browser: "playwright.Browser", tmp_path: Path) -> None:
    pairs = [(document("Ann left", id=f"d{number}", title=f"Title {number}"), Annotation()) for number in range(3)]
    shown = show(browser, tmp_path, *pairs)
    page, at = shown.page, lambda words: playwright.expect(shown.page.locator("#viewer-place")).to_have_text(words)
    at("1 of 3")
    page.keyboard.press("k")
    at("3 of 3")
    assert page.url.endswith("#document=d2")
    page.select_option("#viewer-document", label="Title 1")
    at("2 of 3")
    page.fill("#viewer-search", "title 2")
    at("1 of 1")
    page.goto(page.url.partition("#")[0] + "#document=d1")
    at("2 of 3")
    assert page.locator("h3").inner_text() == "Title 1"
    shown.close()


def test_sparse_annotations(browser: "playwright.Browser", tmp_path: Path) -> None:
    gold = Annotation.from_entities(
        PREDICTED.entities, [Relation(1, 0, "P19"), Relation(0, 1, "P19"), Relation(2, 2, "P19")]
    )
    bare = document("Bonn left", id="e", title="Bare")
    shown = show(browser, tmp_path, (BORN, gold), (bare, Annotation(mentions=((0, 1),))))
    page = shown.page
    # There and back are two arcs, a relation to itself is one, and what has no score has no column of scores.
    assert page.locator(".arc").count() == 3
    assert page.locator("th").all_inner_texts() == ["Head", "Relation", "Tail"]
    page.keyboard.press("j")
    playwright.expect(page.locator("mark.loose")).to_have_text("Bonn")
    assert page.locator("summary").all_inner_texts() == ["Relations (0)", "Clusters (0)"]
    shown.close()


def test_any_mentions_nest_and_keep_their_tokens(browser: "playwright.Browser", tmp_path: Path) -> None:
    draw, source = Random(0), document("0 1 2 3 4 5 6 7 8 9")
    pairs = []
    for number in range(60):
        starts = [[draw.randrange(10) for _ in range(draw.randint(1, 3))] for _ in range(draw.randint(1, 4))]
        clusters = [sorted({(s, min(10, s + draw.randint(1, 4))) for s in cluster}) for cluster in starts]
        annotation = Annotation.from_entities([Entity(tuple(spans), "PER") for spans in sorted(clusters)])
        pairs.append((msgspec.structs.replace(source, id=str(number)), annotation))
    shown = show(browser, tmp_path, *pairs)
    for number, (_, annotation) in enumerate(pairs):
        playwright.expect(shown.page.locator("#viewer-place")).to_have_text(f"{number + 1} of 60")
        text, marks, names = shown.page.evaluate("""() => {
          const text = document.querySelector(".text").cloneNode(true), names = [];
          for (const sub of text.querySelectorAll("sub")) { names.push(...sub.textContent.split(" ")); sub.remove(); }
          const marks = [...text.querySelectorAll("mark")].map(mark => [mark.dataset.span, mark.textContent]);
          return [text.textContent, marks, names];
        }""")
        assert text == "0 1 2 3 4 5 6 7 8 9"
        covered: dict[str, str] = {}
        for span, words in marks:
            covered[span] = covered.get(span, "") + words.replace(" ", "")
        assert covered == {f"{s}-{e}": "0123456789"[s:e] for s, e in annotation.mentions}
        # However many pieces a mention is cut into, its clusters are named once.
        assert len(names) == sum(len(entity.mentions) for entity in annotation.entities)
        shown.page.keyboard.press("j")
    shown.close()
