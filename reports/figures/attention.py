"""Memory attention: a document's text shaded by what the slots read, and heat maps of slots by words.

A figure per mode of reading, a column per memory. Everything is laid out in inches, in a font of one width: no text can
meet another or be cut.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from core.config.schema import Mode, Reads
from core.records.memory_attention import (
    DocumentAttention,
    MemoryName,
    Place,
    ReadAttention,
    attention_path,
    read_attention,
)
from core.records.record import SCORED
from reports.captions import label
from reports.figures.style import BASELINE, WIDE, ReportFigure, house_style
from reports.frame import ReportData, run_facts

MAX_ROWS = 8
"""Rows with stored attention that are drawn."""
MAX_SLOTS, MAX_ITEMS = 8, 12
"""What a heat map shows: the slots that attend most to anything, and the items that they attend to most."""
SOURCES: dict[Reads, str] = {
    "written": "the written slots",
    "learned": "a matrix trained by reading alone",
    "random": "a frozen random matrix",
    "uniform": "with uniform attention",
    "constant": "a constant",
}
EXPLANATIONS: dict[Mode, str] = {
    "inverse": "Each slot spreads its attention over a document; even: what each token or span would get of uniform "
    "attention.",
    "normal": "Each token or span spreads its attention over the slots; even: what each slot would get of uniform "
    "attention.",
}

FONT_SIZE = 6.0
CHARACTER = 0.603 * FONT_SIZE / 72
"""Inches that a character of DejaVu Sans Mono takes."""
LINE, CELL, TITLE, HEADING, GAP, EDGE, BAR = 0.125, 0.14, 0.2, 0.32, 0.1, 0.08, 0.42
"""Inches: a line of text, a row of a heat map, the title, a heading, between parts, around all, a colour bar's room."""
MAX_TITLE, MAX_SLOT_NAME, MAX_ITEM_NAME = 110, 14, 22
PLAIN: dict[str, Any] = {"parse_math": False}
"""Documents hold dollar signs, and no formulas."""
FONT: dict[str, Any] = {"family": "DejaVu Sans Mono", "fontsize": FONT_SIZE, **PLAIN}
NOT_FOUND = "#8a8a8a"
COLOURS = {"entity": "#0072B2", "relation": "#D55E00"}


def attention_figures(data: ReportData) -> list[ReportFigure]:
    """A figure per mode of reading of the rows with stored attention (`engram evaluate RUN --attention`)."""
    figures = []
    for number, (row, run, document) in enumerate(islice(find_attention(data.frame), MAX_ROWS), start=1):
        by_mode = build_panels(document)
        for mode, panels in by_mode.items():
            name = f"attention-{number}" + (f"-{mode}" if len(by_mode) > 1 else "")
            run_sentence = f"{label(data.study, row)}: run {run}, which reads {SOURCES[document.source]}."
            caption = f"Memory attention. {run_sentence} {EXPLANATIONS[mode]}"
            figures.append(ReportFigure(name, draw_attention(document, mode, panels), caption))
    return figures


def find_attention(frame: pd.DataFrame) -> Iterator[tuple[str, str, DocumentAttention]]:
    """Row, run and first document of every row of which a scored run has stored attention; of several the first seed's.

    Raises a UserError for a damaged file.
    """
    runs = run_facts(frame)
    for row, scored in runs[runs["status"].isin(SCORED) & (runs["folder"] != "")].groupby("row", sort=False):
        for run in scored.to_dict("records"):
            path = attention_path(Path(run["folder"]), run["split"])
            documents = read_attention(path) if path.is_file() else []
            if documents and build_panels(documents[0]):
                yield str(row), run["run"], documents[0]
                break


@dataclass(frozen=True)
class HeatMap:
    """Slots times items, both those that stand out, in percent; `even` is what equal attention would give each."""

    place: Place
    slots: list[str]
    items: list[str]
    found: list[bool]
    """Whether an item is a mention that was found; every token is."""
    values: np.ndarray
    even: float
    left_out: int
    """Slots that are not shown."""

    @property
    def height(self) -> float:
        """Inches that it takes, with its heading and the upright names below it."""
        names = CHARACTER * max((len(shorten(item, MAX_ITEM_NAME)) for item in self.items), default=0)
        return GAP + HEADING + CELL * len(self.slots) + 0.06 + names


@dataclass(frozen=True)
class MemoryPanel:
    """What one memory reads: a shade per token in percent, white at `floor`, and heat maps."""

    memory: MemoryName
    shades: np.ndarray
    floor: float
    even: float
    heat_maps: list[HeatMap]


def build_panels(document: DocumentAttention) -> dict[Mode, list[MemoryPanel]]:
    """Mode -> what each memory reads in it, by its reads at tokens, at mentions or at both.

    Reads without slots or items are left out: of a memory without types, at mentions where there is no span.
    """
    by_memory: dict[tuple[Mode, MemoryName], list[ReadAttention]] = {}
    for read in document.reads:
        if read.weights and read.weights[0]:
            by_memory.setdefault((read.mode, read.memory), []).append(read)
    panels: dict[Mode, list[MemoryPanel]] = {}
    for (mode, memory), reads in by_memory.items():
        weights, even = percent(reads[0]), even_share(document, reads[0])
        # Inverse: what a token gets from an average slot. Normal: what its strongest slot gets from it.
        shades = weights.mean(0) if mode == "inverse" else weights.max(0)
        if reads[0].place == "mentions":
            shades = mentions_to_tokens(shades, document)
        # No strongest slot has less than an even share.
        floor = 0.0 if mode == "inverse" else even
        heat_maps = [build_heat_map(document, read) for read in reads]
        panels.setdefault(mode, []).append(MemoryPanel(memory, shades, floor, even, heat_maps))
    return panels


def percent(read: ReadAttention) -> np.ndarray:
    """The weights [slots, items] in percent."""
    return 100.0 * np.array(read.weights, dtype=np.float64)


def even_share(document: DocumentAttention, read: ReadAttention) -> float:
    """The percent that every item (inverse) or slot (normal) would get of uniform attention."""
    if read.mode == "normal":
        return 100.0 / len(read.slots)
    return 100.0 / (len(document.tokens) if read.place == "tokens" else document.candidates)


def mentions_to_tokens(values: np.ndarray, document: DocumentAttention) -> np.ndarray:
    """Values of spans on tokens: the largest of the mentions found that hold the token, 0 outside of them."""
    shades = np.zeros(len(document.tokens))
    for (start, end), kind, value in zip(document.spans, document.types, values.tolist(), strict=True):
        if kind is not None:
            shades[start:end] = np.maximum(shades[start:end], value)
    return shades


def build_heat_map(document: DocumentAttention, read: ReadAttention) -> HeatMap:
    """The heat map of one read: slots by falling peak, items in text order.

    Of a normal read at mentions only those found, where there are any: attention of a span that is no mention tells
    little.
    """
    weights = percent(read)
    names, found = list(document.tokens), np.ones(len(document.tokens), bool)
    if read.place == "mentions":
        names = [" ".join(document.tokens[start:end]) for start, end in document.spans]
        found = np.array([kind is not None for kind in document.types])
    candidates = np.flatnonzero(found) if read.mode == "normal" and found.any() else np.arange(len(names))
    slots = np.argsort(-weights[:, candidates].max(1), kind="stable")[:MAX_SLOTS]
    peaks = weights[np.ix_(slots, candidates)].max(0)
    items = candidates[np.sort(np.argsort(-peaks, kind="stable")[:MAX_ITEMS])]
    return HeatMap(
        place=read.place,
        slots=[read.slots[slot] for slot in slots],
        items=[names[item] for item in items],
        found=found[items].tolist(),
        values=weights[np.ix_(slots, items)],
        even=even_share(document, read),
        left_out=len(read.slots) - len(slots),
    )


class PlacedToken(NamedTuple):
    """A token in the running text: its line, the column of its first character, and its text."""

    line: int
    column: int
    text: str


def draw_attention(document: DocumentAttention, mode: Mode, panels: list[MemoryPanel]) -> Figure:
    """The picture of one document in one mode."""
    with house_style():
        width = (WIDE - EDGE * 2 - GAP * 2 * (len(panels) - 1)) / len(panels)
        tokens = place_tokens(document, int(width / CHARACTER) - 1)
        text_height = LINE * (1 + tokens[-1].line if tokens else 1)
        # Heat maps of one place stand side by side: each row of them is as high as its highest.
        rows = [
            max(heat_map.height for heat_map in side_by_side)
            for side_by_side in zip(*(panel.heat_maps for panel in panels), strict=True)
        ]
        text_top = EDGE + TITLE + HEADING
        height = text_top + text_height + sum(rows) + EDGE
        figure = Figure(figsize=(WIDE, height))
        figure.set_layout_engine("none")
        title = f"{document.title or document.id}: what the {mode} read attends to; framed: mentions found"
        figure.text(EDGE / WIDE, 1 - EDGE / height, shorten(title, MAX_TITLE), va="top", fontsize=8, **PLAIN)
        for number, panel in enumerate(panels):
            left = EDGE + number * (width + GAP * 2)
            axes = add_axes(figure, left, text_top, width, text_height)
            draw_text(axes, document, mode, panel, tokens, width)
            top = text_top + text_height
            for heat_map, row in zip(panel.heat_maps, rows, strict=True):
                draw_heat_map(figure, heat_map, panel.memory, mode, left, top + GAP + HEADING, width)
                top += row
    return figure


def add_axes(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes at a place given in inches from the upper left corner."""
    wide, high = figure.get_size_inches()
    return figure.add_axes((left / wide, 1 - (top + height) / high, width / wide, height / high))


def place_tokens(document: DocumentAttention, characters: int) -> list[PlacedToken]:
    """The tokens as running text of so many characters a line, every sentence on a new one."""
    sentence_starts = {start for start, _ in document.sentences}
    placed: list[PlacedToken] = []
    line = column = 0
    for number, token in enumerate(document.tokens):
        text = shorten(token, characters)
        if placed and (number in sentence_starts or column + len(text) > characters):
            line, column = line + 1, 0
        placed.append(PlacedToken(line, column, text))
        column += len(text) + 1
    return placed


def draw_text(
    axes: Axes, document: DocumentAttention, mode: Mode, panel: MemoryPanel, tokens: list[PlacedToken], width: float
) -> None:
    """The running text, every token shaded by its attention, every mention in a frame."""
    # Half a character at the left, for the frames.
    axes.set(xlim=(-0.5, width / CHARACTER - 0.5), ylim=(1 + tokens[-1].line if tokens else 1, 0))
    axes.axis("off")
    most = float(panel.shades.max(initial=0.0))
    # Shares that are even but for their rounding stay white.
    scale = max(most - panel.floor, 0.05 * panel.floor) or 1.0
    colours = memory_colours(panel.memory)
    for token, shade in zip(tokens, panel.shades.tolist(), strict=True):
        colour = colours(max(0.0, shade - panel.floor) / scale)
        axes.add_patch(Rectangle((token.column, token.line), len(token.text), 1, color=colour, linewidth=0))
        axes.text(token.column, token.line + 0.5, token.text, va="center_baseline", color="black", **FONT)
    for (start, end), kind in zip(document.spans, document.types, strict=True):
        for line in sorted({token.line for token in tokens[start:end]}) if kind is not None else ():
            on_line = [token for token in tokens[start:end] if token.line == line]
            first, last = on_line[0].column, on_line[-1].column + len(on_line[-1].text)
            corner = (first - 0.15, line + 0.06)
            frame = Rectangle(corner, last - first + 0.3, 0.88, fill=False, edgecolor=BASELINE, linewidth=0.5)
            axes.add_patch(frame)
    scale_sentence = f"white {panel.floor:.2g} %, darkest {most:.2g} %, even {panel.even:.2g} %"
    shaded = "mean attention of the slots" if mode == "inverse" else "share of the strongest slot"
    draw_heading(axes, f"{panel.memory.capitalize()} memory: {shaded}", scale_sentence)


def draw_heat_map(
    figure: Figure, heat_map: HeatMap, memory: MemoryName, mode: Mode, left: float, top: float, width: float
) -> None:
    """A heat map with its slots at the left, its items upright below and its scale at the right."""
    slots = [shorten(slot, MAX_SLOT_NAME) for slot in heat_map.slots]
    items = [shorten(item, MAX_ITEM_NAME) for item in heat_map.items]
    margin = 0.08 + CHARACTER * max(map(len, slots), default=0)
    axes = add_axes(figure, left + margin, top, width - margin - BAR, CELL * len(slots))
    most = float(heat_map.values.max(initial=0.0)) or 1.0
    image = axes.imshow(heat_map.values, cmap=memory_colours(memory), vmin=0.0, vmax=most, aspect="auto")
    axes.set_xticks(range(len(items)), items, rotation=90, **FONT)
    axes.set_yticks(range(len(slots)), slots, **FONT)
    axes.tick_params(length=0, pad=2)
    axes.grid(visible=False)
    for name, found in zip(axes.get_xticklabels(), heat_map.found, strict=True):
        name.set_color("black" if found else NOT_FOUND)
    shown = f"{len(slots)} of {len(slots) + heat_map.left_out} slots" if heat_map.left_out else "all slots"
    shown += "" if all(heat_map.found) else "; grey: not found as mentions"
    reader = "slot" if mode == "inverse" else heat_map.place.removesuffix("s")
    title = f"At {heat_map.place}: % of a {reader}'s attention"
    draw_heading(axes, title, f"even {heat_map.even:.2g} %; {shown}", margin=margin)
    bar = add_axes(figure, left + width - BAR + 0.08, top, 0.06, CELL * len(slots))
    figure.colorbar(image, cax=bar, ticks=[0.0, most])
    bar.set_yticklabels(["0", f"{most:.2g}"], **FONT)
    bar.tick_params(length=0, pad=2)


def draw_heading(axes: Axes, first: str, second: str, *, margin: float = 0.0) -> None:
    """Two lines above a panel, from the left edge of its column."""
    for text, above, size in ((first, 0.17, 7.0), (second, 0.05, FONT_SIZE)):
        offset = (-72 * margin, 72 * above)
        axes.annotate(text, (0, 1), offset, xycoords="axes fraction", textcoords="offset points", fontsize=size)


def memory_colours(memory: MemoryName) -> LinearSegmentedColormap:
    """White to a memory's colour, light enough for black text on it."""
    rgb = np.array([int(COLOURS[memory][start : start + 2], 16) / 255 for start in (1, 3, 5)])
    return LinearSegmentedColormap.from_list(memory, [(1.0, 1.0, 1.0), tuple(1 - 0.72 * (1 - rgb))])


def shorten(text: str, most: int) -> str:
    """The text on one line, in at most so many characters; a blank where there is none."""
    text = " ".join(text.split()) or " "
    return text if len(text) <= most else text[: most - 1] + "…"
