"""Memory attention: its numbers by hand, nothing cut or overlapping, and its place in a report."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from core.errors import UserError
from core.records.memory_attention import DocumentAttention, ReadAttention, attention_path, write_attention
from reports.figures.attention import MAX_ITEMS, MAX_SLOTS, attention_figures, build_heat_maps, draw_attention
from reports.figures.style import render
from reports.sections import make_figures
from tests.reports.figures.legibility import check_legible
from tests.reports.records import make_study, read_data

TOKENS = "Ada Byron works for Acme in Oslo . She was born in Lima .".split()
SPANS = ((0, 2), (1, 2), (4, 5), (6, 7), (12, 13))


def read(place: Any, mode: Any, weights: list[list[float]], memory: Any = "entity") -> ReadAttention:
    slots = tuple(f"T{number}" for number in range(len(weights)))
    return ReadAttention(memory, place, mode, slots, tuple(map(tuple, weights)))


def made(*reads: ReadAttention, tokens: list[str] = TOKENS, **changes: Any) -> DocumentAttention:
    whole: dict[str, Any] = {
        "id": "one",
        "title": "One",
        "tokens": tuple(tokens),
        "sentences": ((0, 8), (8, len(tokens))),
        "spans": SPANS,
        "types": ("PER", None, "ORG", "LOC", "LOC"),
        "candidates": 40,
        "source": "written",
        "strength": 1.0,
        "reads": reads,
    }
    return DocumentAttention(**(whole | changes))


def draw(document: DocumentAttention, mode: Any) -> Figure:
    return draw_attention(document, build_heat_maps(document)[mode])


def softmaxed(slots: int, items: int, axis: int, seed: int, peak: float = 3.0) -> list[list[float]]:
    scores = np.exp(peak * np.random.default_rng(seed).standard_normal((slots, items)))
    return (scores / scores.sum(axis, keepdims=True)).tolist()


def test_a_map_shows_the_slots_and_tokens_that_stand_out() -> None:
    weights = np.full((10, 14), 0.01)
    weights[3, 4], weights[7, 0] = 0.87, 0.5
    (heat_map,) = build_heat_maps(made(read("tokens", "inverse", weights.tolist())))["inverse"]
    assert heat_map.even == pytest.approx(100 / 14)
    assert heat_map.slots[:2] == ["T3", "T7"]
    assert (len(heat_map.slots), len(heat_map.items)) == (MAX_SLOTS, MAX_ITEMS)
    assert heat_map.items[:5] == ["Ada", "Byron", "works", "for", "Acme"]
    assert heat_map.values[0, 4] == pytest.approx(87.0)
    assert heat_map.values[1, 0] == pytest.approx(50.0)


def test_a_normal_read_is_even_where_each_slot_has_the_same() -> None:
    weights = [[0.25] * 14, [0.25] * 14, [0.25] * 14, [0.25] * 14]
    weights[2][6], weights[0][6] = 0.45, 0.05
    (heat_map,) = build_heat_maps(made(read("tokens", "normal", weights)))["normal"]
    assert heat_map.even == pytest.approx(25.0)
    assert heat_map.slots[0] == "T2"


def test_mentions_that_were_found_have_their_type() -> None:
    weights = [[0.1, 0.6, 0.05, 0.02, 0.03], [0.3, 0.2, 0.01, 0.04, 0.05]]
    (heat_map,) = build_heat_maps(made(read("mentions", "inverse", weights)))["inverse"]
    assert heat_map.even == pytest.approx(100 / 40)
    assert heat_map.items == ["Ada Byron (PER)", "Byron", "Acme (ORG)", "Oslo (LOC)", "Lima (LOC)"]


def test_a_normal_read_at_mentions_shows_those_that_were_found() -> None:
    weights = [[0.3, 0.9, 0.6, 0.5, 0.2], [0.7, 0.1, 0.4, 0.5, 0.8]]
    document = made(read("mentions", "normal", weights))
    (heat_map,) = build_heat_maps(document)["normal"]
    assert heat_map.items == ["Ada Byron (PER)", "Acme (ORG)", "Oslo (LOC)", "Lima (LOC)"]
    np.testing.assert_allclose(heat_map.values, [[70, 40, 50, 80], [30, 60, 50, 20]])
    none_found = msgspec.structs.replace(document, types=(None,) * 5)
    (heat_map,) = build_heat_maps(none_found)["normal"]
    assert heat_map.items == ["Ada Byron", "Byron", "Acme", "Oslo", "Lima"]


def test_modes_have_a_picture_each_and_memories_a_column_each() -> None:
    reads = [
        read(place, mode, softmaxed(3, 14 if place == "tokens" else 5, 1 if mode == "inverse" else 0, 0), memory)
        for place in ("tokens", "mentions")
        for mode in ("inverse", "normal")
        for memory in ("entity", "relation")
    ]
    document = made(*reads)
    assert list(build_heat_maps(document)) == ["inverse", "normal"]
    for mode in build_heat_maps(document):
        figure = draw(document, mode)
        titles = [panel.get_title().partition("\n")[0] for panel in figure.axes[:4]]
        memories = ("Entity memory", "Relation memory")
        assert titles == [f"{memory} at {place}" for place in ("tokens", "mentions") for memory in memories]
        check_legible(figure)


LENGTHY = ["Donaudampfschifffahrtsgesellschaftskapitänswitwenrentenauszahlungsstellenleiterin", *TOKENS, "W" * 200]
LONG_NAME = "an overlong name of a relation type"


def as_in_a_data_set(tokens: list[str], spans: int) -> list[ReadAttention]:
    """Reads of 6 entity and 96 relation slots."""
    reads = []
    for seed, (place, items) in enumerate((("tokens", len(tokens)), ("mentions", spans))):
        for memory, slots, name in (("entity", 6, "LOC"), ("relation", 96, LONG_NAME)):
            names = tuple(f"{name} {number}" for number in range(slots))
            found = read(place, "inverse", softmaxed(slots, items, 1, seed), memory)
            reads.append(msgspec.structs.replace(found, slots=names))
    return reads


@pytest.mark.parametrize("case", ["long words", "long document", "one slot", "no mentions", "uniform", "one memory"])
def test_no_text_is_cut_or_lies_on_another(case: str) -> None:
    if case == "long words":
        spans = ((0, 1), (1, 3), (0, 14), (15, 16))
        document = made(*as_in_a_data_set(LENGTHY, 4), tokens=LENGTHY, spans=spans, types=("A", "A", None, "A"))
    elif case == "long document":
        words = TOKENS * 15
        document = made(*as_in_a_data_set(words, 5), tokens=words, title="A title of a document " * 9)
    elif case == "one slot":
        document = made(read("tokens", "inverse", softmaxed(1, 14, 1, 0)))
    elif case == "no mentions":
        empty = read("mentions", "inverse", [[], []])
        document = made(read("tokens", "inverse", softmaxed(2, 14, 1, 0)), empty, spans=(), types=())
    elif case == "uniform":
        document = made(read("tokens", "inverse", [[1 / 14] * 14] * 3))
    else:
        document = made(read("tokens", "normal", softmaxed(6, 14, 0, 0), "relation"))
    figure = draw(document, document.reads[0].mode)
    check_legible(figure)
    assert render(figure, "png", {}).startswith(b"\x89PNG")


def test_a_memory_without_types_or_a_document_without_spans_leaves_only_itself_out() -> None:
    of_tokens, nothing = read("tokens", "inverse", softmaxed(2, 14, 1, 0)), read("tokens", "inverse", [], "relation")
    heat_maps = build_heat_maps(made(of_tokens, nothing, read("mentions", "inverse", [[], []]), spans=(), types=()))[
        "inverse"
    ]
    assert [heat_map.read for heat_map in heat_maps] == [of_tokens]
    assert build_heat_maps(made(nothing)) == {}


def test_tokens_are_shown_as_they_are() -> None:
    tokens = ["US$", "$x_1$", "\u00a0", "a\nb", r"\frac{1}", *TOKENS[5:]]
    document = made(
        read("tokens", "inverse", [[1 / 14] * 14]),
        read("mentions", "inverse", [[0.2] * 5]),
        tokens=tokens,
        title="$x$ $y",
    )
    figure = draw(document, "inverse")
    check_legible(figure)
    shown = [text.get_text() for text in figure.findobj(Text)]
    assert {"US$", "$x_1$", "a b", r"\frac{1}", "US$ $x_1$ (PER)"} <= set(shown)
    assert any(text.startswith("$x$ $y: what") for text in shown)
    assert not any(text.get_parse_math() for text in figure.findobj(Text) if "$" in text.get_text())


def test_a_report_draws_the_first_seed_that_has_attention(tmp_path: Path) -> None:
    study = make_study(tmp_path, {"jerex-grc": {0: 38.0, 1: 38.5}, "memory-grc": {0: 40.0, 1: 41.0}})
    data = read_data(study, tmp_path)
    assert attention_figures(data) == []
    second = tmp_path / f"{1:012x}" / "s1"
    whole = made(read("tokens", "inverse", softmaxed(2, 14, 1, 0)), read("tokens", "normal", softmaxed(2, 14, 0, 0)))
    write_attention(attention_path(second, "test"), [whole, made()])
    # Another split's is not this report's.
    write_attention(attention_path(second.with_name("s0"), "validation"), [whole])
    drawings = attention_figures(data)
    assert [drawing.name for drawing in drawings] == ["attention-1-inverse", "attention-1-normal"]
    for drawing, mode in zip(drawings, ("inverse", "normal"), strict=True):
        beginning = f"What the {mode} read of JEREX + memory (GRC) attends to in one document (run 000000000001-s1)"
        assert drawing.caption.startswith(beginning)
        assert drawing.details.startswith("memory.reads written.")
    last = make_figures(data)[-2:]
    assert [drawing.name for drawing in last] == [drawing.name for drawing in drawings]
    attention_path(second, "test").write_text("{")
    with pytest.raises(UserError, match=r"attention\.test\.jsonl is damaged"):
        attention_figures(data)
