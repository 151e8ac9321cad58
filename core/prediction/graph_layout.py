"""A graph on a ring: where nodes, arrows and their labels lie. Deterministic, without any drawing library.

Nodes sit on an ellipse, ordered so that related ones are close, and up to three hubs (the country that half of a
document is about) within it; node labels stand outside, edges bend inwards, and the label of an edge goes to the first
place on the edge where it covers no other label. Units are those of the SVG view box, y downwards.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from math import cos, hypot, pi, sin
from typing import NamedTuple

from core.prediction.curves import (
    NODE_RADIUS,
    Curve,
    Point,
    arrow_head,
    curve_between,
    path_data,
    point_on,
)

WIDTH = 1040.0
SIDE = 225.0
"""Room for node labels on either side of the ring."""
LINE = 15.0
"""Height of a line of a label."""
CHARACTER = 6.1
"""Mean width of a character of an edge label."""


class Node(NamedTuple):
    """Where a node is, and where its label starts, ends or has its middle (`anchor`, as SVG names it)."""

    at: Point
    label_at: Point
    anchor: str


class Edge(NamedTuple):
    """The SVG path of an arrow's shaft, the points of its head, and the centre and width of its label."""

    path: str
    head: str
    label_at: Point
    label_width: float


class Layout(NamedTuple):
    """Nodes and edges in the order in which they were given, and the size of the view box."""

    nodes: list[Node]
    edges: list[Edge]
    width: float
    height: float


def lay_out(nodes: int, edges: Sequence[tuple[int, int, str]]) -> Layout:
    """Lay out `nodes` nodes and (from, to, label) edges."""
    neighbours: list[set[int]] = [set() for _ in range(nodes)]
    for head, tail, _ in edges:
        if head != tail:
            neighbours[head].add(tail)
            neighbours[tail].add(head)
    inner = hubs(neighbours)
    on_ring = nodes - len(inner)
    # Near the top, labels of neighbours are nearly level: so that they stay a line apart the ring grows with n².
    radius_y = min(700.0, max(95.0 + 12.0 * nodes, LINE * 1.15 * (on_ring / (2 * pi)) ** 2))
    radius_x = WIDTH / 2 - SIDE
    centre = Point(WIDTH / 2, radius_y + 2.5 * LINE)
    ring = [_on_ellipse(centre, radius_x, radius_y, (step + 0.5) / on_ring) for step in range(on_ring)]
    share = 0.0 if len(inner) == 1 else 0.38
    within = [
        _on_ellipse(centre, share * radius_x, share * radius_y, 0.25 + step / len(inner)) for step in range(len(inner))
    ]
    places = _assign(neighbours, dict(zip(inner, within, strict=True)), ring)
    placed = [_node(at, centre, inside=number in inner) for number, at in enumerate(places)]
    node_boxes = [_box(node.at, 2 * NODE_RADIUS, 2 * NODE_RADIUS) for node in placed]
    node_boxes += [_box(placed[hub].label_at, SIDE / 2, LINE * 1.4) for hub in inner]
    pairs = {(head, tail) for head, tail, _ in edges}
    labels: list[Box] = []
    drawn: list[Edge] = []
    for head, tail, label in edges:
        # There and back are two arrows: they part. An arrow from or to a hub keeps straight, the others turn inwards.
        aside = 0.09 if (tail, head) in pairs else 0.03
        inwards = 0.0 if head in inner or tail in inner else 0.3
        curve = curve_between(places[head], places[tail], centre, inwards, aside)
        label_width = CHARACTER * len(label) + 10
        label_at, box = _free_place(curve, label_width, node_boxes, labels)
        labels.append(box)
        drawn.append(Edge(path_data(curve), arrow_head(curve), label_at, label_width))
    return Layout(placed, drawn, WIDTH, 2 * centre.y)


def hubs(neighbours: Sequence[AbstractSet[int]]) -> list[int]:
    """Up to three nodes, those with most neighbours, where each has at least five and a third of all nodes."""
    enough = max(5.0, len(neighbours) / 3)
    found = [node for node, others in enumerate(neighbours) if len(others) >= enough]
    return sorted(found, key=lambda node: -len(neighbours[node]))[:3]


def _assign(neighbours: Sequence[AbstractSet[int]], fixed: dict[int, Point], ring: Sequence[Point]) -> list[Point]:
    """Every node's place: fixed ones where they are, the others on the ring so that edges are short.

    Places of pairs are swapped until no swap shortens the sum of distances, at most eight times over.
    """
    free = [node for node in range(len(neighbours)) if node not in fixed]
    at = [fixed.get(node, Point(0.0, 0.0)) for node in range(len(neighbours))]
    for node, place in zip(free, ring, strict=True):
        at[node] = place

    def length(node: int) -> float:
        return sum(hypot(at[node].x - at[other].x, at[node].y - at[other].y) for other in neighbours[node])

    for _ in range(8):
        improved = False
        for position, one in enumerate(free):
            for two in free[position + 1 :]:
                before = length(one) + length(two)
                at[one], at[two] = at[two], at[one]
                if length(one) + length(two) < before - 1e-6:
                    improved = True
                else:
                    at[one], at[two] = at[two], at[one]
        if not improved:
            break
    return at


def _on_ellipse(centre: Point, radius_x: float, radius_y: float, turn: float) -> Point:
    """The point after `turn` of a round, clockwise from the top."""
    return Point(centre.x + radius_x * sin(2 * pi * turn), centre.y - radius_y * cos(2 * pi * turn))


def _node(at: Point, centre: Point, *, inside: bool) -> Node:
    if inside:
        return Node(at, Point(at.x, at.y + NODE_RADIUS + 15), "middle")
    right = at.x > centre.x + 1e-6 or (abs(at.x - centre.x) <= 1e-6 and at.y < centre.y)
    down = 5.0 if at.y > centre.y else -5.0
    return Node(
        at, Point(at.x + (NODE_RADIUS + 6) * (1 if right else -1), at.y + 4 + down), "start" if right else "end"
    )


Box = tuple[float, float, float, float]


def _free_place(curve: Curve, width: float, nodes: Sequence[Box], labels: Sequence[Box]) -> tuple[Point, Box]:
    """The place on the curve, or half a line beside it, where a label covers least, the first from the middle out."""
    best: tuple[float, Point, Box] | None = None
    for step in range(19):
        t = 0.5 + 0.04 * ((step + 1) // 2) * (1 if step % 2 else -1)
        on_curve = point_on(curve, t)
        for aside in (0.0, -0.5 * LINE, 0.5 * LINE):
            at = Point(on_curve.x, on_curve.y + aside)
            box = _box(at, width, LINE)
            # A covered label still shows when its arrow is pointed at; a covered node would be lost.
            covered = sum(_overlap(box, other) for other in labels) + 5 * sum(_overlap(box, other) for other in nodes)
            if best is None or covered < best[0]:
                best = (covered, at, box)
            if not covered:
                return at, box
    assert best is not None
    return best[1], best[2]


def _box(centre: Point, width: float, height: float) -> Box:
    return centre.x - width / 2, centre.y - height / 2, centre.x + width / 2, centre.y + height / 2


def _overlap(one: Box, two: Box) -> float:
    return max(0.0, min(one[2], two[2]) - max(one[0], two[0])) * max(0.0, min(one[3], two[3]) - max(one[1], two[1]))
