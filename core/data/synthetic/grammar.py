"""Grammar of the synthetic corpus: its relations, its clauses, and the closed lists of names that it draws from.

In the words of a clause `h` stands for the head and `t` for the tail. The clauses of a scene are alike on purpose:
facts stand among clauses about the same kinds of entities that state nothing (distractors), so that neither types nor
topic give them away.
"""

from typing import NamedTuple

RELATIONS = {
    "P19": "place of birth",
    "P20": "place of death",
    "P69": "educated at",
    "P108": "employer",
    "P569": "date of birth",
    "P570": "date of death",
    "P27": "country of citizenship",
    "P26": "spouse",
    "P112": "founded by",
    "P159": "headquarters location",
    "P1128": "employees",
    "P17": "country",
    "P50": "author",
    "P577": "publication date",
}
SYMMETRIC = ("P26",)


class Clause(NamedTuple):
    """Words around `h` and `t`, and the relation that they state; none: a distractor."""

    words: str
    relation: str | None = None


class Scene(NamedTuple):
    """The pools that heads and tails come from, the facts, and the distractors among them."""

    heads: str
    tails: str
    facts: tuple[Clause, ...]
    distractors: tuple[Clause, ...]


# Three lines a scene: pools of heads and tails, facts by relation, distractors.
_SCENES = """
persons towns
P19 h is a native of t / P19 t , birthplace of h / P20 h was buried in t
h painted t / h never saw t / h fled from t / h passed through t / t honoured h
persons organisations
P69 h studied at t / P108 h worked for t
h sued t / h refused t / h inspected t / h wrote about t / t hired a rival of h
persons years
P569 h was born in t / P570 h died in t
h fell ill in t / h retired in t / h emigrated in t / h was knighted in t
persons countries
P27 h is a citizen of t
h praised t / h toured t / h mapped t / h mocked t
persons persons
P26 h married t
h met t / h feared t / h wrote to t
organisations persons
P112 h was founded by t
h is chaired by t / h was criticised by t / h was robbed by t / h was advised by t
organisations towns
P159 h is based in t
h was formed in t / h left t / h avoids t / h bought land in t
organisations figures
P1128 h has t employees
h counts t members / h runs t branches / h owns t ships / h owes t millions
organisations countries
P17 h is registered in t
h trades with t / h boycotts t / h exports to t / h quotes t
works persons
P50 h was written by t
h was illustrated by t / h was translated by t / h was praised by t / h was stolen by t
works years
P577 h appeared in t
h was banned in t / h was lost in t / h was filmed in t / h was sold in t
"""


def _scene(pools: str, facts: str, distractors: str) -> Scene:
    heads, tails = pools.split()
    by_relation = [fact.split(" ", 1) for fact in facts.split(" / ")]
    return Scene(
        heads,
        tails,
        tuple(Clause(words, relation) for relation, words in by_relation),
        tuple(Clause(words) for words in distractors.split(" / ")),
    )


_LINES = _SCENES.strip().split("\n")
SCENES = tuple(_scene(*_LINES[start : start + 3]) for start in range(0, len(_LINES), 3))

LEADS = ("h was known to a , b and c", "h is often confused with a , b and c", "h came before a , b and c")
"""How a document begins: with its subject `h` and three others of its type."""

FEMALE = tuple(
    "Ada Bela Cora Dina Edda Gisa Hilda Ines Jana Kira Lena Mira Nora Olga Petra Rosa Sara Tilda Ulla Vera".split()
)
MALE = tuple(
    "Alan Boris Carl David Emil Felix Georg Henri Ivan Jakob Karel Lars Milan Nils Otto Paul Rolf Sven".split()
)
LAST = tuple(
    "Abel Brandt Cervenka Dahl Eriksen Farkas Gruber Holm Jensen Kovacs Lindgren Moravec Novak Olsen Petrov Richter "
    "Sorensen Tanner Ullmann Varga Weber Young Zeller Kessler".split()
)
TOWNS = tuple(
    "Arlon Brevik Corvo Dalmar Elstad Fornby Gravik Hallein Ilmen Jorvik Kalmar Lomnica Malden Nesvik Orsova Pernitz "
    "Quarto Ravna Selma Tarnow Ulvik Velden Wismar Yverdon Zadar Alvik Borken Celje Drava Elva Frosta Hasle".split()
)
COUNTRIES = tuple("Norland Estavia Corvania Lethonia Marovia Vestria Altania Borduria Sylvania Zubrowka".split())
NOUNS = tuple("Harbour River Winter Copper Silver Garden Mountain Lantern Orchard Mirror Thunder Island Meadow".split())
TITLES = tuple("Song Return Shadow Book Colour Silence Map House Memory Bridge Light Letter".split())
KINDS = ("Institute", "Company", "Academy", "Press", "Bank", "Works")
TRADES = ("novelist", "engineer", "painter", "chemist", "composer", "architect")
