"""Synthetic corpus: generated documents in DocRED's manner, so that everything runs without a download.

It stands for no real result. A document draws a few entities (persons, organisations, towns, countries, works, years,
figures) from closed lists of names, and is written in three parts:

1. the lead names the document's subject and three others of its type;
2. two sentences about the subject, which they mention only by a pronoun. Pronouns are, as in DocRED, not annotated, so
   these facts need two sentences: the lead says who is meant, these say what is stated;
3. a sentence of four clauses, each about another pair of entities of the same two types: its words give the relations,
   their order alone the pairs.

In parts 2 and 3 distractors stand where facts could. Mentions are full names at first, later surnames, acronyms
("Copper River Bank ( CRB )") and nouns ("the bank"; "the novelist", once the trade was given).

So a bag of words cannot find which of the entities are related, and a model that reads can: tests check both, together
with what the profile `quick` reaches. Every draw is keyed by (seed, number of the document): the same call gives the
same corpus anywhere.
"""

import msgspec
import numpy as np

from core.data.documents import Document, LabelSet
from core.data.formats.docred import encode_docred
from core.data.synthetic.grammar import LEADS, RELATIONS, SCENES, SYMMETRIC, Clause, Scene
from core.data.synthetic.writer import EntityPools, NamedEntity, Writer
from core.seeding import seed_for

LABELS = LabelSet(
    entity_types=("PER", "ORG", "LOC", "TIME", "NUM", "MISC"),
    relation_types=tuple(RELATIONS),
    relation_names=tuple(RELATIONS.values()),
)
FILES = {"train": (1, 1000), "validation": (2, 40), "validation_100": (2, 100), "test": (3, 100)}
"""File of documents -> the seed that it is drawn with, and how many. The first release validated on `validation`: it is
made for the runs of that release, and `validation_100` begins with its documents."""
VALIDATION = "validation_100"
"""The file that new runs validate on."""

SUBJECTS = ("persons", "persons", "persons", "organisations", "organisations", "works")
SUBJECT_CLAUSES = 3
"""Clauses about the subject, each of another scene."""
CLAUSES = 4
"""Clauses of the last sentence: one of them in sixteen pairs of the right types is what a bag of words would guess."""
FACTS_OF_MANY, FACTS_OF_ONE, FACTS_OF_PAIRS = 0.85, 0.5, 0.5
"""Shares of facts among the clauses: about the subject, in scenes of several relations and of one (where the types
alone would say more), and in the last sentence."""
NAMED_BEFORE = 0.6
"""Share of last sentences that return to the entities of the lead."""


def generate(count: int, *, seed: int = 0) -> list[Document]:
    """`count` documents; document i is the same in every corpus of this seed."""
    return [_document(number, seed=seed) for number in range(count)]


def files() -> dict[str, bytes]:
    """The whole corpus as DocRED files by the names of `FILES`, and its types file as `types`."""
    documents = {name: encode_docred(generate(count, seed=seed)) for name, (seed, count) in FILES.items()}
    entities = {name: {"short": name, "verbose": name} for name in LABELS.entity_types}
    relations = {
        name: {"short": name, "verbose": verbose, "symmetric": name in SYMMETRIC} for name, verbose in RELATIONS.items()
    }
    return documents | {"types": msgspec.json.encode({"entities": entities, "relations": relations})}


def _document(number: int, *, seed: int) -> Document:
    draw = EntityPools(np.random.default_rng(seed_for("corpus", seed, number)))
    writer = Writer(draw)
    kind = draw.pick(SUBJECTS, 1)[0]
    subject, a, b, c = draw.pools[kind][:4]
    writer.write(draw.pick(LEADS, 1)[0], h=subject, a=a, b=b, c=c)
    writer.end_sentence()
    scenes = draw.pick([scene for scene in SCENES if scene.heads == kind and scene.tails != kind], SUBJECT_CLAUSES)
    for sentence in (scenes[:-1], scenes[-1:]):
        _write_about_subject(writer, subject, sentence)
    # The last sentence is about other kinds of entities than the subject's facts; if it can, about ones named before.
    tails = {scene.tails for scene in scenes}
    others = [scene for scene in SCENES if not {scene.heads, scene.tails} & tails]
    named_before = [scene for scene in others if kind in (scene.heads, scene.tails)]
    _write_pairs(writer, draw.pick(named_before if named_before and draw.chance(NAMED_BEFORE) else others, 1)[0])
    return writer.document(f"document {seed}-{number}")


def _write_about_subject(writer: Writer, subject: NamedEntity, scenes: list[Scene]) -> None:
    """A sentence that mentions the subject by a pronoun, with one clause of each scene."""
    draw = writer.pools
    for number, scene in enumerate(scenes):
        facts, distractors = (
            [clause for clause in clauses if clause.words.startswith("h ")]
            for clauses in (scene.facts, scene.distractors)
        )
        share = FACTS_OF_MANY if len(facts) > 1 else FACTS_OF_ONE
        clause = draw.pick(facts if draw.chance(share) else distractors, 1)[0]
        tail = draw.pick(draw.pools[scene.tails], 1)[0]
        writer.write("and" if number else subject.pronoun)
        _write_clause(writer, clause._replace(words=clause.words.removeprefix("h ")), subject, tail)
    writer.end_sentence()


def _write_pairs(writer: Writer, scene: Scene) -> None:
    """A sentence of clauses that are each about another head and another tail."""
    draw = writer.pools
    heads, tails = (draw.pick(draw.pools[pool]) for pool in (scene.heads, scene.tails))
    if scene.heads == scene.tails:
        heads, tails = heads[: len(heads) // 2], heads[len(heads) // 2 :]
    count = min(CLAUSES, len(heads), len(tails))
    distractors = iter(draw.pick(scene.distractors))
    clauses: dict[str | int, Clause] = {}
    for number, clause in enumerate(draw.pick(scene.facts * CLAUSES, count)):
        # Each relation at most once in a sentence.
        is_fact = clause.relation not in clauses and draw.chance(FACTS_OF_PAIRS)
        clauses[clause.relation or number if is_fact else number] = clause if is_fact else next(distractors)
    for number, clause in enumerate(draw.pick(list(clauses.values()))):
        if number:
            writer.write("and" if number == count - 1 else ",")
        _write_clause(writer, clause, heads[number], tails[number])
    writer.end_sentence()


def _write_clause(writer: Writer, clause: Clause, head: NamedEntity, tail: NamedEntity) -> None:
    """The words of a clause, and its fact."""
    writer.write(clause.words, h=head, t=tail)
    if clause.relation is not None:
        writer.add_fact(head, tail, clause.relation)
        if clause.relation in SYMMETRIC:
            writer.add_fact(tail, head, clause.relation)
