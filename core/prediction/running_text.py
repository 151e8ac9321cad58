"""Running text with mentions: tokens and spans -> a flat sequence of text, openings and closings, properly nested."""

import heapq
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from core.data.documents import Document, Span

CLOSING = frozenset([")", "]", "}", ",", ".", ";", ":", "!", "?", "%", "'", "’", "”", "'s", "’s", "n't", "…"])
"""Tokens that follow the token before them without a space."""
OPENING = frozenset(["(", "[", "{", "$", "£", "€", "“", "‘", "#"])
"""Tokens that the next token follows without a space."""


class Part(NamedTuple):
    """Some text, or the opening or closing of a mention of entity `entity` (0: of none).

    `last` is False on the closing of a piece whose mention goes on in a later piece.
    """

    kind: str
    text: str = ""
    entity: int = 0
    last: bool = True


def nested(mentions: Iterable[tuple[Span, int]]) -> list[tuple[Span, int, bool]]:
    """Mentions as (span, entity, last piece), outer before inner; one that crosses another's end is cut there."""
    # Longer first among those that start together, so that what comes later lies inside.
    waiting = [(start, -end, entity) for (start, end), entity in set(mentions)]
    heapq.heapify(waiting)
    pieces: list[tuple[Span, int, bool]] = []
    open_ends: list[int] = []
    while waiting:
        start, minus_end, entity = heapq.heappop(waiting)
        while open_ends and open_ends[-1] <= start:
            open_ends.pop()
        end = -minus_end
        whole = not open_ends or end <= open_ends[-1]
        if not whole:
            end = open_ends[-1]
            heapq.heappush(waiting, (end, minus_end, entity))
        open_ends.append(end)
        pieces.append(((start, end), entity, whole))
    return pieces


def parts(document: Document, mentions: Iterable[tuple[Span, int]]) -> list[Part]:
    """The document as text, `open` and `close` parts in reading order; every opening has its closing.

    The text is the source's where it is kept, else the tokens with spaces where English has them.
    """
    pieces = nested(mentions)
    spaces = _text_between(document)
    made: list[Part] = []
    stack: list[tuple[int, int, bool]] = []  # (end, entity, last piece)
    upcoming = 0
    for place, token in enumerate(document.tokens):
        while stack and stack[-1][0] == place:
            _, entity, last = stack.pop()
            made.append(Part("close", entity=entity, last=last))
        made.append(Part("text", spaces[place]))
        while upcoming < len(pieces) and pieces[upcoming][0][0] == place:
            (_, end), entity, last = pieces[upcoming]
            stack.append((end, entity, last))
            made.append(Part("open", entity=entity, last=last))
            upcoming += 1
        made.append(Part("text", token))
    made += [Part("close", entity=entity, last=last) for _, entity, last in reversed(stack)]
    return [part for part in made if part.kind != "text" or part.text]


def display_text(document: Document, span: Span) -> str:
    """A span as it is written in running text, white space in a row as one space."""
    spaces = _text_between(document)
    written = (spaces[place] + document.tokens[place] for place in range(*span))
    return " ".join("".join(written).split())


def _text_between(document: Document) -> Sequence[str]:
    """What stands before every token: the source's white space, or a space where one would be written."""
    if document.text is not None and document.offsets is not None:
        ends = [0, *(end for _, end in document.offsets)]
        return [document.text[end:start] for end, (start, _) in zip(ends, document.offsets, strict=False)]
    tokens = document.tokens
    glued = [False] * len(tokens)
    quote_open = False
    for place, token in enumerate(tokens):
        if token == '"':
            # A straight quote leans to what it encloses, so every other one closes.
            glued[place] = glued[place] or quote_open
            if not quote_open and place + 1 < len(tokens):
                glued[place + 1] = True
            quote_open = not quote_open
        elif token in CLOSING:
            glued[place] = True
        elif token in OPENING and place + 1 < len(tokens):
            glued[place + 1] = True
    return ["" if place == 0 or glued[place] else " " for place in range(len(tokens))]
