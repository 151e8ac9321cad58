"""Plain text: a blank line separates documents; tokens, sentences and character offsets are made here.

The rules are small and need no model: the same text is always cut the same way. Tokens are maximal runs of letters and
digits, numbers with inner points or commas, abbreviations such as `U.S.`, and every other character that is not white
space alone. Every character that is not white space lies in exactly one token.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

from core.data.corpus import UniqueIds
from core.data.documents import Document, Span
from core.data.formats.conversion import Conversion
from core.data.issues import Issues
from core.parsing import decode_text

_BLANK_LINES = re.compile(r"\n[^\S\n]*\n")
_TOKEN = re.compile(r"\d+(?:[.,]\d+)+(?!\w)|(?:[^\W\d_]\.){2,}|['’](?:s|re|ve|ll|d|m|t)\b|[^\W_]+|\S")
_ENDS = frozenset(".!?…。！？")
_CLOSERS = frozenset("\"'”’)]}»")
_OPENERS = frozenset("\"'“‘([{«")


# Before a name: never the end of a sentence.
_TITLES = frozenset("dr mr mrs ms prof st mt ft gen col lt sgt capt rev hon".split())
# Before a number: the end of a sentence otherwise.
_COUNTED = frozenset("no nos fig figs eq vol pp p ch sec art".split())
# May end a sentence: the next word decides.
_ABBREVIATIONS = frozenset(
    "vs al approx ca cf dept est etc inc ltd co corp jr sr ed eds resp jan feb mar apr jun jul aug sep sept oct nov "
    "dec viz spp var".split()
)
_STARTERS = frozenset(
    "The A An In On At He She It They We This That These Those There But And However After Before When While His Her "
    "Its Their As For From With By To I You Our If Since During Although Both All No".split()
)


class TextConversion(Conversion[str]):
    """A paragraph, named `<stem of the file>-1`, `<stem>-2`, ...; it has no gold."""

    @classmethod
    def parse_file(cls, raw: bytes, path: Path | str, issues: Issues) -> list[str]:
        return [paragraph for paragraph in _BLANK_LINES.split(decode_text(raw, path)) if paragraph.strip()]

    @classmethod
    def parse_document(cls, raw: bytes, path: Path | str, *, index: int, line: int) -> str:
        return decode_text(raw, path, index=index, line=line)

    @property
    def title(self) -> None:
        return None

    def convert(self, ids: UniqueIds) -> Document:
        text = self.raw.strip().replace("\r\n", "\n").replace("\r", "\n")
        offsets = tokenise(text)
        sentences, _ = split_sentences(text, offsets)
        return Document(
            id=ids.take(f"{Path(self.path).stem}-{self.index + 1}", self.index),
            tokens=tuple(text[start:end] for start, end in offsets),
            sentences=tuple(sentences),
            text=text,
            offsets=tuple(offsets),
        )


def tokenise(text: str, borders: Iterable[int] = ()) -> list[Span]:
    """The character spans of the tokens of a text, cut further at every border (a character offset)."""
    cuts = sorted(set(borders))
    spans: list[Span] = []
    for match in _TOKEN.finditer(text):
        start, end = match.span()
        for cut in cuts[bisect_right(cuts, start) : bisect_left(cuts, end)]:
            spans.append((start, cut))
            start = cut
        spans.append((start, end))
    return spans


def split_sentences(
    text: str, tokens: Sequence[Span], *, keep_whole: Iterable[Span] = (), breaks: Iterable[int] = ()
) -> tuple[list[Span], int]:
    """Sentences as token spans, and how many borders were given up because they fell inside a span to keep whole.

    `tokens` are character spans, `keep_whole` token spans (mentions), `breaks` character offsets where a sentence ends
    whatever stands there (the end of a title, a blank line), even inside a span to keep whole.
    """
    if not tokens:
        return [], 0
    forced = {bisect_left(tokens, (offset, offset)) for offset in breaks}
    found = {number for number in range(1, len(tokens)) if _is_border(text, tokens, number)} - forced
    inside = {number for start, end in keep_whole for number in range(start + 1, end)}
    borders = sorted({0, len(tokens)} | (found - inside) | {number for number in forced if 0 < number < len(tokens)})
    return list(pairwise(borders)), len(found & inside)


def _is_border(text: str, tokens: Sequence[Span], number: int) -> bool:
    """Whether a sentence ends before token `number`."""
    start = tokens[number][0]
    if tokens[number - 1][1] == start:
        return False
    last = number - 1
    while last > 0 and text[tokens[last][0]] in _CLOSERS and tokens[last - 1][1] == tokens[last][0]:
        last -= 1
    end = text[slice(*tokens[last])]
    following = text[slice(*tokens[number])]
    if end[-1] not in _ENDS:
        return False
    if following[0] in _OPENERS and number + 1 < len(tokens):
        following = text[slice(*tokens[number + 1])]
    if following[0].islower():
        return False
    if end[-1] != ".":
        return True
    if len(end) > 1:  # U.S. at the end of a sentence reads like U.S. within one, so the next word decides
        return following in _STARTERS
    if last == 0 or tokens[last - 1][1] != tokens[last][0]:
        return True
    word = text[slice(*tokens[last - 1])]
    if len(word) == 1 and word.isupper():  # an initial, as in J. Smith
        return following in _STARTERS
    word = word.lower()
    if word in _TITLES or (word in _COUNTED and following[0].isdigit()):
        return False
    return word not in _ABBREVIATIONS or following in _STARTERS
