"""The lines of a PubTator file, gathered by document; offsets and clusters are not looked at here."""

import re
from pathlib import Path

import msgspec

from core.documents import Dirt
from core.readers.source import fault, shorten

_TEXT_LINE = re.compile(r"^([^\s|]+)\|([ta])\|(.*)$")


class MentionLine(msgspec.Struct):
    """`ID start end text type identifier`; offsets in characters, `line` from 1."""

    line: int
    start: int
    end: int
    text: str
    type: str
    identifier: str


class RelationLine(msgspec.Struct):
    """`ID type head tail`; head and tail are identifiers of mentions."""

    line: int
    type: str
    head: str
    tail: str


class Block(msgspec.Struct):
    """One document: its id, title, abstract and annotation lines; `line` is where it begins, from 1."""

    line: int
    id: str
    title: str
    abstract: str = ""
    mentions: list[MentionLine] = msgspec.field(default_factory=list)
    relations: list[RelationLine] = msgspec.field(default_factory=list)


def read_blocks(text: str, path: Path | str, dirt: Dirt, *, first_line: int = 1) -> list[Block]:
    """The documents of a PubTator text; raises `UserError` for a line that fits no form.

    `first_line` is the number of the text's first line in its file.
    """
    blocks: list[Block] = []
    for number, line in enumerate(text.split("\n"), start=first_line):
        line = line.removesuffix("\r")
        if not line.strip():
            continue
        match = _TEXT_LINE.match(line)
        if match is not None:
            _add_text(blocks, match[1], match[2], match[3], number, path)
            continue
        columns = line.split("\t")
        if not blocks or columns[0] != blocks[-1].id:
            expected = f"an annotation of document {blocks[-1].id} or a new title" if blocks else "ID|t|title"
            raise fault(path, f"{shorten(line)} is not {expected}: give a PubTator file", line=number)
        if line.endswith("\t"):
            dirt.add("trailing_tab", f"line {number}")
        _add_annotation(blocks, columns, number, path, dirt)
    if not blocks:
        raise fault(path, "holds 0 documents, and a PubTator document begins with ID|t|title: give such a file")
    return blocks


def _add_text(blocks: list[Block], identity: str, part: str, text: str, number: int, path: Path | str) -> None:
    if part == "t":
        blocks.append(Block(line=number, id=identity, title=text))
    elif blocks and blocks[-1].id == identity and not blocks[-1].abstract:
        blocks[-1].abstract = text
    else:
        what = f"an abstract of {identity} without a title before it: put the line {identity}|t|... above it"
        raise fault(path, what, line=number)


def _add_annotation(blocks: list[Block], columns: list[str], number: int, path: Path | str, dirt: Dirt) -> None:
    block = blocks[-1]
    index = len(blocks) - 1
    filled = [column for column in columns if column]
    if len(filled) == 4 and not columns[1].isdecimal():
        block.relations.append(RelationLine(line=number, type=columns[1], head=columns[2], tail=columns[3]))
        return
    if len(columns) not in (5, 6, 7):
        what = f"{len(columns)} columns, but a mention has 6 or 7 and a relation 4, tab-separated: correct the line"
        raise fault(path, what, index=index, title=block.id, line=number)
    for name, value in (("start", columns[1]), ("end", columns[2])):
        if not (value.isascii() and value.isdecimal()):
            what = f"{name} is {shorten(value)}, but an offset is a whole number of characters: correct the line"
            raise fault(path, what, index=index, title=block.id, line=number)
    if len(columns) == 7:
        dirt.add("seventh_column", f"line {number}")
        if columns[6]:
            dirt.add("composite_mention", f'{block.id}: "{columns[3]}" = {columns[6]}')
    # A mention that nobody linked has an empty or no sixth column in some files, which is what -1 says.
    identifier = (columns[5].strip() if len(columns) > 5 else "") or "-1"
    block.mentions.append(
        MentionLine(
            line=number,
            start=int(columns[1]),
            end=int(columns[2]),
            text=columns[3],
            type=columns[4],
            identifier=identifier,
        )
    )
