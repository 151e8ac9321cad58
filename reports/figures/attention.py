"""Memory attention: heat maps of slots by the tokens and mentions that they attend to most, a figure per read mode."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from core.config.memory import Mode
from core.records.memory_attention import DocumentAttention, ReadAttention, attention_path, read_attention
from core.records.record import SCORED
from reports.captions import label
from reports.figures.style import ReportFigure, house_style, page_width
from reports.frame import ReportData, run_facts

MAX_ROWS = 8
"""Rows with stored attention that are drawn."""
MAX_SLOTS, MAX_ITEMS = 8, 12
"""What a heat map shows: the slots that attend most to anything, and the items that they attend to most."""
MAX_TITLE, MAX_SLOT_NAME, MAX_ITEM_NAME = 60, 24, 20
"""Characters of a document's title, a slot's name and an item that are printed."""
COLOURS = {"entity": "Blues", "relation": "Oranges"}


@dataclass(frozen=True)
class HeatMap:
    """What one read attends to: slots times items, both those that stand out, in percent."""

    read: ReadAttention
    slots: list[str]
    items: list[str]
    values: np.ndarray
    """[slots, items]"""
    even: float
    """The percent that uniform attention would give every item (inverse) or slot (normal)."""


def attention_figures(data: ReportData) -> list[ReportFigure]:
    """A figure per mode of reading of the rows with stored attention (`engram evaluate RUN --attention`)."""
    figures = []
    for number, (row, run, document) in enumerate(islice(find_attention(data.frame), MAX_ROWS), start=1):
        by_mode = build_heat_maps(document)
        for mode, heat_maps in by_mode.items():
            name = f"attention-{number}" + (f"-{mode}" if len(by_mode) > 1 else "")
            caption = (
                f"What the {mode} read of {label(data.study, row)} attends to in one document (run {run}), each panel "
                "on a colour scale of its own."
            )
            details = (
                f"memory.reads {document.source}. Even: what uniform attention would give each token or span (inverse) "
                "or each slot (normal). Mentions that were found have their type in brackets."
            )
            figures.append(ReportFigure(name, draw_attention(document, heat_maps), caption, details))
    return figures


def find_attention(frame: pd.DataFrame) -> Iterator[tuple[str, str, DocumentAttention]]:
    """Row, run and first document of every row of which a scored run has stored attention; of several the first seed's.

    Raises a UserError for a damaged file.
    """
    runs = run_facts(frame)
    scored = runs[runs["status"].isin(SCORED) & (runs["folder"] != "")]
    shown = set[str]()
    for row, run, folder, split in scored[["row", "run", "folder", "split"]].itertuples(index=False):
        path = attention_path(Path(folder), split)
        documents = read_attention(path) if row not in shown and path.is_file() else []
        if documents and build_heat_maps(documents[0]):
            shown.add(row)
            yield row, run, documents[0]


def build_heat_maps(document: DocumentAttention) -> dict[Mode, list[HeatMap]]:
    """Mode -> a heat map per read, but for reads without slots or items: of a memory without types, of no spans."""
    heat_maps: dict[Mode, list[HeatMap]] = {}
    for read in document.reads:
        if read.weights and read.weights[0]:
            heat_maps.setdefault(read.mode, []).append(build_heat_map(document, read))
    return heat_maps


def build_heat_map(document: DocumentAttention, read: ReadAttention) -> HeatMap:
    """The heat map of one read: slots by falling peak, items in text order, mentions with their type.

    Of a normal read at mentions only those found, where there are any.
    """
    weights = 100.0 * np.array(read.weights, dtype=np.float64)
    names = [shorten(token, MAX_ITEM_NAME) for token in document.tokens]
    uniform, candidates = len(names), np.arange(len(names))
    if read.place == "mentions":
        texts = [shorten(" ".join(document.tokens[start:end]), MAX_ITEM_NAME) for start, end in document.spans]
        names = [f"{text} ({kind})" if kind else text for text, kind in zip(texts, document.types, strict=True)]
        mentions = np.flatnonzero([kind is not None for kind in document.types])
        uniform = document.candidates
        candidates = mentions if read.mode == "normal" and len(mentions) else np.arange(len(names))
    slots = np.argsort(-weights[:, candidates].max(1), kind="stable")[:MAX_SLOTS]
    peaks = weights[np.ix_(slots, candidates)].max(0)
    items = candidates[np.sort(np.argsort(-peaks, kind="stable")[:MAX_ITEMS])]
    return HeatMap(
        read=read,
        slots=[read.slots[slot] for slot in slots],
        items=[names[item] for item in items],
        values=weights[np.ix_(slots, items)],
        even=100.0 / (len(read.slots) if read.mode == "normal" else uniform),
    )


def draw_attention(document: DocumentAttention, heat_maps: Sequence[HeatMap]) -> Figure:
    """The heat maps of one document in one mode: a column per memory, a row per place."""
    memories = list(dict.fromkeys(heat_map.read.memory for heat_map in heat_maps))
    places = list(dict.fromkeys(heat_map.read.place for heat_map in heat_maps))
    with house_style():
        figure = Figure(figsize=(page_width(), 0.4 + 3.5 * len(places)))
        panels = figure.subplots(len(places), len(memories), squeeze=False)
        title = shorten(document.title or document.id, MAX_TITLE)
        # Documents hold dollar signs, and no formulas.
        mode = heat_maps[0].read.mode
        figure.suptitle(f"{title}: what the {mode} read attends to", parse_math=False)
        for heat_map in heat_maps:
            read = heat_map.read
            panel = panels[places.index(read.place), memories.index(read.memory)]
            image = panel.imshow(heat_map.values, cmap=COLOURS[read.memory], vmin=0.0, aspect="auto")
            panel.set_title(
                f"{read.memory.capitalize()} memory at {read.place}\n"
                f"{len(heat_map.slots)} of {len(read.slots)} slots; even {heat_map.even:.2g} %",
                fontsize="small",
            )
            slots = [shorten(slot, round(MAX_SLOT_NAME * page_width() / 6.3)) for slot in heat_map.slots]
            panel.set_xticks(range(len(heat_map.items)), heat_map.items, rotation=90, parse_math=False)
            panel.set_yticks(range(len(slots)), slots, parse_math=False)
            panel.grid(visible=False)
            bar = figure.colorbar(image, ax=panel, pad=0.02)
            reader = "slot" if mode == "inverse" else read.place.removesuffix("s")
            bar.set_label(f"% of a {reader}'s attention", fontsize="small")
            bar.ax.tick_params(labelsize="small")
    return figure


def shorten(text: str, most: int) -> str:
    """The text on one line, in at most so many characters; a blank where there is none."""
    text = " ".join(text.split()) or " "
    return text if len(text) <= most else text[: most - 1] + "…"
