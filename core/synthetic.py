"""The embedded corpus: generated documents in DocRED's manner, so that everything runs without a download.

It stands for no real result. A document draws a small world (persons, organisations, places, works, years) from
closed lists and states facts about it, each by one of a few templates, in random order:

- coreference: the full name, then the surname; an organisation, then its acronym; nominal mentions ("the novelist");
  pronouns carry facts over a sentence border and are, as in DocRED, not annotated;
- facts that need two sentences: the tail stands in a sentence that mentions the head only by a pronoun;
- distractors: the same words about the same kinds of entities without a relation ("never worked for", "reviewed"), and
  sentences that state two facts at once, so that a bag of words does not tell which entities are related.

Every draw is keyed by (seed, number of the document): the same call gives the same corpus anywhere.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
import numpy as np

from core.documents import Annotation, Document, Entity, LabelSet, Relation, Span
from core.inventory import COUNTRIES, FEMALE, KINDS, LAST, MALE, NOUNS, TITLES, TOWNS, TRADES
from core.keys import key_of
from core.readers.docred_writing import docred_bytes

RELATIONS = {
    "P19": "place of birth",
    "P569": "date of birth",
    "P27": "country of citizenship",
    "P69": "educated at",
    "P108": "employer",
    "P26": "spouse",
    "P112": "founded by",
    "P159": "headquarters location",
    "P571": "inception",
    "P1128": "employees",
    "P17": "country",
    "P50": "author",
    "P577": "publication date",
}
LABELS = LabelSet(
    entity_types=("PER", "ORG", "LOC", "TIME", "NUM", "MISC"),
    relation_types=tuple(RELATIONS),
    relation_names=tuple(RELATIONS.values()),
)


@dataclass
class Thing:
    """An entity while its document is written: its type, its names, and where they have stood so far."""

    type: str
    name: str
    short: str
    nominal: str | None = None
    pronoun: str = "It"
    spans: list[Span] = field(default_factory=list)


class Writer:
    """Writes the sentences of one document; strings are plain words, things become mentions."""

    def __init__(self) -> None:
        self.tokens: list[str] = []
        self.sentences: list[Span] = []
        self.things: list[Thing] = []
        self.facts: list[tuple[Thing, Thing, str]] = []

    def say(self, *parts: str | Thing) -> None:
        """One sentence; a thing is named in full the first time and by its short name later."""
        start = len(self.tokens)
        for part in parts:
            if isinstance(part, Thing):
                new = not part.spans
                self.mention(part, part.name if new else part.short)
                if new and part.type == "ORG":
                    # The acronym is introduced, as in running text: nothing else would tell what it stands for.
                    self.tokens.append("(")
                    self.mention(part, part.short)
                    self.tokens.append(")")
            else:
                self.tokens.extend(part.split())
        self.tokens.append(".")
        self.sentences.append((start, len(self.tokens)))

    def mention(self, thing: Thing, words: str) -> None:
        """A mention of a thing by these words."""
        if not thing.spans:
            self.things.append(thing)
        first = len(self.tokens)
        self.tokens.extend(words.split())
        thing.spans.append((first, len(self.tokens)))

    def state(self, head: Thing, tail: Thing, relation: str) -> None:
        """A fact, annotated once however often it is said."""
        self.facts.append((head, tail, relation))

    def document(self, name: str) -> Document:
        """What has been written."""
        place = {id(thing): number for number, thing in enumerate(self.things)}
        entities = [Entity(tuple(thing.spans), thing.type) for thing in self.things]
        facts = dict.fromkeys((place[id(head)], place[id(tail)], relation) for head, tail, relation in self.facts)
        return Document(
            id=name,
            title=name,
            tokens=tuple(self.tokens),
            sentences=tuple(self.sentences),
            gold=Annotation.of(entities, (Relation(*fact) for fact in facts)),
        )


class World:
    """The things that a document may speak of, and the generator that draws among them."""

    def __init__(self, draw: np.random.Generator) -> None:
        self.draw = draw
        self.persons = [
            self._person(last, trade) for last, trade in zip(self.pick(LAST, 4), self.pick(TRADES, 4), strict=True)
        ]
        self.towns = [Thing("LOC", name, name) for name in self.pick(TOWNS, 5)]
        self.countries = [Thing("LOC", name, name) for name in self.pick(COUNTRIES, 3)]
        self.organisations = [self._organisation() for _ in range(3)]
        self.works = [
            Thing("MISC", f"The {noun} of {title}", f"The {noun}")
            for noun, title in zip(self.pick(TITLES, 2), self.pick(NOUNS, 2), strict=True)
        ]
        self.years = [Thing("TIME", str(year), str(year)) for year in self.draw.permutation(np.arange(1850, 2000))[:12]]
        self.figures = [Thing("NUM", str(10 * n), str(10 * n)) for n in self.draw.permutation(np.arange(3, 90))[:4]]

    def pick(self, names: tuple[str, ...], count: int) -> list[str]:
        """Different names, in random order."""
        return [names[index] for index in self.draw.permutation(len(names))[:count]]

    def chance(self, share: float) -> bool:
        """True in this share of draws."""
        return bool(self.draw.random() < share)

    def _person(self, last: str, trade: str) -> Thing:
        female = self.chance(0.5)
        first = self.pick(FEMALE if female else MALE, 1)[0]
        return Thing("PER", f"{first} {last}", last, f"the {trade}", "She" if female else "He")

    def _organisation(self) -> Thing:
        words = [*self.pick(NOUNS, 2), self.pick(KINDS, 1)[0]]
        return Thing("ORG", " ".join(words), "".join(word[0] for word in words), f"the {words[-1].lower()}")


Fact = Callable[[Writer, World], None]


def birth(writer: Writer, world: World) -> None:
    """Place and date of birth, in one sentence or carried over by a pronoun."""
    person, other = world.persons[:2]
    town, far = world.towns[:2]
    year, late = world.years.pop(), world.years.pop()
    writer.state(person, town, "P19")
    writer.state(person, year, "P569")
    if world.chance(0.5):
        writer.say(person, "was born in", year, "in", town, ", while", other, "only moved to", far, "in", late)
        return
    writer.say(person, "was", world.pick(("admired", "known", "feared"), 1)[0], "by", other, "in", far)
    writer.say(person.pronoun, "was born in", town, "in", year)


def two_births(writer: Writer, world: World) -> None:
    """Two facts whose order alone tells which is whose."""
    one, two = world.persons[:2]
    here, there = world.towns[:2]
    writer.state(one, here, "P19")
    writer.state(two, there, "P19")
    writer.say(one, "and", two, "were born in", here, "and", there, ", respectively")


def citizenship(writer: Writer, world: World) -> None:
    """Citizenship, beside a country that was only visited."""
    person, country, visited = world.persons[0], *world.countries[:2]
    writer.state(person, country, "P27")
    if world.chance(0.5):
        writer.say(person, ",", "a citizen of", country, ", often visited", visited)
    else:
        writer.say("After years in", visited, ",", person, "remained a citizen of", country)


def school(writer: Writer, world: World) -> None:
    """Education at one organisation, a refusal by another."""
    person, school_, other = world.persons[0], *world.organisations[:2]
    writer.state(person, school_, "P69")
    if world.chance(0.5):
        writer.say(person, "studied at", school_, "after", other, "had refused", "the application")
    else:
        writer.say("Refused by", other, ",", person, "studied at", school_)


def work(writer: Writer, world: World) -> None:
    """Employment of one person, never of another."""
    person, other = world.persons[:2]
    employer = world.organisations[0]
    writer.state(person, employer, "P108")
    if world.chance(0.4):
        writer.say(other, "never worked for", employer, ", but", person, "did for", "years")
    elif world.chance(0.5):
        writer.say(person, "worked for", employer, ", unlike", other)
    else:
        writer.say(other, "wrote about", person)
        writer.say("At that time ,", person.pronoun.lower(), "worked for", employer)


def marriage(writer: Writer, world: World) -> None:
    """A marriage, symmetric, beside a friend."""
    one, two, friend = world.persons[:3]
    writer.state(one, two, "P26")
    writer.state(two, one, "P26")
    writer.say(one, "married", two, ", a friend of", friend)


def founding(writer: Writer, world: World) -> None:
    """Founder and year of an organisation; a critic of it."""
    founder, critic = world.persons[:2]
    company, year = world.organisations[0], world.years.pop()
    writer.state(company, founder, "P112")
    writer.state(company, year, "P571")
    if world.chance(0.5):
        writer.say(company, "was founded by", founder, "in", year, "against the advice of", critic)
        return
    writer.say(company, "was criticised by", critic)
    writer.say("It was founded in", year, "by", founder)


def seat(writer: Writer, world: World) -> None:
    """Seat and size of an organisation; a former seat."""
    company = world.organisations[0]
    town, former = world.towns[:2]
    figure = world.figures.pop()
    writer.state(company, town, "P159")
    writer.state(company, figure, "P1128")
    if world.chance(0.5):
        writer.say(company, "left", former, "and is now based in", town, "with", figure, "employees")
        return
    writer.say(company, "was once sold to", world.organisations[1])
    writer.say("It has", figure, "employees and is based in", town, ", far from", former)


def place(writer: Writer, world: World) -> None:
    """The country of a town, which borders another country."""
    town, country, border = world.towns[0], *world.countries[:2]
    writer.state(town, country, "P17")
    writer.say(town, "is a town in", country, "near the border with", border)


def book(writer: Writer, world: World) -> None:
    """Author and date of a work; its reader."""
    author, reader = world.persons[:2]
    title, year = world.works[0], world.years.pop()
    writer.state(title, author, "P50")
    writer.state(title, year, "P577")
    if world.chance(0.5):
        writer.say(title, ", written by", author, "and praised by", reader, ", appeared in", year)
        return
    writer.say(reader, "translated", title)
    writer.say("It was written by", author, "and appeared in", year)


def nominal(writer: Writer, world: World) -> None:
    """A nominal mention of a person or an organisation that has been named."""
    named = [thing for thing in writer.things if thing.nominal is not None]
    if not named:
        return
    thing = named[int(world.draw.integers(len(named)))]
    assert thing.nominal is not None
    if thing.type == "PER":
        writer.say(thing, "was", thing.nominal.replace("the ", "a ", 1), "by trade")
    start = len(writer.tokens)
    writer.tokens.append("Later")
    writer.mention(thing, thing.nominal)
    writer.tokens.extend("became famous .".split())
    writer.sentences.append((start, len(writer.tokens)))


FACTS: tuple[Fact, ...] = (birth, citizenship, school, work, marriage, founding, seat, place, book, nominal, nominal)


def generate(count: int, *, seed: int = 0, sentences: int = 6) -> list[Document]:
    """`count` documents, each of about `sentences` statements; document i is the same in every corpus of this seed."""
    return [_document(number, seed=seed, statements=sentences) for number in range(count)]


def _document(number: int, *, seed: int, statements: int) -> Document:
    draw = np.random.default_rng(key_of("corpus", seed, number))
    world, writer = World(draw), Writer()
    said = [FACTS[index] for index in draw.permutation(len(FACTS))[:statements]]
    # Nobody is born twice: the two ways of telling it exclude each other.
    said = [two_births if fact is birth and world.chance(0.4) else fact for fact in said]
    # A nominal mention needs something that was named before.
    for fact in sorted(said, key=lambda fact: fact is nominal):
        for things in (world.persons, world.towns, world.countries, world.organisations, world.works):
            things[:] = [things[index] for index in draw.permutation(len(things))]
        fact(writer, world)
    return writer.document(f"document {seed}-{number}")


SIZES = {"train": 480, "validation": 40, "test": 100}
"""Documents of each part; the parts are drawn with seeds of their own."""


def files() -> dict[str, bytes]:
    """The whole corpus as DocRED files and a types file, by the name of the part."""
    parts = {
        name: docred_bytes(generate(count, seed=seed)) for seed, (name, count) in enumerate(SIZES.items(), start=1)
    }
    entities = {name: {"short": name, "verbose": name} for name in LABELS.entity_types}
    relations = {
        name: {"short": name, "verbose": verbose, "symmetric": name == "P26"} for name, verbose in RELATIONS.items()
    }
    return parts | {"types": msgspec.json.encode({"entities": entities, "relations": relations})}
