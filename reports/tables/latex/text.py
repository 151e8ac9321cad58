r"""LaTeX text: characters as TeX commands of the kernel alone, how wide text is, and where a long word may break."""

import re
import unicodedata
from functools import cache

from core.errors import UserError

BREAK = "\u200b"
"""A place where a long word may go on in the next line."""
SPECIAL = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "|": "$|$",
    '"': "''",
    "<": "$<$",
    ">": "$>$",
    "\n": " ",
    "\t": " ",
    "\u00a0": "~",
    "\u2009": r"\,",
    "\u202f": r"\,",
    "–": "--",
    "—": "---",
    "‐": "-",
    "‑": "-",
    "…": r"\dots{}",
    "’": "'",
    "“": r"\textquotedblleft{}",
    "”": r"\textquotedblright{}",
    "‘": r"\textquoteleft{}",
    "„": ",,",
    "§": r"\S{}",
    "¶": r"\P{}",
    "©": r"\copyright{}",
    "£": r"\pounds{}",
    "ß": r"\ss{}",
    BREAK: r"\allowbreak{}",
    "′": "$'$",
    "″": "$''$",
    "½": "$1/2$",
    "¼": "$1/4$",
    "¾": "$3/4$",
}
MATH_COMMANDS = r"""
± pm  − -  × times  ÷ div  · cdot  • bullet  ∗ ast  ∓ mp  ⊕ oplus  ≤ le  ≥ ge  ≠ ne  ≈ approx  ≡ equiv  ∼ sim
≪ ll  ≫ gg  ∝ propto  ← leftarrow  → rightarrow  ↔ leftrightarrow  ↑ uparrow  ↓ downarrow  ⇐ Leftarrow
⇒ Rightarrow  ⇔ Leftrightarrow  ↦ mapsto  ∞ infty  ∂ partial  ✓ surd  ✔ surd  √ surd  ✗ times  ✘ times
° ^{\circ}  ∘ circ  ⊗ otimes  ∈ in  ∉ notin  ⊂ subset  ⊆ subseteq  ∪ cup  ∩ cap  ∅ emptyset  ⊥ perp  ∧ wedge
∨ vee  ¬ neg  ∀ forall  ∃ exists  ∇ nabla  ∑ sum  ∏ prod  † dagger  ‡ ddagger  ★ star  ⋆ star  ℓ ell  µ mu
Δ Delta  ∆ Delta  ϵ epsilon  ϕ phi  φ varphi  ε varepsilon  ς varsigma  ϑ vartheta  ϱ varrho  ϖ varpi  ϰ kappa
λ lambda  Λ Lambda
"""
MATH = dict(pair.split() for pair in re.split(r"\s{2,}|\n", MATH_COMMANDS.strip()))
ACCENTS = {"\u0301": "acute", "\u0300": "grave", "\u0308": "ddot"}
ACCENTED_LATIN = "\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u030b\u030c\u0327"
"""Combining marks that every encoding of LaTeX's has over a Latin letter."""
LAST_LATIN = "\u017f"
LATIN = "ÆæØøŒœŁłıªº¡¿"
CODE = re.compile("`([^`]*)`")
MAX_WORD = 20
"""Characters of a word that are not broken."""


def escape(text: str) -> str:
    """Plain text as LaTeX prints it; a character of a document that its standard fonts lack as `[U+8A18]`."""
    written = (write_character(character) or f"[U+{ord(character):04X}]" for character in text)
    return CODE.sub(r"\\texttt{\1}", "".join(written))


def write_label(kind: str, study: str, name: str) -> str:
    """The `tab` or `fig` label of a study's table or figure, in characters that every package takes."""
    slug = re.sub(r"[^A-Za-z0-9]+", "-", f"{study}-{name}").strip("-")
    return rf"\label{{{kind}:{slug}}}"


def check_printable(text: str) -> None:
    """Raise a UserError that names a character which LaTeX's standard fonts lack."""
    for character in text:
        if write_character(character) is None:
            raise UserError(
                f"the title {text!r} has {character!r} ({unicodedata.name(character, f'U+{ord(character):04X}')}), "
                "which LaTeX's standard fonts lack: write it in other characters (titles and groups of rows stand in "
                "the study's file)"
            )


def write_character(character: str) -> str | None:
    """One character as LaTeX: as it is, as a command or in math; None for one that its standard fonts lack."""
    if character in SPECIAL:
        return SPECIAL[character]
    if character in MATH:
        command = MATH[character]
        return f"${command}$" if not command[0].isalpha() else f"$\\{command}$"
    if character.isascii() or character in LATIN:
        return character
    decomposed = unicodedata.normalize("NFD", character)
    name = unicodedata.name(character, "")
    if (
        name.startswith("LATIN")
        and len(decomposed) == 2
        and decomposed[1] in ACCENTED_LATIN
        and character <= LAST_LATIN
    ):
        return character
    if name.startswith("GREEK") and (greek := write_greek(decomposed)):
        return f"${greek}$"
    kind, _, point = unicodedata.decomposition(character).partition(" ")
    if kind in ("<super>", "<sub>") and " " not in point and (plain := chr(int(point, 16))) in "0123456789+-=()nai":
        return f"${'^' if kind == '<super>' else '_'}{{{plain}}}$"
    return None


def write_greek(decomposed: str) -> str | None:
    """A Greek letter, its accents after it, in math; None where TeX has no such letter."""
    letter = decomposed[0]
    name = unicodedata.name(letter, "").rpartition(" ")[2].lower()
    latin = dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΧο", "ABEZHIKMNOPTXo", strict=True)).get(letter)
    if letter not in MATH and latin is None and not re.fullmatch("[αβγδζηθικμνξοπρστυχψωΓΘΞΠΣΥΦΨΩ]", letter):
        return None
    command = (
        rf"\mathrm{{{latin}}}" if latin else f"\\{MATH.get(letter) or (name.title() if letter.isupper() else name)}"
    )
    for accent in decomposed[1:]:
        if accent not in ACCENTS:
            return None
        command = rf"\{ACCENTS[accent]}{{{command}}}"
    return command


def add_breaks(text: str) -> str:
    """The text with breaks in its long words: behind a separator, and else anywhere."""
    return re.sub(rf"\S{{{MAX_WORD + 1},}}", lambda word: break_word(word.group()), text)


def break_word(word: str) -> str:
    """A long word with breaks behind its separators; a part without any may break behind each character."""
    parts = re.sub(r"([-_./:,=@+])(?=\w)", rf"\1{BREAK}", word).split(BREAK)
    return BREAK.join(part if len(part) <= MAX_WORD else BREAK.join(part) for part in parts)


@cache
def text_width(text: str) -> float:
    """Width of plain text in points, set in 8 pt Times with the mathematics of Computer Modern."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    text = text.replace(BREAK, "")
    if not text:
        return 0.0
    face = FontProperties(family="STIXGeneral", size=8)
    width = float(text_to_path.get_text_width_height_descent(text, face, ismath=False)[0])
    return width + 1.2 * sum(character in "±−+<>=×Δ" for character in text)


def widest_part(text: str) -> float:
    """Width of the widest part of a text that a line cannot break."""
    return max(map(text_width, re.split(rf"[\s{BREAK}]", add_breaks(text))))
