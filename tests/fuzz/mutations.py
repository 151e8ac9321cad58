"""Mutations of files: of their structure (kinds, sizes, duplicates, deletions), of their bytes, and harmless ones."""

import base64
import json
import math
import random
import re
from collections.abc import Callable
from copy import deepcopy
from typing import Any, Literal

import yaml

Syntax = Literal["json", "lines", "yaml", "text", "bytes"]
"""How a file is written; `lines`: a JSON value a line."""
DEEP, LONG, HUGE = 5_000, 100_000, 10**400
DEEPEST = 40
LARGE = 1_000_000
"""Bytes from which on nothing more is changed: what is repeated fifty times would be repeated again."""
PLAIN_VALUES: tuple[Any, ...] = (None, True, False, 0, -1, 1, 2, 2**31)
BEYOND_INT64 = (2**63, -(2**63) - 1, 2**64)
BEYOND_FLOAT32 = (1e300, -1e300)
NO_JSON_NUMBERS = (math.inf, -math.inf, math.nan)
ODD_NUMBERS = (*BEYOND_INT64, *BEYOND_FLOAT32, *NO_JSON_NUMBERS, 0.5)
ODD_TEXTS = ("", "x", "\u0000", "\ud800", "../../../evil", "/etc/passwd", "$x^{", "=1+1", "<script>", "é" * 300, "NaN")
ODD_CONTAINERS: tuple[Any, ...] = ([], {}, [[]], [None], [0, 0], {"x": 1}, {"": None}, [1, "x", {}])
ODD_VALUES = (*PLAIN_VALUES, *ODD_NUMBERS, *ODD_TEXTS, *ODD_CONTAINERS)
"""Values that replace others."""
ODD_YAML = (
    "!!bool foo", '!!int ""', '!!float ""', "!!timestamp x", "!!binary x", "!!python/object/apply:os.getcwd []", "*x",
    "&a [*a]", ".inf", ".nan", "0x", "1_000", "2001-01-01", "? x", "!!set {a}", "<<: x", "1:30",
)  # fmt: skip
ODD_BYTES = (
    b"\x00",
    b"\xff\xfe",
    b"\xc3\x28",
    b"\xed\xa0\x80",
    b"\x1b[2J",
    b"\r",
    b"\xef\xbb\xbf",
    b"9" * 5_000,
    b"{" * 3_000,
)


def mutate(content: bytes, syntax: Syntax, draw: random.Random) -> tuple[bytes, str]:
    """The content with one to three mutations, and what they are called; never the content itself."""
    for _ in range(50):
        mutated, names = content, []
        for _ in range(draw.choice((1, 1, 1, 2, 3))):
            structural = syntax not in ("text", "bytes") and draw.random() < 0.65
            change: Callable[[bytes, Syntax, random.Random], tuple[bytes, str]] = (
                change_structure if structural else change_bytes
            )
            mutated, name = change(mutated, syntax, draw)
            names.append(name)
            if len(mutated) > LARGE:
                break
        if mutated != content:
            return mutated, " + ".join(names)
    raise AssertionError("nothing was changed")


def rewrite(
    content: bytes, syntax: Syntax, draw: random.Random, *, unknown: str, ordered: bool, deep: bool
) -> tuple[bytes, str]:
    """The content written in another way that means the same: white space, order of keys, `unknown`: a further key.

    Where keys are `ordered`, only the white space differs; only the outermost objects get another order without `deep`.
    """
    if syntax not in ("json", "lines", "yaml"):
        raise AssertionError(f"{syntax} has no other way")
    values, name = read_values(content, syntax), "white space"
    if not ordered:
        values, name = [shuffle(value, draw, deep=deep) for value in values], "order of keys"
    if unknown and draw.random() < 0.5:
        name = "unknown key"
        for value in values:
            for one in value if isinstance(value, list) else [value]:
                if isinstance(one, dict):
                    one[unknown] = draw.choice(PLAIN_VALUES)
    if syntax == "yaml":
        return yaml.safe_dump(values[0], sort_keys=False, indent=draw.choice((2, 4)), allow_unicode=True).encode(), name
    if syntax == "lines":
        return b"".join(json.dumps(value, separators=(" , ", " :  ")).encode() + b"\n" for value in values), name
    return json.dumps(values[0], indent=draw.choice((None, 0, 3)), ensure_ascii=draw.random() < 0.5).encode(), name


def shuffle(value: Any, draw: random.Random, *, deep: bool) -> Any:
    """The value with the keys of its objects in another order."""
    if isinstance(value, list):
        return [shuffle(one, draw, deep=deep) for one in value]
    if isinstance(value, dict):
        keys = list(value)
        draw.shuffle(keys)
        return {key: shuffle(value[key], draw, deep=True) if deep else value[key] for key in keys}
    return value


def read_values(content: bytes, syntax: Syntax) -> list[Any]:
    """The values that a file holds: one, or one a line."""
    if syntax == "yaml":
        return [yaml.safe_load(content)]
    if syntax == "lines":
        return [json.loads(line) for line in content.splitlines() if line.strip()]
    return [json.loads(content)]


def change_structure(content: bytes, syntax: Syntax, draw: random.Random) -> tuple[bytes, str]:
    """The content with one value of another kind or size, twice, deeper, or gone; bytes where it is no longer such."""
    try:
        values = read_values(content, syntax)
    except Exception:  # noqa: BLE001 - what an earlier mutation made raises anything
        return change_bytes(content, syntax, draw)
    places = list(walk(values))
    if not places:
        return change_bytes(content, syntax, draw)
    # Near the top as often as in the many leaves.
    depth = draw.choice(sorted({len(path) for path in places}))
    path = draw.choice([path for path in places if len(path) == depth])
    parent = values
    for step in path[:-1]:
        parent = parent[step]
    last, value = path[-1], parent[path[-1]]
    kind = draw.choice(("odd", "odd", "odd", "delete", "twice", "deep", "long", "huge", "swap", "yaml", "key"))
    written: dict[str, str] = {}
    if kind == "odd":
        parent[last] = deepcopy(draw.choice(ODD_VALUES))
    elif kind == "delete":
        del parent[last]
    elif kind == "twice" and isinstance(parent, list):
        parent.extend([deepcopy(value)] * draw.choice((1, 1, 50)))
    elif kind == "twice":
        return spell_twice(content, str(last), draw), "key twice"
    elif kind == "deep":
        written["deep"] = draw.choice(("[", '{"x":')) * DEEP
        parent[last] = placeholder("deep")
    elif kind == "long":
        parent[last] = draw.choice(("x", "$", "\u202e")) * LONG if draw.random() < 0.5 else [0] * LONG
    elif kind == "huge":
        written["huge"] = draw.choice((str(HUGE), f"-{HUGE}", "1e999", "-1e999", "9" * 6_000))
        parent[last] = placeholder("huge")
    elif kind == "swap":
        parent[last] = deepcopy(dig(values, draw.choice(places)))
    elif kind == "yaml" and syntax == "yaml":
        written["yaml"] = draw.choice(ODD_YAML)
        parent[last] = placeholder("yaml")
    elif isinstance(parent, dict):
        parent[draw.choice(("x", "", "9", str(last).upper(), "é" * 300))] = parent.pop(last)
    return write_values(values, syntax, written), kind


def placeholder(name: str) -> str:
    """What stands for text that no value is written as."""
    return f"@@{name}@@"


def dig(values: list[Any], path: tuple[Any, ...]) -> Any:
    """The value at a path."""
    value: Any = values
    for step in path:
        value = value[step]
    return value


def walk(values: list[Any]) -> Any:
    """The path of every value, few of a long list; a list that YAML lets hold itself is followed some steps only."""
    waiting: list[tuple[Any, ...]] = [(number,) for number in range(len(values))]
    while waiting and len(waiting) < 100_000:
        path = waiting.pop()
        yield path
        if len(path) == DEEPEST:
            continue
        value = dig(values, path)
        if isinstance(value, dict):
            waiting += [(*path, key) for key in value]
        elif isinstance(value, list):
            waiting += [(*path, number) for number in range(min(len(value), 12))]


def write_values(values: list[Any], syntax: Syntax, written: dict[str, str]) -> bytes:
    """Values as a file; `written` is text in place of its placeholders."""
    if syntax == "yaml":
        try:
            text = yaml.safe_dump(values[0] if values else None, sort_keys=False, allow_unicode=True)
        except (yaml.YAMLError, UnicodeError, RecursionError):
            text = json.dumps(values)
    else:
        text = "\n".join(json.dumps(value) for value in values) + "\n" * (syntax == "lines")
    for name, replacement in written.items():
        text = re.sub(f"[\"']?{placeholder(name)}[\"']?", lambda _, new=replacement: new, text)
    return text.encode(errors="surrogatepass")


def spell_twice(content: bytes, key: str, draw: random.Random) -> bytes:
    """The content with a key once more, with another value in front of it."""
    spelt = f'"{key}": {json.dumps(draw.choice(PLAIN_VALUES))}, '.encode()
    found = content.find(f'"{key}"'.encode())
    if found >= 0:
        return content[:found] + spelt + content[found:]
    line = f"{key}: 1\n".encode()
    return line + content


def change_bytes(content: bytes, syntax: Syntax, draw: random.Random) -> tuple[bytes, str]:
    """The content with bytes flipped, cut off, inserted, moved, or all of them replaced."""
    position = draw.randrange(len(content) + 1)
    kind = draw.choice(("flip", "flip", "cut", "insert", "odd", "remove", "repeat", "digits", "empty", "noise", "line"))
    if kind == "flip":
        changed = bytearray(content or b"\x00")
        for _ in range(draw.choice((1, 1, 8, 200))):
            changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
        return bytes(changed), "flipped bits"
    if kind == "cut":
        return content[:position], "cut off"
    if kind == "insert":
        return content[:position] + draw.randbytes(draw.choice((1, 4, 100))) + content[position:], "bytes inserted"
    if kind == "odd":
        return content[:position] + draw.choice(ODD_BYTES) + content[position:], "odd bytes inserted"
    if kind == "remove":
        return content[:position] + content[position + draw.choice((1, 10, 1000)) :], "bytes removed"
    if kind == "repeat":
        return content[:position] + content[max(0, position - 500) :], "part repeated"
    if kind == "digits":
        numbers = list(re.finditer(rb"\d+", content[:200_000]))
        if numbers:
            number = draw.choice(numbers)
            digits = draw.choice((b"9" * 20, b"9" * 5_000, b"-1", b"1e5", "٣".encode(), b"0x10", b"00"))
            return content[: number.start()] + digits + content[number.end() :], "number replaced"
    if kind == "line":
        lines = content.split(b"\n")
        number = draw.randrange(len(lines))
        lines.insert(draw.randrange(len(lines)), lines.pop(number) if draw.random() < 0.5 else lines[number])
        return b"\n".join(lines), "line moved"
    if kind == "noise":
        return draw.randbytes(draw.choice((1, 64, 4096))), "noise"
    return (b"" if draw.random() < 0.5 else b"\n"), "emptied"


def printable(content: bytes) -> str:
    """Bytes for a report of a failure."""
    return content.decode() if content.isascii() and len(content) < 400 else base64.b64encode(content[:300]).decode()
