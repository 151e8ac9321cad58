import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.documents import Annotation, Document, Entity, LabelSet, Relation, Span
from core.prediction.graph_layout import lay_out
from core.prediction.html import PALETTE, render, shortened
from core.prediction.running_text import display_text, nested, parts

VOID = {"meta", "path", "polygon", "circle", "rect"}


class Page(HTMLParser):
    """Collects start tags, the text of marks, and complains about tags that do not nest."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.marks: list[str] = []
        self.text = ""
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "mark" in self.open:
            self.marks.append(data)
        if self.open[-1:] not in (["style"], ["script"]):
            self.text += data

    def having(self, **wanted: str) -> list[dict[str, str | None]]:
        named = {name.replace("_", "-"): value for name, value in wanted.items()}
        return [attrs for _, attrs in self.tags if all(attrs.get(name) == value for name, value in named.items())]


def document(words: str, **changes: object) -> Document:
    tokens = tuple(words.split(" "))
    made: dict[str, object] = {"id": "d", "tokens": tokens, "sentences": ((0, len(tokens)),), "title": "A title"}
    return Document(**(made | changes))  # type: ignore[arg-type]


LABELS = LabelSet(("PER", "LOC"), ("P19",), ("person", "place"), ("place of birth",))
BORN = document("Ann Lee was born in Bonn , and Ann left .")
FOUND = Annotation.of(
    [Entity(((5, 6),), "LOC"), Entity(((0, 2), (8, 9)), "PER"), Entity(((9, 10),), "LOC")],
    [Relation(1, 0, "P19", 0.9173)],
)


def test_the_page_shows_mentions_entities_and_relations() -> None:
    page = Page(render([(BORN, FOUND)], LABELS))
    # Entities are numbered as one meets them in the text: Ann 1, Bonn 2.
    marks = [attrs for tag, attrs in page.tags if tag == "mark"]
    assert [attrs["data-e"] for attrs in marks] == ["1", "2", "1", "3"]
    assert page.marks == ["Ann Lee", "1", "Bonn", "2", "Ann", "1", "left", "3"]
    assert "place of birth" in page.text
    assert "0.917" in page.text
    assert "Ann Lee · Ann" in page.text
    nodes = page.having(**{"class": "node"})
    assert [attrs["data-e"] for attrs in nodes] == ["1", "2"]
    assert "Without relation: left (3)" in page.text
    assert len(page.having(**{"class": "edge"}, data_h="1", data_t="2")) == 1
    assert "Ann Lee → place of birth → Bonn (0.917)" in page.text


def test_the_colour_of_a_type_is_its_place_in_the_label_set() -> None:
    page = Page(render([(BORN, FOUND)], LABELS))
    styles = [attrs["style"] for attrs in page.having(data_e="1") if attrs.get("style")]
    assert styles
    assert set(styles) == {"--c: var(--t0)"}


def test_more_types_than_colours_still_render() -> None:
    many = Annotation.of(Entity(((i, i + 1),), f"type{i}") for i in range(11))
    assert len(PALETTE) < 11
    assert "type10" in render([(BORN, many)])


@pytest.mark.parametrize("place", ["tokens", "title", "entity type", "relation type", "relation name"])
def test_nothing_from_a_document_becomes_markup(place: str) -> None:
    evil = "<script>alert(1)</script>\"'><img/src=x>"
    source = document("Ann Lee was born", title=evil if place == "title" else "t")
    if place == "tokens":
        source = document(f"{evil} Lee was born")
    relation_type = evil if place == "relation type" else "P19"
    found = Annotation.of(
        [Entity(((0, 1),), evil if place == "entity type" else "PER"), Entity(((1, 2),), "LOC")],
        [Relation(0, 1, relation_type)],
    )
    labels = LabelSet(("PER", "LOC"), ("P19",), (), (evil,)) if place == "relation name" else None
    page = Page(render([(source, found)], labels))
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert not [tag for tag, _ in page.tags if tag == "img"]
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on")]


def test_the_page_fetches_nothing() -> None:
    html = render([(BORN, FOUND), (BORN, FOUND)], LABELS)
    assert not re.search(r"https?:|//[a-z]|@import|url\(|<link|<img|src=", html)


def test_several_documents_have_a_navigation_and_one_has_none() -> None:
    assert len([1 for tag, _ in Page(render([(BORN, FOUND)] * 3)).tags if tag == "option"]) == 3
    assert not [1 for tag, _ in Page(render([(BORN, FOUND)])).tags if tag in ("nav", "option")]
    assert "No documents" in render([])


def test_empty_annotation_and_unclustered_mentions() -> None:
    page = Page(render([(BORN, Annotation(mentions=((0, 2),)))]))
    assert [attrs["class"] for tag, attrs in page.tags if tag == "mark"] == ["loose"]
    assert "No entities." in page.text
    assert "No relations." in page.text


def test_relations_without_scores_have_no_score_column() -> None:
    gold = Annotation.of(FOUND.entities, [Relation(1, 0, "P19")])
    assert not Page(render([(BORN, gold)])).having(**{"class": "score"})
    assert Page(render([(BORN, FOUND)])).having(**{"class": "score"})


def test_relations_of_one_pair_share_an_arrow() -> None:
    both = Annotation.of(FOUND.entities, [Relation(1, 0, "P19", 0.7), Relation(1, 0, "P20", 0.9), Relation(0, 1, "P1")])
    page = Page(render([(BORN, both)]))
    assert len(page.having(**{"class": "edge"})) == 2
    assert "P20 +1" in page.text


def test_a_graph_stays_legible_and_the_table_whole() -> None:
    entities = [Entity(((i, i + 1),), "PER") for i in range(11)]
    relations = [Relation(i, j, "P19", (11 * i + j) / 121) for i in range(11) for j in range(11)]
    page = Page(render([(document("0 1 2 3 4 5 6 7 8 9 10"), Annotation.of(entities, relations))]))
    edges = page.having(**{"class": "edge"})
    assert len(edges) == 100
    assert "21 more are in the table" in page.text
    assert len([1 for tag, attrs in page.tags if tag == "tr" and "data-h" in attrs]) == 121
    # The lowest score is entity 1 to itself.
    assert not [edge for edge in edges if (edge["data-h"], edge["data-t"]) == ("1", "1")]


def test_text_is_written_as_one_writes() -> None:
    assert (
        display_text(document('He said " no " ( twice ) , Ann \'s son .'), (0, 13))
        == 'He said "no" (twice), Ann\'s son.'
    )


def test_running_text_keeps_its_own_spaces() -> None:
    source = document("a b c", text="a  b\nc", offsets=((0, 1), (3, 4), (5, 6)))
    assert "".join(part.text for part in parts(source, [])) == "a  b\nc"


def test_a_mention_that_crosses_another_is_cut_at_its_end() -> None:
    assert nested([((0, 3), 1), ((2, 5), 2)]) == [((0, 3), 1, True), ((2, 3), 2, False), ((3, 5), 2, True)]


spans = st.tuples(st.integers(0, 9), st.integers(1, 4)).map(lambda pair: (pair[0], min(10, sum(pair))))


@given(st.lists(st.tuples(spans, st.integers(1, 3)), max_size=8))
def test_any_mentions_nest_and_keep_their_tokens(mentions: list[tuple[Span, int]]) -> None:
    source = document("0 1 2 3 4 5 6 7 8 9")
    made = parts(source, mentions)
    assert "".join(part.text for part in made) == "0 1 2 3 4 5 6 7 8 9"
    open_entities: list[int] = []
    covered: dict[int, set[int]] = {1: set(), 2: set(), 3: set()}
    for part in made:
        if part.kind == "open":
            open_entities.append(part.entity)
        elif part.kind == "close":
            assert open_entities.pop() == part.entity
        elif part.text.strip():
            for entity in open_entities:
                covered[entity].add(int(part.text))
    assert open_entities == []
    assert covered == {e: {t for span, other in mentions if other == e for t in range(*span)} for e in covered}
    # However many pieces a mention is cut into, its number is printed once.
    assert sum(part.kind == "close" and part.last for part in made) == len(set(mentions))


def test_twenty_nodes_and_their_labels_stay_apart_and_inside() -> None:
    layout = lay_out(20, [(i, (i * 7 + 3) % 20, "located in") for i in range(20)])
    places = [node.at for node in layout.nodes]
    closest = min(abs(a.x - b.x) + abs(a.y - b.y) for a in places for b in places if a != b)
    assert len(set(places)) == 20
    assert closest > 40
    for one in layout.nodes:
        assert 0 < one.label_at.x < layout.width
        assert 0 < one.label_at.y < layout.height
        for two in layout.nodes:
            if one is not two and one.anchor == two.anchor:
                assert abs(one.label_at.y - two.label_at.y) > 12
    labels = [edge.label_at for edge in layout.edges]
    assert not [1 for a in labels for b in labels if a < b and abs(a.x - b.x) < 60 and abs(a.y - b.y) < 12]


def test_a_hub_stands_within_the_ring() -> None:
    layout = lay_out(9, [(i, 0, "country") for i in range(1, 9)])
    assert layout.nodes[0].at == (layout.width / 2, layout.height / 2)
    assert layout.nodes[0].anchor == "middle"


def test_there_and_back_are_two_curves_and_a_loop_leaves_its_node() -> None:
    layout = lay_out(2, [(0, 1, "a"), (1, 0, "b"), (0, 0, "c")])
    assert len({edge.path for edge in layout.edges}) == 3
    assert abs(layout.edges[0].label_at.y - layout.edges[1].label_at.y) > 12
    assert lay_out(2, [(0, 1, "a"), (1, 0, "b"), (0, 0, "c")]) == layout


@pytest.mark.parametrize("nodes", [0, 1])
def test_the_smallest_graphs(nodes: int) -> None:
    assert len(lay_out(nodes, [(0, 0, "self")] * nodes).edges) == nodes


def test_long_names_are_shortened_with_an_ellipsis() -> None:
    assert shortened("Bonn") == "Bonn"
    assert shortened("x" * 40, 10) == "x" * 9 + "…"
