"""A picture of memory attention: the text shaded by what the slots read, and a heat map of slots by words per place.

One column per memory. Everything is laid out in inches, in a font of one width: no text can meet another or be cut.

The numbers behind a picture of memory attention: one document, one mode of reading, in percent.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from core.config.schema import Mode, Reads
from core.data.documents import Span
from core.records.memory_attention import (
    DocumentAttention,
    MemoryName,
    Place,
    ReadAttention,
    attention_path,
    read_attention,
)
from core.records.record import SCORED
from reports.figures.style import BASELINE, WIDE, house_style
from reports.frame import run_facts

MOST_SLOTS, MOST_ITEMS = 8, 12
"""What a heat map shows: the slots that attend most to anything, and the items that they attend to most."""
SOURCES: dict[Reads, str] = {
    "written": "the written slots",
    "learned": "a matrix trained by reading alone",
    "random": "a frozen random matrix",
    "uniform": "with uniform attention",
    "constant": "a constant",
}
WORDS: dict[Mode, str] = {
    "inverse": "Each slot spreads its attention over a document; even: what each token or span would get of uniform "
    "attention.",
    "normal": "Each token or span spreads its attention over the slots; even: what each slot would get of uniform "
    "attention.",
}


@dataclass(frozen=True)
class HeatMap:
    """Slots times items, both those that stand out, in percent; `even` is what equal attention would give each."""

    place: Place
    slots: tuple[str, ...]
    items: tuple[str, ...]
    found: tuple[bool, ...]
    """Whether an item is a mention that was found; every token is."""
    values: np.ndarray
    even: float
    left_out: int
    """Slots that are not shown."""


@dataclass(frozen=True)
class MemoryPanel:
    """What one memory reads: a shade per token in percent (`shaded` says of what), white at `floor`, and heat maps."""

    memory: MemoryName
    shaded: str
    shades: tuple[float, ...]
    floor: float
    even: float
    heats: tuple[HeatMap, ...]


@dataclass(frozen=True)
class AttentionPicture:
    """A document's text, the mentions found in it, and what each memory reads there in one mode."""

    title: str
    mode: Mode
    tokens: tuple[str, ...]
    sentences: tuple[Span, ...]
    mentions: tuple[Span, ...]
    memories: tuple[MemoryPanel, ...]


def attended(frame: pd.DataFrame) -> Iterator[tuple[str, str, DocumentAttention]]:
    """Row, run and first document of every row of which a scored run has stored attention; of several the first seed's.

    Raises a UserError for a damaged file.
    """
    for row, runs in run_facts(frame).groupby("row", sort=False):
        for run in runs[runs["status"].isin(SCORED)].to_dict("records"):
            path = attention_path(Path(run["folder"]), run["split"])
            documents = read_attention(path) if path.is_file() else []
            if documents and find_modes(documents[0]):
                yield str(row), run["run"], documents[0]
                break


def find_modes(document: DocumentAttention) -> tuple[Mode, ...]:
    """The modes of which there is something to see, in the order in which the document was read."""
    return tuple(dict.fromkeys(read.mode for read in filled(document)))


def filled(document: DocumentAttention) -> list[ReadAttention]:
    """The reads that have slots and items: none of a memory without types, none at mentions where there is no span."""
    return [read for read in document.reads if read.weights and read.weights[0]]


def build_picture(document: DocumentAttention, mode: Mode) -> AttentionPicture:
    """The picture of a document in one mode."""
    of_mode = [read for read in filled(document) if read.mode == mode]
    memories = dict.fromkeys(read.memory for read in of_mode)
    return AttentionPicture(
        title=document.title or document.id,
        mode=mode,
        tokens=document.tokens,
        sentences=document.sentences,
        mentions=tuple(span for span, kind in zip(document.spans, document.types, strict=True) if kind is not None),
        memories=tuple(
            memory_picture(document, [read for read in of_mode if read.memory == name]) for name in memories
        ),
    )


def memory_picture(document: DocumentAttention, reads: list[ReadAttention]) -> MemoryPanel:
    """What one memory reads, by its reads at tokens, at mentions or at both."""
    first = reads[0]
    weights = percent(first)
    # Inverse: what a token gets from an average slot. Normal: what its strongest slot gets from it.
    each = weights.mean(0) if first.mode == "inverse" else weights.max(0)
    if first.place == "mentions":
        each = spread(each, document)
    return MemoryPanel(
        memory=first.memory,
        shaded="mean attention of the slots" if first.mode == "inverse" else "share of the strongest slot",
        shades=tuple(each.tolist()),
        # No strongest slot has less than an even share.
        floor=0.0 if first.mode == "inverse" else even_share(document, first),
        even=even_share(document, first),
        heats=tuple(build_heat_map(document, read) for read in reads),
    )


def percent(read: ReadAttention) -> np.ndarray:
    """The weights [slots, items] in percent."""
    return 100.0 * np.array(read.weights, dtype=np.float64)


def even_share(document: DocumentAttention, read: ReadAttention) -> float:
    """The percent that every item (inverse) or slot (normal) would get of attention that looks at nothing."""
    if read.mode == "normal":
        return 100.0 / len(read.slots)
    return 100.0 / (len(document.tokens) if read.place == "tokens" else document.candidates)


def spread(values: np.ndarray, document: DocumentAttention) -> np.ndarray:
    """Values of spans on tokens: the largest of the mentions found that hold the token, 0 outside of them."""
    shades = np.zeros(len(document.tokens))
    for (start, end), kind, value in zip(document.spans, document.types, values.tolist(), strict=True):
        if kind is not None:
            shades[start:end] = np.maximum(shades[start:end], value)
    return shades


def build_heat_map(document: DocumentAttention, read: ReadAttention) -> HeatMap:
    """The heat map of one read: slots by falling peak, items in text order.

    Of a normal read at mentions only those found, where there are any: what a span that is none pays says little.
    """
    weights = percent(read)
    if read.place == "tokens":
        names, found = list(document.tokens), [True] * len(document.tokens)
    else:
        names = [" ".join(document.tokens[start:end]) for start, end in document.spans]
        found = [kind is not None for kind in document.types]
    if read.mode == "normal" and any(found):
        weights = weights[:, found]
        names, found = [name for name, kept in zip(names, found, strict=True) if kept], [True] * sum(found)
    slots = np.argsort(-weights.max(1), kind="stable")[:MOST_SLOTS]
    shown = weights[slots]
    items = np.sort(np.argsort(-shown.max(0), kind="stable")[:MOST_ITEMS])
    return HeatMap(
        place=read.place,
        slots=tuple(read.slots[slot] for slot in slots),
        items=tuple(names[item] for item in items),
        found=tuple(found[item] for item in items),
        values=shown[:, items],
        even=even_share(document, read),
        left_out=len(read.slots) - len(slots),
    )


POINTS = 6.0
ADVANCE = 0.603 * POINTS / 72
"""Inches that a character of DejaVu Sans Mono takes."""
LINE, CELL, TITLE, HEADING, GAP, EDGE, BAR = 0.125, 0.14, 0.2, 0.32, 0.1, 0.08, 0.42
"""Inches: a line of text, a row of a heat map, the title, a heading, between parts, around all, a colour bar's room."""
LONGEST_SLOT, LONGEST_ITEM = 14, 22
AS_IT_IS: dict[str, Any] = {"parse_math": False}
"""Documents hold dollar signs, and no formulas."""
FONT: dict[str, Any] = {"family": "DejaVu Sans Mono", "fontsize": POINTS, **AS_IT_IS}
UNFOUND = "#8a8a8a"
TINT = {"entity": "#0072B2", "relation": "#D55E00"}


@dataclass(frozen=True)
class PlacedToken:
    """A token in the running text: its line, the column of its first character, and its text."""

    line: int
    column: int
    text: str


def attention(picture: AttentionPicture) -> Figure:
    """The picture of one document in one mode."""
    with house_style():
        columns = len(picture.memories)
        width = (WIDE - EDGE * 2 - GAP * 2 * (columns - 1)) / columns
        text = running(picture, int(width / ADVANCE) - 1)
        lines = 1 + max((token.line for token in text), default=0)
        # Heat maps of one place stand side by side: each row of them is as high as its highest.
        rows = [
            max(map(height_of, heats)) for heats in zip(*(memory.heats for memory in picture.memories), strict=True)
        ]
        above = EDGE + TITLE + HEADING + lines * LINE
        figure = Figure(figsize=(WIDE, above + sum(rows) + EDGE))
        figure.set_layout_engine("none")
        figure.text(
            EDGE / WIDE, 1 - EDGE / (above + sum(rows) + EDGE), picture_title(picture), va="top", fontsize=8, **AS_IT_IS
        )
        for place, memory in enumerate(picture.memories):
            left = EDGE + place * (width + GAP * 2)
            panel = axes(figure, left, EDGE + TITLE + HEADING, width, lines * LINE)
            write_text(panel, picture, memory, text, width)
            for number, heat in enumerate(memory.heats):
                top = above + sum(rows[:number]) + GAP + HEADING
                draw_heat(figure, heat, memory.memory, picture.mode, left, top, width)
    return figure


def picture_title(picture: AttentionPicture) -> str:
    """Which document, and how it is read."""
    return cut(f"{picture.title}: what the {picture.mode} read attends to; framed: mentions found", 110)


def axes(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes at a place given in inches from the upper left corner."""
    wide, high = figure.get_size_inches()
    return figure.add_axes((left / wide, 1 - (top + height) / high, width / wide, height / high))


def height_of(heat: HeatMap) -> float:
    """Inches that a heat map takes, with its heading and the upright labels below it."""
    labels = ADVANCE * max((len(cut(item, LONGEST_ITEM)) for item in heat.items), default=0)
    return GAP + HEADING + CELL * len(heat.slots) + 0.06 + labels


def running(picture: AttentionPicture, characters: int) -> list[PlacedToken]:
    """The tokens as running text of so many characters a line, every sentence on a new one."""
    starts = {start for start, _ in picture.sentences}
    placed: list[PlacedToken] = []
    line = column = 0
    for number, token in enumerate(picture.tokens):
        shown = cut(token, characters)
        if placed and (number in starts or column + len(shown) > characters):
            line, column = line + 1, 0
        placed.append(PlacedToken(line, column, shown))
        column += len(shown) + 1
    return placed


def write_text(
    panel: Axes, picture: AttentionPicture, memory: MemoryPanel, text: list[PlacedToken], width: float
) -> None:
    """The running text, every token shaded by its attention, every mention in a frame."""
    lines = 1 + max((token.line for token in text), default=0)
    # Half a character at the left, for the frames.
    panel.set(xlim=(-0.5, width / ADVANCE - 0.5), ylim=(lines, 0))
    panel.axis("off")
    most = max(memory.shades, default=0.0)
    # Shares that are even but for their rounding stay white.
    reach = max(most - memory.floor, 0.05 * memory.floor) or 1.0
    colours = memory_colours(memory.memory)
    for token, shade in zip(text, memory.shades, strict=True):
        colour = colours(max(0.0, shade - memory.floor) / reach)
        panel.add_patch(Rectangle((token.column, token.line), len(token.text), 1, color=colour, linewidth=0))
        panel.text(token.column, token.line + 0.5, token.text, va="center_baseline", color="black", **FONT)
    for start, end in picture.mentions:
        for line in sorted({token.line for token in text[start:end]}):
            parts = [token for token in text[start:end] if token.line == line]
            first, past = parts[0].column, parts[-1].column + len(parts[-1].text)
            frame = Rectangle((first - 0.15, line + 0.06), past - first + 0.3, 0.88, fill=False)
            frame.set(edgecolor=BASELINE, linewidth=0.5)
            panel.add_patch(frame)
    heading(
        panel,
        f"{memory.memory.capitalize()} memory: {memory.shaded}",
        f"white {memory.floor:.2g} %, darkest {most:.2g} %, even {memory.even:.2g} %",
    )


def draw_heat(figure: Figure, heat: HeatMap, memory: str, mode: Mode, left: float, top: float, width: float) -> None:
    """A heat map with its slots at the left, its items upright below and its scale at the right."""
    labels = [cut(slot, LONGEST_SLOT) for slot in heat.slots]
    margin = 0.08 + ADVANCE * max(map(len, labels), default=0)
    panel = axes(figure, left + margin, top, width - margin - BAR, CELL * len(labels))
    most = float(heat.values.max(initial=0.0)) or 1.0
    image = panel.imshow(heat.values, cmap=memory_colours(memory), vmin=0.0, vmax=most, aspect="auto")
    panel.set_xticks(range(len(heat.items)), [cut(item, LONGEST_ITEM) for item in heat.items], rotation=90, **FONT)
    panel.set_yticks(range(len(labels)), labels, **FONT)
    panel.tick_params(length=0, pad=2)
    panel.grid(visible=False)
    shown = f"{len(labels)} of {len(labels) + heat.left_out} slots" if heat.left_out else "all slots"
    shown += "" if all(heat.found) else "; grey: not found as mentions"
    for label, found in zip(panel.get_xticklabels(), heat.found, strict=True):
        label.set_color("black" if found else UNFOUND)
    payer = "slot" if mode == "inverse" else heat.place.removesuffix("s")
    heading(panel, f"At {heat.place}: % of a {payer}'s attention", f"even {heat.even:.2g} %; {shown}", margin=margin)
    bar = axes(figure, left + width - BAR + 0.08, top, 0.06, CELL * len(labels))
    figure.colorbar(image, cax=bar, ticks=[0.0, most])
    bar.set_yticklabels(["0", f"{most:.2g}"], **FONT)
    bar.tick_params(length=0, pad=2)


def heading(panel: Axes, first: str, second: str, *, margin: float = 0.0) -> None:
    """Two lines above a panel, from the left edge of its column."""
    for text, above, size in ((first, 0.17, 7.0), (second, 0.05, POINTS)):
        place = (-72 * margin, 72 * above)
        panel.annotate(text, (0, 1), place, xycoords="axes fraction", textcoords="offset points", fontsize=size)


def memory_colours(memory: str) -> LinearSegmentedColormap:
    """White to a memory's colour, light enough for black text on it."""
    end = np.array([int(TINT[memory][place : place + 2], 16) / 255 for place in (1, 3, 5)])
    return LinearSegmentedColormap.from_list(memory, [(1.0, 1.0, 1.0), tuple(1 - 0.72 * (1 - end))])


def cut(text: str, most: int) -> str:
    """The text on one line, in at most so many characters; a blank where there is none."""
    text = " ".join(text.split()) or " "
    return text if len(text) <= most else text[: most - 1] + "…"
