"""A study from a W&B project: the same frame as from records, and what W&B does not have is missing, never 0."""

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import stdev
from typing import Any

import msgspec
import pandas as pd
import pytest
import wandb

import engram
from core.config.schema import TrackingConfig
from core.errors import UserError
from core.records.record import read_record
from core.records.tracking import Tracker, wandb_summary
from core.records.wandb_upload import pending_files, upload
from reports.frame import load_study
from reports.memory_use import COLUMNS as KNOCK_OUT_COLUMNS
from reports.memory_use import compare_knock_outs
from reports.wandb_source import RemoteRun, find_study_in_project, load_from_wandb, read_project
from studies.record import StudyRecord, study_folder
from studies.study import shipped_studies
from sweeps.dashboards.study_runs import write_study_runs
from tests.reports.memory_use_records import store_counts, store_memory_use
from tests.reports.records import make_run, make_study
from tests.wandb_stand_in import KEY, serving

SEEDS = {"jerex-grc": {0: 38.0, 1: 39.0}, "memory-grc": {0: 40.0, 1: 41.0}}
COSTS = ("chosen_epoch", "chosen_reading", "steps", "seconds", "peak_memory_mib", "parameters")


def flat_scores(tree: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """The leaves of nested scores by their path."""
    found: dict[str, Any] = {}
    for name, value in tree.items():
        key = before + name.replace("/", "%2F")
        found |= flat_scores(value, f"{key}/") if isinstance(value, Mapping) else {key: value}
    return found


def remote_runs(study: StudyRecord, runs: Path, *, name: str = "made") -> dict[str, RemoteRun]:
    """The runs of a made study as the tracker mirrors them."""
    found = {}
    for cell in study.row_runs:
        for seed, run_id in cell.runs.items():
            record = read_record(runs / cell.signature / f"s{seed}")
            assert record is not None
            tracking = {"study": f"{name}@paper", "row": cell.row}
            origin = msgspec.to_builtins(record.provenance)
            config = {**record.config, "tracking": tracking, "provenance": origin}
            if record.type_names:  # runs of earlier releases have none
                config["type_names"] = record.type_names
            summary = {**flat_scores(record.metrics), "status": record.status}
            summary |= {cost: getattr(record, cost) for cost in COSTS}
            found[run_id] = RemoteRun(run_id, config, summary, url="https://w/1")
    return found


def test_the_frame_is_that_of_the_records(tmp_path: Path) -> None:
    study = make_study(tmp_path, SEEDS)
    make_run(tmp_path, "000000000000", 1, f1=39.0, type_names={"relation": {"P17": "country"}})
    here, there = load_study(study, tmp_path), load_from_wandb(study, remote_runs(study, tmp_path))
    assert list(there.frame.columns) == list(here.frame.columns)
    same = [name for name in here.frame.columns if name not in ("folder", "address")]
    pd.testing.assert_frame_equal(there.frame[same], here.frame[same], check_dtype=False)
    assert set(there.frame["address"]) == {"https://w/1"}
    assert there.breakdowns == here.breakdowns
    assert there.type_names == here.type_names == {"relation": {"P17": "country"}}
    assert there.breakdowns["000000000000-s0"]["distance"]["intra"].f1 == 40.0


def test_memory_use_is_that_of_the_records_but_for_the_counts_per_document(tmp_path: Path) -> None:
    study = make_study(tmp_path, SEEDS)
    store_memory_use(tmp_path, 1, {"reading-off": [-1.0, -2.5], "mean-read": [0.5]})
    for seed in (0, 1):
        store_counts(tmp_path, 1, seed, "test", [5, 6, 7])
        store_counts(tmp_path, 1, seed, "test.reading-off", [5, 4, 3])
    remote = remote_runs(study, tmp_path)
    for run_id in remote:
        record = read_record(tmp_path / run_id.replace("-", "/"))
        assert record is not None
        remote[run_id] = replace(remote[run_id], summary=wandb_summary(record))
    here, there = load_study(study, tmp_path), load_from_wandb(study, remote)
    assert there.memory_use == here.memory_use
    assert set(there.memory_use) == {"000000000001-s0", "000000000001-s1"}
    differences, mirrored = compare_knock_outs(here, resamples=100), compare_knock_outs(there)
    pd.testing.assert_frame_equal(mirrored[KNOCK_OUT_COLUMNS], differences[KNOCK_OUT_COLUMNS])
    assert differences["low_all"].notna().any()
    assert mirrored["low_all"].isna().all()


def test_what_the_project_lacks_is_missing_and_named(tmp_path: Path) -> None:
    study = make_study(tmp_path, SEEDS)
    runs = remote_runs(study, tmp_path)
    del runs["000000000000-s1"]
    summary = {key: value for key, value in runs["000000000001-s0"].summary.items() if key != "test/entity/f1"}
    # A metric with a summary of its own is nested.
    runs["000000000001-s0"] = replace(runs["000000000001-s0"], summary={**summary, "test/coref/f1": {"max": 74.0}})
    runs["000000000001-s1"] = replace(runs["000000000001-s1"], summary={}, state="crashed")
    frame = load_from_wandb(study, runs).frame
    scored = frame[frame["f1"].notna()]
    assert set(scored["run"]) == {"000000000000-s0", "000000000001-s0"}
    own = frame[frame["run"] == "000000000001-s0"].set_index("task")
    assert math.isnan(own.at["entity", "f1"])
    assert own.at["coref", "f1"] == 74.0
    assert set(frame["problem"]) == {
        "",
        "000000000000-s1 is not in the W&B project",
        "000000000001-s0: W&B has no test F1 of entity",
        "000000000001-s1: killed in W&B",
    }


def test_without_its_record_the_settings_of_runs_say_which_a_study_has(tmp_path: Path) -> None:
    made = make_study(tmp_path, {**SEEDS, "jerex-mrc": {0: 41.0}}, name="paper")
    runs = remote_runs(made, tmp_path, name="paper")
    runs["000000000002-s3"] = RemoteRun("000000000002-s3", runs["000000000002-s0"].config, {})
    # One run of other settings of the same row, and one of another study.
    config = runs["000000000001-s0"].config
    runs["ffffffffffff-s0"] = RemoteRun("ffffffffffff-s0", config, {})
    runs["eeeeeeeeeeee-s0"] = RemoteRun(
        "eeeeeeeeeeee-s0", {**config, "tracking": {"study": "ladder@paper", "row": "memory-grc"}}, {}
    )
    study = find_study_in_project("paper", tmp_path / "elsewhere", runs.values(), profile=None)
    assert study.label == "paper@paper"
    cells = {cell.row: cell for cell in study.row_runs}
    assert list(cells) == list(shipped_studies()["paper"].rows)
    assert cells["memory-grc"].signature == "000000000001"
    assert (
        load_from_wandb(study, runs).frame.set_index("run").at["000000000002-s3", "status"].tolist() == ["finished"] * 5
    )
    # The study has five seeds; those that the project lacks are missing, not left out.
    frame = load_from_wandb(study, runs).frame
    assert frame[frame["row"] == "memory-grc"]["seed"].unique().tolist() == [0, 1, 2, 3, 4]
    assert frame[frame["f1"].notna()].groupby("row")["seed"].nunique().to_dict() == {
        "jerex-grc": 2,
        "jerex-mrc": 1,
        "memory-grc": 2,
    }
    with pytest.raises(UserError, match="the W&B project has runs of study 'warmup' under no profile"):
        find_study_in_project("warmup", tmp_path / "elsewhere", runs.values(), profile=None)
    with pytest.raises(UserError, match="has runs of study 'paper' under paper: check"):
        find_study_in_project("paper", tmp_path / "elsewhere", runs.values(), profile="quick")


def test_a_study_that_was_uploaded_is_read_back_digit_for_digit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    study = make_study(tmp_path, {"jerex-grc": {0: 38.1, 1: 100 / 3}, "memory-grc": {0: 20.1 + 0.2, 1: 41.0}})
    offline = TrackingConfig(wandb="offline", study="made@paper")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    folders = [run.folder for run in study.runs_in(tmp_path)]
    with serving() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.address)
        wandb.teardown()
        for folder in folders:
            record = read_record(folder)
            assert record is not None
            tracker = Tracker(offline)
            tracker.start(record, folder)
            tracker.finish(record)
        write_study_runs(study, tmp_path, offline)
        files = [path for folder in (*folders, study_folder(tmp_path, study.label)) for path in pending_files(folder)]
        assert upload(files, logs=tmp_path) == ""
        here = load_study(study, tmp_path)
        there = load_from_wandb(study, {run.id: run for run in read_project("team/engram")})
        same = [name for name in here.frame.columns if name not in ("folder", "address")]
        pd.testing.assert_frame_equal(there.frame[same], here.frame[same], check_exact=True, check_dtype=False)
        assert there.breakdowns == here.breakdowns
        assert len(there.breakdowns["000000000000-s0"]["type"]) == 2
        # A row's spread is that of its group, in which its aggregate is not.
        strict = here.frame[here.frame["task"] == "relation_strict"]
        for row in study.row_runs:
            name = f"{row.row} · {row.signature}"
            group = [run for _, run in sorted(server.runs.items()) if run.variables["groupName"] == name]
            values = [run.summary["test/relation_strict/f1"] for run in group]
            assert values == strict[strict["row"] == row.row]["f1"].tolist()
            aggregate = server.runs[f"{row.signature}-aggregate-made-paper"]
            assert aggregate.summary["test/relation_strict/f1_std"] == pytest.approx(stdev(values))
        assert engram.main(["report", "made", "--runs", str(tmp_path), "--from-wandb", "team/engram"]) == 0
        out = capsys.readouterr().out
        assert "35.72" in out
        assert "± 3.37 |" in out
        assert "counts per document lie in the run folders, which were not read" in out
        assert (tmp_path / "studies" / "made@paper" / "report-wandb" / "index.html").is_file()
        assert engram.main(["report", "made", "--runs", str(tmp_path), "--from-wandb", "team/none"]) == 2
        assert "W&B project team/none cannot be read" in capsys.readouterr().err
        assert server.refused == []
    wandb.teardown()
    assert engram.main(["report", "made", "--runs", str(tmp_path), "--from-wandb", "project"]) == 2
    assert "write entity/project" in capsys.readouterr().err
