"""Annotated documents as one self-contained HTML page: text, entities, relation graph and relation table.

Nothing is fetched: style, script and drawing are inline. Colours are Paul Tol's light qualitative scheme, which keeps
its hues apart under colour blindness beneath dark text; numbers and names say everything that colour says.
"""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from core.data.documents import Annotation, Document, Entity, LabelSet, Relation
from core.prediction.graph_layout import Edge, Node, lay_out
from core.prediction.running_text import Part, display_text, parts

PALETTE = ("#77aadd", "#ee8866", "#eedd88", "#ffaabb", "#44bb99", "#bbcc33", "#99ddff", "#dddddd", "#aaaa00")
LABEL_LENGTH = 25
MOST_ARROWS = 100
"""A graph shows no more arrows than this, those of the highest scores; the table always has all relations."""


class EntityView(NamedTuple):
    """One entity for the page: numbered in reading order, named by its longest mention."""

    number: int
    name: str
    short: str
    type: str
    type_name: str
    colour: int
    surfaces: list[tuple[str, int]]
    related: bool


class RelationView(NamedTuple):
    """One relation for the page, with its readable name."""

    head: EntityView
    tail: EntityView
    type: str
    name: str
    score: float | None


class EdgeView(NamedTuple):
    """All relations from one entity to another: one arrow."""

    head: EntityView
    tail: EntityView
    label: str
    lines: list[str]
    drawn: Edge


class DocumentView(NamedTuple):
    """Everything that the template prints for one document."""

    title: str
    parts: list[Part]
    entities: dict[int, EntityView]
    relations: list[RelationView]
    nodes: list[tuple[EntityView, Node]]
    edges: list[EdgeView]
    arrows_left_out: int
    width: float
    height: float
    tokens: int
    mentions: int
    types: list[tuple[str, int, int]]
    scored: bool


def render(documents_with_annotations: Iterable[tuple[Document, Annotation]], labels: LabelSet | None = None) -> str:
    """The HTML page of documents and what was found in them; `labels` gives readable names and the order of colours.

    Spans, heads and tails must lie within their document (readers see to it).
    """
    pairs = list(documents_with_annotations)
    types = list(labels.entity_types if labels else ())
    types += sorted({entity.type for _, annotation in pairs for entity in annotation.entities} - set(types))
    colours = {entity_type: place % len(PALETTE) for place, entity_type in enumerate(types)}
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    views = [_document_view(document, annotation, labels, colours) for document, annotation in pairs]
    return environment.get_template("view.html").render(documents=views, palette=PALETTE)


def shortened(text: str, length: int = LABEL_LENGTH) -> str:
    """The text, or its beginning and an ellipsis where it is longer than `length` characters."""
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def _document_view(
    document: Document, annotation: Annotation, labels: LabelSet | None, colours: dict[str, int]
) -> DocumentView:
    related = {end for relation in annotation.relations for end in (relation.head, relation.tail)}
    reading_order = sorted(
        range(len(annotation.entities)),
        key=lambda index: (min(annotation.entities[index].mentions, default=(len(document.tokens), 0)), index),
    )
    names = dict(zip(labels.entity_types, labels.entity_names, strict=True)) if labels else {}
    views: dict[int, EntityView] = {}
    for number, index in enumerate(reading_order, start=1):
        entity = annotation.entities[index]
        type_name = names.get(entity.type, entity.type)
        views[index] = _entity_view(document, entity, number, type_name, colours[entity.type], index in related)
    mentions = [(span, view.number) for index, view in views.items() for span in annotation.entities[index].mentions]
    held = {span for span, _ in mentions}
    mentions += [(span, 0) for span in annotation.mentions if span not in held]
    relations = _relation_views(annotation.relations, views, labels)
    nodes, edges, left_out, width, height = _graph(views, relations)
    by_number = {view.number: view for view in views.values()}
    type_counts = Counter((view.type_name, view.colour) for view in by_number.values())
    return DocumentView(
        title=document.title or document.id,
        parts=parts(document, mentions),
        entities=by_number,
        relations=relations,
        nodes=nodes,
        edges=edges,
        arrows_left_out=left_out,
        width=width,
        height=height,
        tokens=len(document.tokens),
        mentions=len({span for span, _ in mentions}),
        types=[(name, colour, number) for (name, colour), number in sorted(type_counts.items())],
        scored=any(relation.score is not None for relation in relations),
    )


def _entity_view(
    document: Document, entity: Entity, number: int, type_name: str, colour: int, related: bool
) -> EntityView:
    surfaces = Counter(display_text(document, span) for span in sorted(set(entity.mentions)))
    name = max(surfaces, key=len, default="")
    return EntityView(number, name, shortened(name), entity.type, type_name, colour, list(surfaces.items()), related)


def _relation_views(
    relations: Iterable[Relation], views: dict[int, EntityView], labels: LabelSet | None
) -> list[RelationView]:
    made = [
        RelationView(views[r.head], views[r.tail], r.type, labels.relation_name(r.type) if labels else r.type, r.score)
        for r in dict.fromkeys(relations)
    ]
    return sorted(made, key=lambda r: (-(r.score or 0.0), r.head.number, r.tail.number, r.name))


def _graph(
    views: dict[int, EntityView], relations: list[RelationView]
) -> tuple[list[tuple[EntityView, Node]], list[EdgeView], int, float, float]:
    arrows: dict[tuple[int, int], list[RelationView]] = {}
    for relation in relations:
        arrows.setdefault((relation.head.number, relation.tail.number), []).append(relation)
    left_out = max(0, len(arrows) - MOST_ARROWS)
    arrows = dict(list(arrows.items())[:MOST_ARROWS])
    shown = {number for pair in arrows for number in pair}
    related = sorted((view for view in views.values() if view.number in shown), key=lambda view: view.number)
    place = {view.number: index for index, view in enumerate(related)}
    labels = [shortened(group[0].name) + (f" +{len(group) - 1}" if len(group) > 1 else "") for group in arrows.values()]
    ends = [(place[head], place[tail], label) for (head, tail), label in zip(arrows, labels, strict=True)]
    layout = lay_out(len(related), ends)
    edges = [
        EdgeView(group[0].head, group[0].tail, label, [_line(relation) for relation in group], edge)
        for group, label, edge in zip(arrows.values(), labels, layout.edges, strict=True)
    ]
    return list(zip(related, layout.nodes, strict=True)), edges, left_out, layout.width, layout.height


def _line(relation: RelationView) -> str:
    score = "" if relation.score is None else f" ({relation.score:.3f})"
    return f"{relation.head.name} → {relation.name} → {relation.tail.name}{score}"
