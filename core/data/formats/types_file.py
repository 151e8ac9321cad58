"""The types file: entity and relation types in the order that is the class index."""

from difflib import get_close_matches
from pathlib import Path

import msgspec

from core.data.documents import LabelSet
from core.data.parsing import fault, parse_json, read_source
from core.errors import UserError


class _Name(msgspec.Struct):
    short: str | None = None
    verbose: str | None = None


class _TypesFile(msgspec.Struct):
    entities: dict[str, _Name]
    relations: dict[str, _Name]


def read_types(path: Path | str) -> LabelSet:
    """The label set of a JEREX `types.json`: `{"entities": {key: {short, verbose}}, "relations": {...}}`.

    The order of the keys is the class index and is never sorted. Whether a relation is symmetric is not read.
    """
    raw: _TypesFile = parse_json(read_source(path), _TypesFile, path)
    try:
        return LabelSet(
            entity_types=tuple(raw.entities),
            relation_types=tuple(raw.relations),
            entity_names=tuple(name.verbose or key for key, name in raw.entities.items()),
            relation_names=tuple(name.verbose or key for key, name in raw.relations.items()),
        )
    except UserError as error:
        raise fault(path, str(error)) from None


def type_fault(kind: str, value: str, known: tuple[str, ...]) -> str:
    """The words for a type that the types file lacks, with the nearest that it has."""
    close = get_close_matches(value, known, n=3) or known[:6]
    more = "" if len(close) == len(known) else ", ..."
    return (
        f'is "{value}", which is none of the {len(known)} {kind} types of the types file ({", ".join(close)}{more}): '
        "add it there, or leave the types out to take them from the training file"
    )
