"""Types file: entity and relation types, in the order that is the class index."""

from pathlib import Path

import msgspec

from core.data.documents import LabelSet
from core.errors import UserError, fault
from core.input_files import read_source
from core.parsing import parse_json


class _Name(msgspec.Struct):
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
