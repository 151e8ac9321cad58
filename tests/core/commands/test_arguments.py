"""A command's arguments come from its function's signature, its help from the docstring; mistakes are one line."""

from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import pytest

from core.commands.arguments import build_parser, call
from core.errors import UserError

CALLS: list[dict[str, object]] = []


def command(
    name: str,
    *,
    needed: Path,
    size_limit: int | None = None,
    share: float = 0.25,
    kind: Literal["small", "large"] = "small",
    shares: tuple[float, float] = (0.5, 0.5),
    titles: tuple[str, ...] = (),
    place: Annotated[str, "WHERE"] | None = None,
    dry: bool = False,
    given: str,
) -> int:
    """Do something, 95 % of it.

    It is done at once, with a description that goes on for long enough to need a second line of the help.

    Args:
        name: of what.
        needed: a file that must be
            there.
        size_limit: how large.
        share: how much, in %.
        dry: not at all.
    """
    CALLS.append(dict(locals()))
    return len(name)


COMMAND = partial(command, given="by the front door")


def test_arguments_are_read_by_the_signature() -> None:
    CALLS.clear()
    words = ["four", "--needed=x", "--size-limit", "3", "--dry", "--shares", "0.1", "0.9", "--titles", "a", "b"]
    assert call(COMMAND, "engram do", words) == 4
    assert call(COMMAND, "engram do", ["--needed", "x", "--kind", "large", "five5"]) == 5
    first, second = CALLS
    assert first["needed"] == Path("x")
    assert (first["size_limit"], first["dry"], first["given"]) == (3, True, "by the front door")
    assert (first["shares"], first["titles"]) == ((0.1, 0.9), ("a", "b"))
    assert (second["kind"], second["share"], second["place"], second["titles"]) == ("large", 0.25, None, ())


def test_help_has_every_argument_its_sentence_and_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    text = build_parser(COMMAND, "engram do").format_help()
    assert max(map(len, text.splitlines())) <= 80
    plain = " ".join(text.split())
    for expected in (
        "usage: engram do [-h] --needed FILE [--size-limit N] [--share X]",
        "Do something, 95 % of it.",
        "NAME of what",
        "--needed FILE a file that must be there (required)",
        "--size-limit N how large --share",
        "--share X how much, in % (default: 0.25)",
        "--kind {small,large} (default: small)",
        "--place WHERE",
        "--dry not at all",
    ):
        assert expected in plain
    assert "given" not in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["x", "--size-limt", "3"], "unknown option --size-limt. Did you mean --size-limit?"),
        (["x", "--no-dry"], "unknown option --no-dry. Did you mean --dry?"),
        ([], "the following arguments are required: NAME, --needed."),
        (["x", "--size-limit"], "argument --size-limit: expected one argument."),
        (["x", "--size-limit", "y"], "argument --size-limit: invalid int value: 'y'."),
        (["x", "--needed", "z", "y"], "unexpected argument 'y'."),
        (["x", "--kind", "huge"], "argument --kind: invalid choice: 'huge' (choose from 'small', 'large')."),
    ],
)
def test_a_mistake_is_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError) as caught:
        call(COMMAND, "engram do", arguments)
    assert str(caught.value).replace("choose from small, large", "choose from 'small', 'large'") == (
        f"{message} See `engram do --help`"
    )
    assert capsys.readouterr() == ("", "")
