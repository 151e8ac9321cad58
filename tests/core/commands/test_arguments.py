"""Mistakes on a command line are one line, however tyro draws its box."""

import pytest
import tyro

from core.commands.arguments import call, tyro_message
from core.errors import UserError


def command(name: tyro.conf.Positional[str], *, size_limit: int | None = None, dry: bool = False) -> int:
    """Do something.

    Args:
        name: of what.
        size_limit: how large.
        dry: not at all.
    """
    return len(name) + (size_limit or 0) + 100 * dry


def test_arguments_are_read_by_the_signature() -> None:
    assert call(command, "engram do", ["four", "--size-limit", "3", "--dry"]) == 107
    assert call(command, "engram do", ["--size_limit=3", "four"]) == 7


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["x", "--size-limt", "3"], "unknown option --size-limt. Did you mean --size-limit? See `engram do --help`"),
        (["x", "--no-dry"], "unknown option --no-dry. Did you mean --dry? See `engram do --help`"),
        ([], r"Missing from engram do: STR of what. \(required\). See `engram do --help`"),
        (["x", "--size-limit"], "Missing value for argument '--size-limit'. Expected 1 values. See `engram do --help`"),
        (["x", "--size-limit", "y"], "Error parsing --size-limit: no type matching .* See `engram do --help`"),
        (["x", "y"], "Unrecognized options: y. See `engram do --help`"),
    ],
)
def test_a_mistake_is_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match=f"^{message}$".replace("?", r"\?")) as caught:
        call(command, "engram do", arguments)
    assert "\n" not in str(caught.value)
    assert capsys.readouterr().err == ""


def test_a_box_without_lines_reads_the_same() -> None:
    drawn = "╭─ Bad ────╮\n│ One      │\n│ word.    │\n│ ──────── │\n│ See help │\n╰──────────╯\n"
    plain = " Bad\n ----------\n  One\n  word.\n  --------\n  See help\n\n"
    assert tyro_message(drawn) == tyro_message(plain) == "One word"
