"""What the embedded corpus says: clauses, by the things that they speak of.

In the words of a clause `h` stands for the head and `t` for the tail. The clauses of a scene are alike on purpose:
facts stand beside clauses about the same kinds of things that state nothing, so that neither types nor topic tell them.

The closed lists of names that the embedded corpus draws from.
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


def _scene(heads: str, tails: str, facts: dict[str, str], distractors: str) -> Scene:
    return Scene(
        heads,
        tails,
        tuple(Clause(words, relation) for words, relation in facts.items()),
        tuple(Clause(words.strip()) for words in distractors.split("/")),
    )


SCENES = (
    _scene(
        "persons",
        "towns",
        {"h is a native of t": "P19", "t , birthplace of h": "P19", "h was buried in t": "P20"},
        "h painted t / h never saw t / h fled from t / h passed through t / t honoured h",
    ),
    _scene(
        "persons",
        "organisations",
        {"h studied at t": "P69", "h worked for t": "P108"},
        "h sued t / h refused t / h inspected t / h wrote about t / t hired a rival of h",
    ),
    _scene(
        "persons",
        "years",
        {"h was born in t": "P569", "h died in t": "P570"},
        "h fell ill in t / h retired in t / h emigrated in t / h was knighted in t",
    ),
    _scene(
        "persons", "countries", {"h is a citizen of t": "P27"}, "h praised t / h toured t / h mapped t / h mocked t"
    ),
    _scene("persons", "persons", {"h married t": "P26"}, "h met t / h feared t / h wrote to t"),
    _scene(
        "organisations",
        "persons",
        {"h was founded by t": "P112"},
        "h is chaired by t / h was criticised by t / h was robbed by t / h was advised by t",
    ),
    _scene(
        "organisations",
        "towns",
        {"h is based in t": "P159"},
        "h was formed in t / h left t / h avoids t / h bought land in t",
    ),
    _scene(
        "organisations",
        "figures",
        {"h has t employees": "P1128"},
        "h counts t members / h runs t branches / h owns t ships / h owes t millions",
    ),
    _scene(
        "organisations",
        "countries",
        {"h is registered in t": "P17"},
        "h trades with t / h boycotts t / h exports to t / h quotes t",
    ),
    _scene(
        "works",
        "persons",
        {"h was written by t": "P50"},
        "h was illustrated by t / h was translated by t / h was praised by t / h was stolen by t",
    ),
    _scene(
        "works",
        "years",
        {"h appeared in t": "P577"},
        "h was banned in t / h was lost in t / h was filmed in t / h was sold in t",
    ),
)

LEADS = ("h was known to a , b and c", "h is often confused with a , b and c", "h came before a , b and c")
"""How a document begins: with its subject `h`, beside three others of its type."""


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
