"""JEREX's own `predictions.json`, as its joint evaluator stores it, rewritten in the form of prediction files.

JEREX writes a mention as `[start, end]`, `clusters` as lists of mention indices, and an entity as `{"cluster",
"type"}`; the form of prediction files writes `{"start", "end"}` and gives an entity its `mentions`.
"""

from pathlib import Path
from typing import Any

import msgspec

from core.readers.source import fault

_OTHER_FAULTS = (msgspec.DecodeError, KeyError, TypeError, ValueError, RecursionError)


def as_prediction_form(raw: bytes, path: Path | str) -> bytes:
    """The bytes in the form of prediction files where they are in JEREX's own, else as they came.

    Raises `UserError` for an entity of a cluster that is not there; every other fault stays in for the reader to name.
    """
    if b'"clusters"' not in raw:
        return raw
    try:
        documents = msgspec.json.decode(raw)
        rewritten = [_rewritten(document, index, path) for index, document in enumerate(documents)]
    except _OTHER_FAULTS:
        return raw
    return msgspec.json.encode(rewritten)


def object_in_prediction_form(raw: bytes, path: Path | str, index: int) -> bytes:
    """The same for the bytes of one object, which stands at `index` of its file."""
    if b'"clusters"' not in raw:
        return raw
    try:
        return msgspec.json.encode(_rewritten(msgspec.json.decode(raw), index, path))
    except _OTHER_FAULTS:
        return raw


def _rewritten(document: dict[str, Any], index: int, path: Path | str) -> dict[str, Any]:
    clusters = document["clusters"]
    entities = []
    for number, entity in enumerate(document["entities"]):
        cluster = int(entity["cluster"])
        if not 0 <= cluster < len(clusters):
            limit = f"there are {len(clusters)} clusters: give 0 to {len(clusters) - 1}"
            raise fault(path, f"field entities[{number}].cluster is {cluster}, but {limit}", index=index)
        entities.append({"mentions": clusters[cluster], "type": entity["type"]})
    mentions = [{"start": start, "end": end} for start, end in document["mentions"]]
    return {**document, "mentions": mentions, "entities": entities}
