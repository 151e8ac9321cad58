"""The things that a document of the embedded corpus may speak of, and the hand that writes them down."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from core.data.documents import Annotation, Document, Entity, Relation, Span
from core.data.synthetic.grammar import (
    COUNTRIES,
    FEMALE,
    KINDS,
    LAST,
    MALE,
    NOUNS,
    TITLES,
    TOWNS,
    TRADES,
)

T = TypeVar("T")
FULL_AGAIN, NOMINAL, TRADE = 0.2, 0.4, 0.5
"""Shares of later mentions by the full name and by a noun, and of persons whose trade is told with their name."""


@dataclass(eq=False)
class Thing:
    """An entity while its document is written: its type, its names, and where they have stood so far."""

    type: str
    name: str
    short: str
    pronoun: str = "It"
    nominal: str | None = None
    """What else it may be called once `told`: an organisation by its kind, a person by the trade that was told."""
    told: bool = False
    spans: list[Span] = field(default_factory=list)


class World:
    """The things of one document, by pool, and the generator that draws among them."""

    def __init__(self, draw: np.random.Generator) -> None:
        self.draw = draw
        self.pools = {
            "persons": [
                self._person(last, trade) for last, trade in zip(self.pick(LAST, 6), self.pick(TRADES, 6), strict=True)
            ],
            "organisations": [self._organisation(kind) for kind in self.pick(KINDS, 5)],
            "towns": [Thing("LOC", name, name) for name in self.pick(TOWNS, 5)],
            "countries": [Thing("LOC", name, name) for name in self.pick(COUNTRIES, 5)],
            "works": [
                Thing("MISC", f"The {title} of {noun}", f"The {title}")
                for title, noun in zip(self.pick(TITLES, 4), self.pick(NOUNS, 4), strict=True)
            ],
            "years": [Thing("TIME", str(1850 + year), str(1850 + year)) for year in draw.permutation(150)[:6]],
            "figures": [Thing("NUM", str(30 + 10 * n), str(30 + 10 * n)) for n in draw.permutation(87)[:5]],
        }

    def pick(self, among: Sequence[T], count: int | None = None) -> list[T]:
        """That many of them (none: all), in random order."""
        return [among[index] for index in self.draw.permutation(len(among))[:count]]

    def chance(self, share: float) -> bool:
        """True in this share of draws."""
        return bool(self.draw.random() < share)

    def _person(self, last: str, trade: str) -> Thing:
        female = self.chance(0.5)
        first = self.pick(FEMALE if female else MALE, 1)[0]
        return Thing("PER", f"{first} {last}", last, "She" if female else "He", f"the {trade}")

    def _organisation(self, kind: str) -> Thing:
        words = [*self.pick(NOUNS, 2), kind]
        return Thing("ORG", " ".join(words), "".join(word[0] for word in words), "It", f"the {kind.lower()}", told=True)


class Writer:
    """Writes one document: words, mentions of things, and the facts about them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.tokens: list[str] = []
        self.sentences: list[Span] = []
        self.things: list[Thing] = []
        self.facts: dict[tuple[Thing, Thing, str], None] = {}

    def say(self, words: str, **things: Thing) -> None:
        """Words, in which the letter that names a thing becomes a mention of it."""
        for word in words.split():
            if word in things:
                self.name(things[word])
            else:
                self.tokens.append(word)

    def name(self, thing: Thing) -> None:
        """The next mention of a thing: the full name first, later mostly a surname or an acronym, or a noun."""
        inside = len(self.tokens) > (self.sentences[-1][1] if self.sentences else 0)
        if not thing.spans:
            self.things.append(thing)
            if thing.type == "PER" and inside and self.world.chance(TRADE):
                self.tokens.extend((thing.nominal or "").split())
                thing.told = True
            self.mention(thing, thing.name)
            if thing.type == "ORG":
                # The acronym is introduced, as in running text: nothing else would tell what it stands for.
                self.tokens.append("(")
                self.mention(thing, thing.short)
                self.tokens.append(")")
        elif thing.nominal is not None and thing.told and inside and self.world.chance(NOMINAL):
            self.mention(thing, thing.nominal)
        else:
            self.mention(thing, thing.name if self.world.chance(FULL_AGAIN) else thing.short)

    def mention(self, thing: Thing, words: str) -> None:
        """A mention by these words."""
        start = len(self.tokens)
        self.tokens.extend(words.split())
        thing.spans.append((start, len(self.tokens)))

    def end_sentence(self) -> None:
        """A full stop."""
        start = self.sentences[-1][1] if self.sentences else 0
        self.tokens.append(".")
        self.sentences.append((start, len(self.tokens)))

    def state(self, head: Thing, tail: Thing, relation: str) -> None:
        """A fact, annotated once however often it is said."""
        self.facts[head, tail, relation] = None

    def document(self, name: str) -> Document:
        """What has been written."""
        place = {thing: number for number, thing in enumerate(self.things)}
        return Document(
            id=name,
            title=name,
            tokens=tuple(self.tokens),
            sentences=tuple(self.sentences),
            gold=Annotation.from_entities(
                (Entity(tuple(thing.spans), thing.type) for thing in self.things),
                (Relation(place[head], place[tail], relation) for head, tail, relation in self.facts),
            ),
        )
