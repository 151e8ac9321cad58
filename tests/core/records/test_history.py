"""History: rows are cut back to the checkpoint that a run resumes from."""

import json
from pathlib import Path

from core.records.history import STEP, VALIDATION, History, read_history


def test_a_history_is_cut_to_its_checkpoint(tmp_path: Path) -> None:
    history = History(tmp_path / "history.jsonl")
    rows = [(STEP, 1), (STEP, 2), (VALIDATION, 2), (STEP, 3), (STEP, 4), (VALIDATION, 4)]
    for kind, step in rows:
        history.add(kind, step, {"loss": step / 3})
    with open(history.path, "a") as file:
        file.write('{"kind": "step", "st')
    history.cut(step=4, validated=True)
    assert [(row["kind"], row["step"]) for row in read_history(history.path)] == rows
    history.cut(step=4, validated=False)
    assert [(row["kind"], row["step"]) for row in read_history(history.path)] == rows[:-1]
    history.cut(step=2, validated=True)
    assert [(row["kind"], row["step"]) for row in read_history(history.path)] == rows[:3]
    history.cut(step=0, validated=True)
    assert json.dumps(read_history(history.path)) == "[]"
