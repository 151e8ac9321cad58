"""History of a run (history.jsonl): a row per log step and per validation, cut back to the checkpoint on resuming.

Rows hold only what the same run gives again, bit for bit; speed goes only to the tracker and the screen.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from core.files import atomic_write
from core.input_files import Count, Percent, read_bytes
from core.parsing import describe_decode_error
from core.progress import say

STEP, VALIDATION = "step", "validation"
PERCENTAGES = ("/f1", "/average_precision")
"""What the names of scores end in."""


class _Row(msgspec.Struct):
    kind: Literal["step", "validation"]
    step: Count
    reading: float = 0.0


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
    """The rows of a history: `kind`, `step`, and numbers by name; none where there is no file.

    A last row that a killed process wrote in part is left out, as nothing depends on it. Where another row is damaged,
    a line on stderr says so, and it and what follows is left out.
    """
    if not path.exists():
        return []
    lines = read_bytes(path).split(b"\n")[:-1]
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            rows.append(_parse_row(line))
        except (ValueError, RecursionError, msgspec.ValidationError) as error:
            left_out = f"{len(lines) - number + 1} of its {len(lines)} rows are left out"
            say(f"{path} is damaged in line {number} ({describe_decode_error(error)}): {left_out}")
            break
    return rows


def _parse_row(line: bytes) -> dict[str, Any]:
    # Losses may be infinite or no number, which Python's JSON knows and msgspec's does not.
    row: dict[str, Any] = json.loads(line)
    msgspec.convert(row, _Row)
    numbers = {name: value for name, value in row.items() if name != "kind"}
    msgspec.convert(numbers, dict[str, float | None])
    msgspec.convert([value for name, value in numbers.items() if name.endswith(PERCENTAGES)], list[Percent | None])
    return row


def last_step(path: Path) -> int:
    """The last optimiser step in a history; 0 where it has none."""
    return max((int(row["step"]) for row in read_history(path)), default=0)
