"""The closed lists of names that the embedded corpus draws from."""

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
