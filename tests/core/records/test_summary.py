"""Run summaries: a part of the record, with its names and values, and the one rule of where a run stands."""

from pathlib import Path

import msgspec
import pytest

from core.errors import UserError
from core.files import lock_folder
from core.records.memory_use import KnockOutScores, MemoryUse
from core.records.provenance import collect_provenance
from core.records.record import RECORD, RunRecord, Status, read_record, write_record
from core.records.summary import RunSummary, read_summary
from core.scoring.metrics import TASKS

PRF = ("precision", "recall", "f1", "macro_precision", "macro_recall", "macro_f1")
SCORES = {task: {name: 10.0 * number + place for place, name in enumerate(PRF)} for number, task in enumerate(TASKS, 1)}
TYPES = {"P17": {"f1": 40.0, "tp": 2, "fp": 1, "fn": 3}}
EXTRA = {"documents": 4, "by_sentence_distance": {"intra": {"f1": 1.5, "tp": 1, "fn": 2}}, "by_relation_type": TYPES}
RECORDED = RunRecord(
    run_id="a-s0",
    status="finished",
    config={"preset": "memory-grc", "data": {"train": "a.json"}, "memory": {"warmup": 0.4}, "training": {"epochs": 7}},
    provenance=collect_provenance({"a.json": "ab12"}),
    metrics={"validation": {task: {"f1": 99.0} for task in TASKS}, "test": SCORES | {"extra": EXTRA}},
    steps=12,
    chosen_epoch=3,
    chosen_reading=1.0,
    seconds=60.0,
    peak_memory_mib=100.0,
    parameters=1_000,
    memory_use=MemoryUse(knock_outs={"mean-read": KnockOutScores({"coref": 20.0}, {"coref": -1.0})}),
    error="x",
)


def test_a_summary_has_the_names_and_values_of_the_record(tmp_path: Path) -> None:
    write_record(tmp_path, RECORDED)
    summary = read_summary(tmp_path)
    assert summary.folder == tmp_path
    assert set(summary.__struct_fields__) - {"folder"} <= set(RunRecord.__struct_fields__)
    for name in set(summary.__struct_fields__) - {"config", "metrics", "folder"}:
        assert getattr(summary, name) == getattr(RECORDED, name)
    test = summary.metrics["test"]
    assert {task: msgspec.structs.asdict(getattr(test, task)) for task in TASKS} == SCORES
    assert (test.extra.documents, test.extra.by_sentence_distance["intra"].fn) == (4, 2)
    assert (summary.config.preset, summary.config.training.epochs) == ("memory-grc", 7)
    assert (summary.config.data, summary.config.model.relation_head) == ({"train": "a.json"}, "")


def test_the_f1_is_of_the_first_split_that_was_scored() -> None:
    tasks = {"validation": {"coref": {"f1": 99.0}}, "test": {"coref": {"f1": 20.0}}}
    both = msgspec.convert({"run_id": "a-s0", "status": "finished", "metrics": tasks}, RunSummary)
    assert (both.f1("coref"), both.f1("coref", splits=["validation"]), both.f1("entity")) == (20.0, 99.0, None)
    assert msgspec.structs.replace(both, metrics={}).f1("coref") is None


@pytest.mark.parametrize(
    ("recorded", "unlocked", "locked"),
    [
        (None, "waiting", "running"),
        ("running", "killed", "running"),
        ("interrupted", "interrupted", "running"),
        ("failed", "failed", "running"),
        ("finished", "finished", "finished"),
        ("diverged", "diverged", "diverged"),
        ("imported", "imported", "imported"),
    ],
)
def test_the_status_is_that_of_now(tmp_path: Path, recorded: Status | None, unlocked: str, locked: str) -> None:
    if recorded is not None:
        write_record(tmp_path, msgspec.structs.replace(RECORDED, status=recorded))
    assert read_summary(tmp_path).status == unlocked
    with lock_folder(tmp_path):
        assert read_summary(tmp_path).status == locked


def test_a_damaged_record_is_a_status_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / RECORD).write_bytes(b'{"run_id": "ab-s0", ')
    summary = read_summary(tmp_path)
    assert summary.status == "damaged"
    assert (summary.error or "").startswith(f"{tmp_path / RECORD} is damaged: ")
    with pytest.raises(UserError, match="is damaged"):
        read_record(tmp_path)
