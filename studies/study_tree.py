"""From what a study's YAML holds to its struct, or one line about the first thing that is wrong, and where."""

import difflib
import re
from collections.abc import Iterator
from typing import Any, TypeVar

import msgspec

from studies.product import Base, Choice, Row

T = TypeVar("T", bound=msgspec.Struct)
SHAPE = "a study has a question, a baseline and rows (`engram study plan --help` shows one)"

WORDS = {
    "object": "a mapping (name: value)",
    "array": "a list ([a, b])",
    "str": "text (in quotes, where it looks like a number)",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "null": "nothing",
}
"""What msgspec calls the kinds of values, and what users do."""


def study_of(tree: Any, kind: type[T]) -> T:
    """The study in a nested dict, as `kind`; a ValueError names the row, axis or field that is wrong."""
    if not isinstance(tree, dict):
        raise ValueError(f"it holds {'nothing' if tree is None else type(tree).__name__}, not a mapping: {SHAPE}")
    for where, part, of in parts(tree):
        converted(part, of, where)
    return converted(tree, kind, "")


def parts(tree: dict[str, Any]) -> Iterator[tuple[str, Any, type[msgspec.Struct]]]:
    """The parts of a study, each with what to call it: a message about a whole study would name no row."""
    rows, axes = tree.get("rows"), tree.get("axes")
    for name, row in rows.items() if isinstance(rows, dict) else ():
        if not isinstance(name, str):
            raise ValueError(f"row {name}: a name is text: write {str(name)!r} in quotes")
        yield f"row {name}: ", row, Row
    for axis in axes if isinstance(axes, list) else ():
        if not isinstance(axis, str):
            yield f"axis {axis.get('name', '') if isinstance(axis, dict) else axis}: ", axis, Choice
    if tree.get("base") is not None:
        yield "base: ", tree["base"], Base


def converted(tree: Any, kind: type[T], where: str) -> T:
    """A part as its struct."""
    try:
        return msgspec.convert(tree, kind)
    except msgspec.ValidationError as error:
        raise ValueError(where + explained(str(error), kind)) from None


def explained(message: str, kind: type[msgspec.Struct]) -> str:
    """msgspec's message in a user's words, with the fields that there are where one is misspelt."""
    unknown = re.match(r"Object contains unknown field `([^`]*)`", message)
    if unknown is not None:
        known = [field.name for field in msgspec.structs.fields(kind)]
        near = difflib.get_close_matches(unknown[1], known, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        return f"unknown field {unknown[1]!r}: the fields are {', '.join(known)}.{hint}"
    wrong = re.match(r"Expected `([^`]*)`, got `([^`]*)`(?: - at `\$?\.?([^`]*)`)?", message)
    if wrong is not None:
        wanted, found = (" or ".join(WORDS.get(one, one) for one in kinds.split(" | ")) for kinds in wrong.group(1, 2))
        return f"{wrong[3] + ': ' if wrong[3] else ''}{found} is given, {wanted} is meant"
    return message
