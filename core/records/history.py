"""History of a run (history.jsonl): a row per log step and per validation, cut back to the checkpoint on resuming.

Rows hold only what the same run gives again, bit for bit; speed goes only to the tracker and the screen.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.files import atomic_write

STEP, VALIDATION = "step", "validation"


class History:
    """The history file of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def cut(self, *, step: int, validated: bool) -> None:
        """Keep the rows up to optimiser step `step`, its validation row only where that counts as validated."""
        lines = []
        for row in read_history(self.path):
            late = row["step"] > step or (row["step"] == step and row["kind"] == VALIDATION and not validated)
            if not late:
                lines.append(json.dumps(row) + "\n")
        atomic_write(self.path, "".join(lines).encode())

    def add(self, kind: str, step: int, row: Mapping[str, Any]) -> None:
        """Append a row and close the file: a killed run keeps every row that it wrote."""
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps({"kind": kind, "step": step, **row}) + "\n")


def read_history(path: Path) -> list[dict[str, Any]]:
    """The rows of a history; a last row that a killed process wrote in part is left out, as nothing depends on it."""
    if not path.exists():
        return []
    rows = []
    for line in path.read_text(encoding="utf-8").split("\n")[:-1]:
        try:
            rows.append(json.loads(line))
        except ValueError:
            break
    return rows


def last_step(path: Path) -> int:
    """The last optimiser step in a history; 0 where it has none."""
    return max((int(row["step"]) for row in read_history(path)), default=0)
