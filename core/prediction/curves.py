"""Plane curves for arrows: where one starts, how it bends, and where its head points."""

from math import hypot
from typing import NamedTuple

NODE_RADIUS = 13.0


class Point(NamedTuple):
    """A place in the view box."""

    x: float
    y: float


Curve = tuple[Point, Point, Point, Point]
"""A cubic Bézier curve: start, two control points, end."""


def curve_between(start: Point, end: Point, centre: Point, inwards: float, aside: float) -> Curve:
    """A cubic from the rim of one node to that of the other, bent to the centre and to its own left by these shares."""
    if start == end:
        out = towards(start, centre, -4.5 * NODE_RADIUS)
        side = Point((out.y - start.y) * 0.6, (start.x - out.x) * 0.6)
        first, second = Point(out.x + side.x, out.y + side.y), Point(out.x - side.x, out.y - side.y)
    else:
        distance = hypot(end.x - start.x, end.y - start.y)
        middle = Point((start.x + end.x) / 2, (start.y + end.y) / 2)
        # Never bent by more than a part of its length: a short arrow would fold into a hook.
        depth = min(inwards * hypot(centre.x - middle.x, centre.y - middle.y), 0.25 * distance) if inwards else 0.0
        turned = towards(middle, centre, depth)
        bent = Point(turned.x + (end.y - start.y) * aside, turned.y + (start.x - end.x) * aside)
        first, second = towards(bent, start, distance * 0.18), towards(bent, end, distance * 0.18)
    return towards(start, first, NODE_RADIUS), first, second, towards(end, second, NODE_RADIUS + 3)


def towards(start: Point, goal: Point, distance: float) -> Point:
    """The point at a distance from `start` on the way to `goal`; a negative one lies the other way."""
    whole = hypot(goal.x - start.x, goal.y - start.y) or 1.0
    return Point(start.x + (goal.x - start.x) * distance / whole, start.y + (goal.y - start.y) * distance / whole)


def point_on(curve: Curve, t: float) -> Point:
    """The point of the curve at `t`, 0 at its start and 1 at its end."""
    weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
    return Point(
        sum(weight * point.x for weight, point in zip(weights, curve, strict=True)),
        sum(weight * point.y for weight, point in zip(weights, curve, strict=True)),
    )


def path_data(curve: Curve) -> str:
    """The curve as an SVG path."""
    start, *rest = (f"{point.x:.1f} {point.y:.1f}" for point in curve)
    return f"M{start}C{' '.join(rest)}"


def arrow_head(curve: Curve) -> str:
    """The corners of the triangle at the end of the curve, as SVG points."""
    tip, back = curve[3], towards(curve[3], curve[2], 9.0)
    wing = Point((tip.y - back.y) * 0.45, (back.x - tip.x) * 0.45)
    corners = (tip, Point(back.x + wing.x, back.y + wing.y), Point(back.x - wing.x, back.y - wing.y))
    return " ".join(f"{corner.x:.1f},{corner.y:.1f}" for corner in corners)
