"""Records to a tidy frame: nothing that is not there becomes a number."""

import json
from pathlib import Path

import msgspec
import pytest

from core.errors import UserError
from core.records.record import RECORD
from core.records.summary import RunSummary, read_summary
from core.scoring.metrics import TASKS
from reports.captions import limiting_notes, problems
from reports.frame import load_study, run_facts
from reports.run_results import describe_seed
from studies.rows import Row
from tests.reports.records import SHIFT, make_run, make_study

TWO = {"jerex-grc": {0: 38.0, 1: 39.0}, "memory-grc": {0: 40.0, 1: None}}


def folder_of(runs: Path, row: int, seed: int) -> Path:
    return runs / f"{row:012x}" / f"s{seed}"


def test_a_line_per_row_seed_and_task_with_the_facts_of_its_run(tmp_path: Path) -> None:
    frame = load_study(make_study(tmp_path, TWO), tmp_path).frame
    assert len(frame) == 2 * 2 * len(TASKS)
    line = frame[(frame["row"] == "memory-grc") & (frame["seed"] == 0) & (frame["task"] == "entity")].iloc[0]
    assert line["f1"] == 40.0 + SHIFT["entity"]
    assert line["run"] == "000000000001-s0"
    assert line["commit"] == "a" * 40
    assert line["data"] == f"train={'1' * 12} test={'2' * 12}"
    assert (line["seconds"], line["chosen_epoch"], line["chosen_reading"], line["documents"]) == (60.0, 5, 1.0, 40)
    assert line["reads"]
    assert not frame[frame["row"] == "jerex-grc"]["reads"].any()


def test_a_run_that_was_never_started_keeps_its_lines_empty(tmp_path: Path) -> None:
    frame = load_study(make_study(tmp_path, TWO), tmp_path).frame
    absent = frame[(frame["row"] == "memory-grc") & (frame["seed"] == 1)]
    assert set(absent["status"]) == {"waiting"}
    assert absent[["precision", "recall", "f1", "seconds", "chosen_epoch"]].isna().all(axis=None)


@pytest.mark.parametrize("status", ["failed", "diverged", "interrupted"])
def test_a_run_that_ended_badly_is_named_and_its_scores_do_not_count(tmp_path: Path, status: str) -> None:
    study = make_study(tmp_path, TWO)
    error = "Traceback (most recent call last):\n  File ...\nValueError: too wide\n"
    # Scores of an earlier evaluation in such a record are no result either.
    make_run(tmp_path, f"{1:012x}", 1, f1=99.0, status=status, error=error)  # type: ignore[arg-type]
    frame = load_study(study, tmp_path).frame
    assert frame[(frame["row"] == "memory-grc") & (frame["seed"] == 1)]["f1"].isna().all()
    assert problems(frame) == [f"000000000001-s1 {status}: ValueError: too wide"]
    assert any(note.endswith(f"seed 1 {status}.") for note in limiting_notes(study, frame, {}))


def test_a_dead_process_leaves_a_run_that_is_killed(tmp_path: Path) -> None:
    study = make_study(tmp_path, TWO)
    make_run(tmp_path, f"{1:012x}", 1, status="running")
    assert run_facts(load_study(study, tmp_path).frame)["status"].tolist() == ["finished"] * 3 + ["killed"]


def test_a_damaged_record_is_one_line_and_the_others_count(tmp_path: Path) -> None:
    study = make_study(tmp_path, TWO)
    (folder_of(tmp_path, 0, 1) / RECORD).write_text('{"run_id": "0000')
    frame = load_study(study, tmp_path).frame
    assert frame[frame["f1"].notna()]["run"].unique().tolist() == ["000000000000-s0", "000000000001-s0"]
    damaged = problems(frame)[0]
    assert "s1/record.json is damaged" in damaged
    assert "\n" not in damaged


def test_a_record_of_another_run_is_not_taken_for_this_one(tmp_path: Path) -> None:
    study = make_study(tmp_path, TWO)
    text = (folder_of(tmp_path, 0, 0) / RECORD).read_text()
    (folder_of(tmp_path, 0, 1) / RECORD).write_text(text)
    frame = load_study(study, tmp_path).frame
    assert "holds the record of another run, 000000000000-s0" in problems(frame)[0]
    assert frame[(frame["row"] == "jerex-grc") & (frame["seed"] == 1)]["f1"].isna().all()


def test_a_finished_run_without_its_metric_raises(tmp_path: Path) -> None:
    study = make_study(tmp_path, TWO)
    path = folder_of(tmp_path, 0, 1) / RECORD
    record = json.loads(path.read_text())
    del record["metrics"]["test"]["relation_strict"]["f1"]
    path.write_text(json.dumps(record))
    with pytest.raises(UserError, match="000000000000-s1 is finished but has no test f1 of relation_strict"):
        load_study(study, tmp_path)
    with pytest.raises(UserError, match=r"no scores on split 'dev' .it has: validation, test"):
        load_study(study, tmp_path, split="dev")
    assert load_study(study, tmp_path, split="validation").frame["f1"].notna().sum() == 3 * len(TASKS)


def test_each_record_is_read_once_though_two_rows_share_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seeds = {row: {0: 38.0, 1: 39.0} for row in ("jerex", "heads", "read")}
    study = make_study(tmp_path, seeds, rows={row: Row("jerex-grc") for row in seeds})
    first = study.row_runs[0]
    shared = [first, msgspec.structs.replace(first, row="heads"), study.row_runs[2]]
    study = msgspec.structs.replace(study, row_runs=shared)
    read: list[Path] = []

    def counting(folder: Path) -> RunSummary:
        read.append(folder)
        return read_summary(folder)

    monkeypatch.setattr("reports.run_results.read_summary", counting)
    data = load_study(study, tmp_path)
    assert len(read) == len(set(read)) == 4
    assert data.frame["f1"].notna().all()
    assert data.configs.keys() == seeds.keys()


def test_a_seed_means_the_same_in_records_from_before_there_was_a_limit() -> None:
    before = {"train": "a.json", "validation_share": 0.1, "surface": "tokens"}
    assert describe_seed(before, "") == describe_seed(before | {"limit": None}, "")
    assert describe_seed(before, "") != describe_seed(before | {"limit": 5}, "")
