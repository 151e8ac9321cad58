"""Legibility of a figure: no text is cut, too small, or on another, and numbers along an axis do not run together."""

from itertools import combinations, pairwise

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from reports.figures.style import house_style

SMALLEST = 6.0
"""Points that letters must have."""
GAP = 3.0
"""Dots, of 100 to an inch, between two numbers along an axis."""


def check_legible(figure: Figure) -> None:
    """Fail where a text leaves the figure, is too small or lies on another, or two ticks' numbers run together."""
    with house_style():
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        renderer = canvas.get_renderer()
        unseen = {
            text
            for panel in figure.axes
            for along, (low, high) in ((panel.xaxis, panel.get_xlim()), (panel.yaxis, sorted(panel.get_ylim())))
            for tick in (*along.get_major_ticks(), *along.get_minor_ticks())
            if not low <= tick.get_loc() <= high
            for text in (tick.label1, tick.label2)
        }
        shown = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
        texts = [text for text in shown if text not in unseen]
        boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in texts]
        small = {text.get_text() for text in texts if text.get_fontsize() < SMALLEST}
        level = [text for text in texts if not text.get_rotation()]
        numbers = [
            sorted(
                text.get_window_extent(renderer).intervalx.tolist() for text in level if text in panel.get_xticklabels()
            )
            for panel in figure.axes
        ]
    assert boxes
    assert not small
    for along in numbers:
        assert all(left[1] + GAP <= right[0] for left, right in pairwise(along)), "numbers along an axis run together"
    for name, box in boxes:
        inside = box.x0 >= -1 and box.y0 >= -1 and box.x1 <= figure.bbox.x1 + 1 and box.y1 <= figure.bbox.y1 + 1
        assert inside, f"{name!r} is cut"
    for (one, first), (other, second) in combinations(boxes, 2):
        width = min(first.x1, second.x1) - max(first.x0, second.x0)
        height = min(first.y1, second.y1) - max(first.y0, second.y0)
        assert width < 1 or height < 1, f"{one!r} lies on {other!r}"
