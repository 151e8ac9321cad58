"""LaTeX text: every character as a command of the kernel or refused by name, and where long words break."""

import pytest

from core.errors import UserError
from reports.tables.latex.text import BREAK, add_breaks, check_printable, escape, text_width, widest_part


def test_every_special_character_is_escaped_once() -> None:
    assert escape("a\\b{c}") == r"a\textbackslash{}b\{c\}"
    assert escape("38 ± 1, Δ 0–4, −2") == r"38 $\pm$ 1, $\Delta$ 0--4, $-$2"
    assert escape("`memory.reads` & 5%") == r"\texttt{memory.reads} \& 5\%"


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("φ β ς Ω Β ά", r"$\varphi$ $\beta$ $\varsigma$ $\Omega$ $\mathrm{B}$ $\acute{\alpha}$"),
        ("✓ ✗ → ≤ ≥ ×", r"$\surd$ $\times$ $\rightarrow$ $\le$ $\ge$ $\times$"),
        ("… – — 90° x² H₂", r"\dots{} -- --- 90$^{\circ}$ x$^{2}$ H$_{2}$"),
        ("“a” ‘b’ \"c\" 'd'", r"\textquotedblleft{}a\textquotedblright{} \textquoteleft{}b' ''c'' 'd'"),
        ("Gödel, Łódź, ñ, ç", "Gödel, Łódź, ñ, ç"),
    ],
)
def test_greek_symbols_and_quotes_are_tex_and_accents_stay(text: str, latex: str) -> None:
    assert escape(text) == latex


@pytest.mark.parametrize(("character", "name"), [("記", "CJK UNIFIED IDEOGRAPH-8A18"), ("ą", "OGONEK"), ("🙂", "SMIL")])
def test_what_latex_cannot_print_is_refused_by_name(character: str, name: str) -> None:
    with pytest.raises(UserError, match=f"the title 'JEREX {character}' has '{character}' .*{name}"):
        check_printable(f"JEREX {character}")
    assert escape(f"A document {character}.") == f"A document [U+{ord(character):04X}]."


def test_long_words_break_behind_separators() -> None:
    assert add_breaks("a short word and validation_100_of_everything.json").split(BREAK) == [
        "a short word and validation_",
        "100_",
        "of_",
        "everything.",
        "json",
    ]
    assert add_breaks("x" * 40).count(BREAK) == 39
    assert widest_part("a " + "x" * 40) < text_width("xx")


def test_widths_are_those_of_times() -> None:
    assert text_width("0123456789") == pytest.approx(40.0, abs=0.5)
    assert text_width("JEREX + memory") == pytest.approx(62, abs=3)
    assert text_width("") == 0
