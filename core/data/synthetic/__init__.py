"""The embedded corpus: generated documents in DocRED's manner, so that everything runs without a download.

It stands for no real result. A document draws a small world (persons, organisations, towns, countries, works, years,
figures) from closed lists of names, and is written in three parts:

1. the lead names the document's subject and three others of its type;
2. two sentences about the subject, which they mention only by a pronoun. Pronouns are, as in DocRED, not annotated, so
   these facts need two sentences: who is meant stands in the lead, what is said stands here;
3. a sentence of four clauses, each about another pair of things of the same two types: its words tell what is said,
   their order alone tells of whom.

In parts 2 and 3 distractors stand where facts could. Mentions are full names at first, later surnames, acronyms
("Copper River Bank ( CRB )") and nouns ("the bank"; "the novelist", once the trade was told).

So a bag of words cannot tell which of the entities are related, and a model that reads can: tests hold both, together
with what the profile `quick` reaches. Every draw is keyed by (seed, number of the document): the same call gives the
same corpus anywhere.
"""

import msgspec
import numpy as np

from core.data.documents import Document, LabelSet
from core.data.formats.docred import encode_docred
from core.data.synthetic.grammar import (
    LEADS,
    RELATIONS,
    SCENES,
    SYMMETRIC,
    Clause,
    Scene,
)
from core.data.synthetic.writer import Thing, World, Writer
from core.seeding import seed_for

LABELS = LabelSet(
    entity_types=("PER", "ORG", "LOC", "TIME", "NUM", "MISC"),
    relation_types=tuple(RELATIONS),
    relation_names=tuple(RELATIONS.values()),
)
SIZES = {"train": 1000, "validation": 40, "test": 100}
"""Documents of each part; the parts are drawn with seeds of their own."""

SUBJECTS = ("persons", "persons", "persons", "organisations", "organisations", "works")
SAID = 3
"""What is said of the subject: as many clauses, each of another scene."""
CLAUSES = 4
"""Clauses of the last sentence: one of them in sixteen pairs of the right types is what a bag of words would guess."""
FACTS_OF_MANY, FACTS_OF_ONE, FACTS_BESIDE = 0.85, 0.5, 0.5
"""Shares of facts among the clauses: about the subject, in scenes of several relations and of one (where the types
alone would tell more), and in the last sentence."""
NAMED_BEFORE = 0.6
"""Share of last sentences that return to the things of the lead."""


def generate(count: int, *, seed: int = 0) -> list[Document]:
    """`count` documents; document i is the same in every corpus of this seed."""
    return [_document(number, seed=seed) for number in range(count)]


def files() -> dict[str, bytes]:
    """The whole corpus as DocRED files and a types file, by the name of the part."""
    parts = {
        name: encode_docred(generate(count, seed=seed)) for seed, (name, count) in enumerate(SIZES.items(), start=1)
    }
    entities = {name: {"short": name, "verbose": name} for name in LABELS.entity_types}
    relations = {
        name: {"short": name, "verbose": verbose, "symmetric": name in SYMMETRIC} for name, verbose in RELATIONS.items()
    }
    return parts | {"types": msgspec.json.encode({"entities": entities, "relations": relations})}


def _document(number: int, *, seed: int) -> Document:
    world = World(np.random.default_rng(seed_for("corpus", seed, number)))
    writer = Writer(world)
    kind = world.pick(SUBJECTS, 1)[0]
    subject, a, b, c = world.pools[kind][:4]
    writer.say(world.pick(LEADS, 1)[0], h=subject, a=a, b=b, c=c)
    writer.end_sentence()
    scenes = world.pick([scene for scene in SCENES if scene.heads == kind and scene.tails != kind], SAID)
    for part in (scenes[:-1], scenes[-1:]):
        about_subject(writer, subject, part)
    # The last sentence says other kinds of things than were said of the subject; if it can, of things named before.
    told = {scene.tails for scene in scenes}
    others = [scene for scene in SCENES if not {scene.heads, scene.tails} & told]
    again = [scene for scene in others if kind in (scene.heads, scene.tails)]
    side_by_side(writer, world.pick(again if again and world.chance(NAMED_BEFORE) else others, 1)[0])
    return writer.document(f"document {seed}-{number}")


def about_subject(writer: Writer, subject: Thing, scenes: list[Scene]) -> None:
    """A sentence that mentions the subject by a pronoun, with one clause of each scene."""
    world = writer.world
    for number, scene in enumerate(scenes):
        facts, distractors = (
            [clause for clause in clauses if clause.words.startswith("h ")]
            for clauses in (scene.facts, scene.distractors)
        )
        share = FACTS_OF_MANY if len(facts) > 1 else FACTS_OF_ONE
        clause = world.pick(facts if world.chance(share) else distractors, 1)[0]
        tail = world.pick(world.pools[scene.tails], 1)[0]
        writer.say("and" if number else subject.pronoun)
        write(writer, clause._replace(words=clause.words.removeprefix("h ")), subject, tail)
    writer.end_sentence()


def side_by_side(writer: Writer, scene: Scene) -> None:
    """A sentence of clauses that each speak of another head and another tail."""
    world = writer.world
    heads, tails = (world.pick(world.pools[pool]) for pool in (scene.heads, scene.tails))
    if scene.heads == scene.tails:
        heads, tails = heads[: len(heads) // 2], heads[len(heads) // 2 :]
    count = min(CLAUSES, len(heads), len(tails))
    distractors = iter(world.pick(scene.distractors))
    clauses: dict[str | int, Clause] = {}
    for number, clause in enumerate(world.pick(scene.facts * CLAUSES, count)):
        # Each relation at most once in a sentence.
        fact = clause.relation not in clauses and world.chance(FACTS_BESIDE)
        clauses[clause.relation or number if fact else number] = clause if fact else next(distractors)
    for number, clause in enumerate(world.pick(list(clauses.values()))):
        if number:
            writer.say("and" if number == count - 1 else ",")
        write(writer, clause, heads[number], tails[number])
    writer.end_sentence()


def write(writer: Writer, clause: Clause, head: Thing, tail: Thing) -> None:
    """The words of a clause, and its fact."""
    writer.say(clause.words, h=head, t=tail)
    if clause.relation is not None:
        writer.state(head, tail, clause.relation)
        if clause.relation in SYMMETRIC:
            writer.state(tail, head, clause.relation)
