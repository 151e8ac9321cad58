"""Study runs in W&B: what the aggregate of a row and the run of the study hold, and that nothing is written twice."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.config.schema import TrackingConfig
from studies.record import StudyRecord, study_folder
from sweeps.dashboards.study_runs import AGGREGATE, STUDY, write_study_runs
from tests.reports.records import make_run, make_study

OFFLINE = TrackingConfig(wandb="offline")


def offline_files(folder: Path) -> dict[str, Path]:
    """The id of every offline run of a folder, and its file."""
    files = sorted((folder / "wandb").glob("offline-run-*/run-*.wandb"))
    return {path.stem.removeprefix("run-"): path for path in files}


def records_of(path: Path) -> list[dict[str, Any]]:
    """The records of an offline file, read by W&B's own reader."""
    reader = [Path(sys.executable).with_name("wandb"), "leet", "inspect", "--json", path]
    done = subprocess.run(reader, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def summary_in(records: list[dict[str, Any]]) -> dict[str, Any]:
    """The summary that the records of a file add up to."""
    summary: dict[str, Any] = {}
    for record in records:
        if record["type"] == "summary":
            summary |= record["summary"]["update"]
    return summary


def test_the_std_of_a_row_is_a_column_of_the_runs_table(study: StudyRecord, tmp_path: Path) -> None:
    assert write_study_runs(study, tmp_path, OFFLINE) == 3
    files = offline_files(study_folder(tmp_path, study.label))
    assert sorted(files) == [f"{row:012x}-aggregate-made-quick" for row in (0, 1)] + ["study-000000000000-made-quick"]
    records = records_of(files["000000000000-aggregate-made-quick"])
    run = next(record["run"] for record in records if record["type"] == "run")
    assert (run["run_group"], run["job_type"]) == ("made@quick · aggregate", AGGREGATE)
    assert run["display_name"] == "jerex-grc: 3 seeds"
    assert {"made", "quick", "jerex-grc"} <= set(run["tags"])
    config = run["config"]["update"]
    assert config["seeds"] == [0, 1, 2]
    assert (config["study"], config["row"], config["signature"]) == ("made@quick", "jerex-grc", "000000000000")
    assert config["run_ids"] == [f"000000000000-s{seed}" for seed in (0, 1, 2)]
    assert run["config"]["update"]["training"]["lr"] == 4e-3
    summary = summary_in(records)
    # 38, 39, 43: mean 40, deviations 2, 1, 3; 4.303 is t at two degrees of freedom.
    assert summary["test/relation_strict/f1"] == 40.0
    assert summary["test/relation_strict/f1_std"] == pytest.approx(7**0.5)
    assert summary["test/relation_strict/f1_n"] == 3
    half = 4.302653 * 7**0.5 / 3**0.5
    assert summary["validation/relation_strict/f1_low"] == pytest.approx(40 - half, abs=1e-4)
    assert summary["validation/mention/f1_high"] == pytest.approx(90 + half, abs=1e-4)
    assert summary["seconds"] == 61.0


def test_what_one_seed_cannot_show_is_left_out(study: StudyRecord, tmp_path: Path) -> None:
    write_study_runs(study, tmp_path, OFFLINE)
    files = offline_files(study_folder(tmp_path, study.label))
    summary = summary_in(records_of(files["000000000001-aggregate-made-quick"]))
    assert summary["test/entity/f1_n"] == 1
    assert not [name for name in summary if name.endswith(("_std", "_low", "_high"))]


def test_the_study_run_holds_table_and_report(study: StudyRecord, tmp_path: Path) -> None:
    folder = study_folder(tmp_path, study.label)
    (folder / "report").mkdir()
    (folder / "report" / "table.tex").write_text("a table")
    write_study_runs(study, tmp_path, OFFLINE)
    path = offline_files(folder)["study-000000000000-made-quick"]
    records = records_of(path)
    run = next(record["run"] for record in records if record["type"] == "run")
    assert (run["run_group"], run["job_type"]) == ("made@quick", STUDY)
    text = json.dumps(records)
    assert "table.tex" in text
    assert "study.json" in text
    lines = run["notes"].splitlines()
    assert lines[:2] == [study.study.question, ""]
    row, split, seeds, *means = [cell.strip() for cell in lines[4].strip("|").split("|")]
    assert (row, split, seeds) == ("jerex-grc", "test", "3")
    assert means[-1] == "40.00 ± 2.65"
    assert lines[5].strip("| ").endswith("40.00")


def test_only_what_changed_is_written_again(study: StudyRecord, tmp_path: Path) -> None:
    folder = study_folder(tmp_path, study.label)
    assert write_study_runs(study, tmp_path, OFFLINE) == 3
    before = offline_files(folder)
    assert write_study_runs(study, tmp_path, OFFLINE) == 0
    make_run(tmp_path, f"{1:012x}", 1, f1=44.0)
    assert write_study_runs(study, tmp_path, OFFLINE) == 2
    after = offline_files(folder)
    # The aggregate is the same run, written again; its first fragment holds nothing that the second does not.
    assert after.keys() == before.keys()
    assert after["000000000000-aggregate-made-quick"] == before["000000000000-aggregate-made-quick"]
    summary = summary_in(records_of(after["000000000001-aggregate-made-quick"]))
    assert summary["test/relation_strict/f1"] == 42.0
    assert summary["test/relation_strict/f1_n"] == 2


def test_a_study_without_a_finished_run_writes_nothing(tmp_path: Path) -> None:
    study = make_study(tmp_path, {"jerex-grc": {0: None}}, profile="quick")
    assert write_study_runs(study, tmp_path, OFFLINE) == 0
    assert offline_files(study_folder(tmp_path, study.label)) == {}
