"""Writer of a synthetic document: its entities, their mentions in the text, and the facts about them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from core.data.documents import Annotation, Document, Entity, Relation, Span
from core.data.synthetic.grammar import COUNTRIES, FEMALE, KINDS, LAST, MALE, NOUNS, TITLES, TOWNS, TRADES

T = TypeVar("T")
FULL_AGAIN, NOMINAL, TRADE = 0.2, 0.4, 0.5
"""Shares of later mentions by the full name and by a noun, and of persons whose trade is given with their name."""


@dataclass(eq=False)
class NamedEntity:
    """An entity while its document is written: its type, its names, and its mentions so far.

    `nominal` is what else it may be called once `nominal_is_clear`: an organisation by its kind, a person by a trade.
    """

    type: str
    name: str
    short: str
    pronoun: str = "It"
    nominal: str | None = None
    nominal_is_clear: bool = False
    mentions: list[Span] = field(default_factory=list)


class EntityPools:
    """The entities that one document may mention, by kind, and the generator that draws among them."""

    def __init__(self, generator: np.random.Generator) -> None:
        self.generator = generator
        self.pools = {
            "persons": [
                self._person(last, trade) for last, trade in zip(self.pick(LAST, 6), self.pick(TRADES, 6), strict=True)
            ],
            "organisations": [self._organisation(kind) for kind in self.pick(KINDS, 5)],
            "towns": [NamedEntity("LOC", name, name) for name in self.pick(TOWNS, 5)],
            "countries": [NamedEntity("LOC", name, name) for name in self.pick(COUNTRIES, 5)],
            "works": [
                NamedEntity("MISC", f"The {title} of {noun}", f"The {title}")
                for title, noun in zip(self.pick(TITLES, 4), self.pick(NOUNS, 4), strict=True)
            ],
            "years": self._numbers("TIME", 1850 + generator.permutation(150)[:6]),
            "figures": self._numbers("NUM", 30 + 10 * generator.permutation(87)[:5]),
        }

    def pick(self, among: Sequence[T], count: int | None = None) -> list[T]:
        """That many of them (None: all), in random order."""
        return [among[index] for index in self.generator.permutation(len(among))[:count]]

    def chance(self, share: float) -> bool:
        """True in this share of draws."""
        return bool(self.generator.random() < share)

    def _person(self, last: str, trade: str) -> NamedEntity:
        female = self.chance(0.5)
        first = self.pick(FEMALE if female else MALE, 1)[0]
        return NamedEntity("PER", f"{first} {last}", last, "She" if female else "He", f"the {trade}")

    def _organisation(self, kind: str) -> NamedEntity:
        words = [*self.pick(NOUNS, 2), kind]
        acronym = "".join(word[0] for word in words)
        return NamedEntity("ORG", " ".join(words), acronym, nominal=f"the {kind.lower()}", nominal_is_clear=True)

    def _numbers(self, type: str, numbers: np.ndarray) -> list[NamedEntity]:
        return [NamedEntity(type, str(number), str(number)) for number in numbers]


class Writer:
    """Writes one document: words, mentions of entities, and the facts about them."""

    def __init__(self, pools: EntityPools) -> None:
        self.pools = pools
        self.tokens: list[str] = []
        self.sentences: list[Span] = []
        self.entities: list[NamedEntity] = []
        self.facts: dict[tuple[NamedEntity, NamedEntity, str], None] = {}

    def write(self, words: str, **entities: NamedEntity) -> None:
        """Words, in which the letter that stands for an entity becomes a mention of it."""
        for word in words.split():
            if word in entities:
                self._mention(entities[word])
            else:
                self.tokens.append(word)

    def _mention(self, entity: NamedEntity) -> None:
        """The next mention of an entity: the full name first, later mostly a surname or an acronym, or a noun."""
        within_sentence = len(self.tokens) > (self.sentences[-1][1] if self.sentences else 0)
        if not entity.mentions:
            self.entities.append(entity)
            if entity.type == "PER" and within_sentence and self.pools.chance(TRADE):
                self.tokens.extend((entity.nominal or "").split())
                entity.nominal_is_clear = True
            self._add_mention(entity, entity.name)
            if entity.type == "ORG":
                # The acronym is introduced, as in running text: nothing else would say what it stands for.
                self.tokens.append("(")
                self._add_mention(entity, entity.short)
                self.tokens.append(")")
        elif entity.nominal and entity.nominal_is_clear and within_sentence and self.pools.chance(NOMINAL):
            self._add_mention(entity, entity.nominal)
        else:
            self._add_mention(entity, entity.name if self.pools.chance(FULL_AGAIN) else entity.short)

    def _add_mention(self, entity: NamedEntity, words: str) -> None:
        start = len(self.tokens)
        self.tokens.extend(words.split())
        entity.mentions.append((start, len(self.tokens)))

    def end_sentence(self) -> None:
        """A full stop."""
        start = self.sentences[-1][1] if self.sentences else 0
        self.tokens.append(".")
        self.sentences.append((start, len(self.tokens)))

    def add_fact(self, head: NamedEntity, tail: NamedEntity, relation: str) -> None:
        """A fact, annotated once however often it is written."""
        self.facts[head, tail, relation] = None

    def document(self, name: str) -> Document:
        """What has been written."""
        numbers = {entity: number for number, entity in enumerate(self.entities)}
        return Document(
            id=name,
            title=name,
            tokens=tuple(self.tokens),
            sentences=tuple(self.sentences),
            gold=Annotation.from_entities(
                (Entity(tuple(entity.mentions), entity.type) for entity in self.entities),
                (Relation(numbers[head], numbers[tail], relation) for head, tail, relation in self.facts),
            ),
        )
