"""A study in W&B: what the aggregate of a cell and the study's run say, and that nothing is written or sent twice."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import wandb

import engram
from core.config.presets import leaves, merge
from core.config.schema import TrackingConfig
from core.data.formats.docred import write_docred
from core.files import lock_folder
from core.records.record import RunRecord, Status
from core.records.tracking import WandbTracker
from studies.record import StudyRecord, find_study_record, study_folder
from sweeps.dashboards.study_runs import AGGREGATE, STUDY, write_study_runs
from sweeps.dashboards.sync import pending_files, upload
from tests.reports.records import make_run, make_study
from tests.tiny import TINY, document
from tests.wandb_stand_in import KEY, serving

OFFLINE = TrackingConfig(wandb="offline")
SCORES = {"jerex-grc": {0: 38.0, 1: 39.0, 2: 43.0}, "memory-grc": {0: 40.0, 1: None, 2: None}}


@pytest.fixture(autouse=True)
def logged_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "staging"))


@pytest.fixture
def study(tmp_path: Path) -> StudyRecord:
    return make_study(tmp_path, SCORES, profile="quick")


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
    told: dict[str, Any] = {}
    for record in records:
        if record["type"] == "summary":
            told |= record["summary"]["update"]
    return told


def test_the_spread_of_a_cell_stands_in_the_runs_table(study: StudyRecord, tmp_path: Path) -> None:
    assert write_study_runs(study, tmp_path, OFFLINE) == 3
    files = offline_files(study_folder(tmp_path, study.label))
    assert sorted(files) == [f"{row:012x}-aggregate-made-quick" for row in (0, 1)] + ["study-000000000000-made-quick"]
    records = records_of(files["000000000000-aggregate-made-quick"])
    run = next(record["run"] for record in records if record["type"] == "run")
    assert (run["run_group"], run["job_type"]) == ("000000000000", AGGREGATE)
    assert run["display_name"] == "jerex-grc: 3 seeds"
    assert {"made", "quick", "jerex-grc"} <= set(run["tags"])
    assert run["config"]["update"]["seeds"] == [0, 1, 2]
    assert run["config"]["update"]["training"]["lr"] == 3e-3
    told = summary_in(records)
    # 38, 39, 43: mean 40, deviations 2, 1, 3; 4.303 is t at two degrees of freedom.
    assert told["test/relation_strict/f1"] == 40.0
    assert told["test/relation_strict/f1_std"] == pytest.approx(7**0.5)
    assert told["test/relation_strict/f1_n"] == 3
    half = 4.302653 * 7**0.5 / 3**0.5
    assert told["validation/relation_strict/f1_low"] == pytest.approx(40 - half, abs=1e-4)
    assert told["validation/mention/f1_high"] == pytest.approx(90 + half, abs=1e-4)
    assert told["seconds"] == 61.0


def test_what_one_seed_cannot_say_is_left_out(study: StudyRecord, tmp_path: Path) -> None:
    write_study_runs(study, tmp_path, OFFLINE)
    files = offline_files(study_folder(tmp_path, study.label))
    told = summary_in(records_of(files["000000000001-aggregate-made-quick"]))
    assert told["test/entity/f1_n"] == 1
    assert not [name for name in told if name.endswith(("_std", "_low", "_high"))]


def test_the_study_run_holds_table_and_report(study: StudyRecord, tmp_path: Path) -> None:
    folder = study_folder(tmp_path, study.label)
    (folder / "report").mkdir()
    (folder / "report" / "table.tex").write_text("a table")
    write_study_runs(study, tmp_path, OFFLINE)
    path = offline_files(folder)["study-000000000000-made-quick"]
    records = records_of(path)
    run = next(record["run"] for record in records if record["type"] == "run")
    assert (run["run_group"], run["job_type"]) == ("made@quick", STUDY)
    said = json.dumps(records)
    assert "table.tex" in said
    assert "study.json" in said
    (table,) = path.parent.glob("files/media/table/*.json")
    held = json.loads(table.read_text())
    assert held["columns"][:4] == ["row", "split", "seeds", "mention F1 mean"]
    assert held["data"][0][:3] == ["jerex-grc", "test", 3]
    assert held["data"][0][held["columns"].index("relation_strict F1 mean")] == 40.0
    assert held["data"][1][held["columns"].index("relation_strict F1 std")] is None


def test_only_what_changed_is_written_again(study: StudyRecord, tmp_path: Path) -> None:
    folder = study_folder(tmp_path, study.label)
    assert write_study_runs(study, tmp_path, OFFLINE) == 3
    before = offline_files(folder)
    assert write_study_runs(study, tmp_path, OFFLINE) == 0
    make_run(tmp_path, f"{1:012x}", 1, f1=44.0)
    assert write_study_runs(study, tmp_path, OFFLINE) == 2
    after = offline_files(folder)
    # The aggregate is the same run, written anew; its first fragment says nothing that the second does not.
    assert after.keys() == before.keys()
    assert after["000000000000-aggregate-made-quick"] == before["000000000000-aggregate-made-quick"]
    told = summary_in(records_of(after["000000000001-aggregate-made-quick"]))
    assert told["test/relation_strict/f1"] == 42.0
    assert told["test/relation_strict/f1_n"] == 2


def test_a_study_without_a_finished_run_says_nothing(tmp_path: Path) -> None:
    study = make_study(tmp_path, {"jerex-grc": {0: None}}, profile="quick")
    assert write_study_runs(study, tmp_path, OFFLINE) == 0
    assert offline_files(study_folder(tmp_path, study.label)) == {}


def track(folder: Path, run_id: str, steps: tuple[int, ...], *, status: Status) -> None:
    """Write a fragment of a run as a worker would, offline."""
    settings = TrackingConfig(wandb="offline", tags="made,jerex-grc", row="jerex-grc", job_type="baseline")
    tracker = WandbTracker(settings)
    config = {"preset": "jerex-grc", "profile": "quick", "seed": 0, "training": {"lr": 0.5}}
    record = RunRecord(run_id=run_id, status="running", config=config)
    tracker.start(record, folder)
    for step in steps:
        tracker.log({"loss/total": 10.0 - step}, step=step)
    metrics = {"test": {"mention": {"f1": 50.0}}} if status == "finished" else {}
    tracker.finish(msgspec.structs.replace(record, status=status, metrics=metrics))


def test_sync_sends_every_fragment_once_and_in_order(
    study: StudyRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_id = "000000000000-s0"
    folder = tmp_path / "000000000000" / "s0"
    track(folder, run_id, (1, 2), status="interrupted")
    track(folder, run_id, (3, 4), status="finished")
    (folder / "config.yaml").write_text("preset: jerex-grc\ntracking: {wandb: offline}\n")
    with serving() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.address)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        assert engram.main(["study", "sync", "made", "--runs", str(tmp_path)]) == 0, capsys.readouterr().err
        assert "5 of 5 files uploaded" in capsys.readouterr().out
        run = server.runs[run_id]
        assert [row["global_step"] for row in run.history] == [1, 2, 3, 4]
        assert run.summary["test/mention/f1"] == 50.0
        assert run.summary["status"] == "finished"
        assert (run.told["groupName"], run.told["jobType"]) == ("000000000000", "baseline")
        assert run.told["displayName"] == "jerex-grc seed 0"
        assert set(run.told["tags"]) == {"jerex-grc", "quick", "made"}
        assert run.config["training"] == {"lr": 0.5}
        assert server.runs["000000000000-aggregate-made-quick"].summary["test/relation_strict/f1_std"] > 2
        sent = len(run.history)
        assert engram.main(["study", "sync", "made", "--runs", str(tmp_path)]) == 0
        assert "there is nothing to upload" in capsys.readouterr().out
        assert len(run.history) == sent


def test_sync_without_a_key_or_a_server_is_one_line(
    study: StudyRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert engram.main(["study", "sync", "made", "--runs", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("engram: there is no W&B key: run `wandb login`")
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    assert engram.main(["study", "sync", "made", "--runs", str(tmp_path)]) == 2
    assert "http://127.0.0.1:9 does not answer (ConnectionError)" in capsys.readouterr().err


@pytest.fixture
def fresh_client() -> Iterator[None]:
    """W&B's client asks its environment only once in a process."""
    wandb.teardown()
    yield
    wandb.teardown()


def test_a_study_that_is_followed_online_goes_up_when_its_runs_have_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], fresh_client: None
) -> None:
    (tmp_path / "mine.yaml").write_text(
        "{question: Why, baseline: plain, seeds: [0, 1], rows: {plain: {preset: jerex-grc}}}"
    )
    write_docred([document(number) for number in range(6)], tmp_path / "documents.json")
    settings = {"training": {"epochs": 1, "batch_size": 3}, "runtime": {"device": "cpu", "threads": 1}}
    documents = dict.fromkeys(("train", "validation", "test"), str(tmp_path / "documents.json"))
    tree = merge(TINY, settings | {"data": {"name": None} | documents, "tracking": {"wandb": "online"}})
    flags = [
        word for path, value in leaves(tree).items() for word in (f"--{path.replace('_', '-')}", str(value).lower())
    ]
    with serving() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.address)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        asked = ["study", "run", str(tmp_path / "mine.yaml"), "--runs", str(tmp_path / "runs"), "--jobs", "1", *flags]
        assert engram.main(asked) == 0, capsys.readouterr().err
        (record,) = [find_study_record("mine", tmp_path / "runs")]
        (cell,) = record.row_runs
        assert {name for name in server.runs if name.startswith(cell.signature)} == {
            *cell.runs.values(),
            f"{cell.signature}-aggregate-mine-quick",
        }
        run, aggregate = (server.runs[name] for name in (cell.runs[1], f"{cell.signature}-aggregate-mine-quick"))
        assert (run.told["displayName"], run.told["jobType"], run.exit_code) == ("plain seed 1", "baseline", 0)
        assert run.config["tracking"]["study"] == "mine@quick"
        assert aggregate.config["seeds"] == [0, 1]
        values = [server.runs[name].summary["test/mention/f1"] for name in cell.runs.values()]
        assert aggregate.summary["test/mention/f1"] == pytest.approx(sum(values) / 2)
        assert aggregate.summary["test/mention/f1_std"] == pytest.approx(abs(values[0] - values[1]) / 2**0.5)
        study = server.runs[f"study-{cell.signature}-mine-quick"]
        assert study.told["notes"].startswith("Why\n\n| row")
        before = {name: len(run.history) for name, run in server.runs.items()}
        assert engram.main(asked) == 0
        assert {name: len(run.history) for name, run in server.runs.items()} == before


def test_a_run_that_is_computed_now_is_not_uploaded(study: StudyRecord, tmp_path: Path) -> None:
    folder = tmp_path / "000000000000" / "s0"
    track(folder, "000000000000-s0", (1,), status="finished")
    assert [path.name for path in pending_files(study, tmp_path)] == ["run-000000000000-s0.wandb"]
    with lock_folder(folder):
        assert pending_files(study, tmp_path) == []


def test_an_upload_that_takes_nothing_is_given_up(
    study: StudyRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "000000000000" / "s0"
    track(folder, "000000000000-s0", (1,), status="finished")
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setattr("sweeps.dashboards.sync.SILENT_SECONDS", 3.0)
    (path,) = pending_files(study, tmp_path)
    assert upload([path], logs=folder / "wandb") == {path: "error: W&B took nothing for 3 s"}
    assert pending_files(study, tmp_path) == [path]


def test_what_a_server_that_went_away_did_not_take_goes_up_later(
    study: StudyRecord,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    fresh_client: None,
) -> None:
    run_id, folder = "000000000000-s0", tmp_path / "000000000000" / "s0"
    monkeypatch.setattr("core.records.wandb_run.FINISH_SECONDS", 2.0)
    with serving() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.address)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        tracker = WandbTracker(TrackingConfig(wandb="online"))
        record = RunRecord(run_id=run_id, status="running", config={"preset": "x", "profile": "quick", "seed": 0})
        tracker.start(record, folder)
        server.broken = True
        tracker.log({"loss/total": 1.0}, step=5)
        tracker.finish(msgspec.structs.replace(record, status="finished"))
        assert f"engram: warning: {run_id}: W&B did not take everything" in capsys.readouterr().err
        assert "status" not in server.runs[run_id].summary
        server.broken = False
        (path,) = pending_files(study, tmp_path)
        assert upload([path], logs=folder / "wandb") == {}
        assert server.runs[run_id].summary["status"] == "finished"
        assert [row["global_step"] for row in server.runs[run_id].history] == [5]
        assert pending_files(study, tmp_path) == []


def test_offline_files_are_listed_where_nothing_is_to_go_up(
    study: StudyRecord, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert engram.main(["study", "sync", "made", "--runs", str(tmp_path), "--wandb", "disabled"]) == 0
    assert "there is nothing to upload" in capsys.readouterr().out
    assert engram.main(["study", "sync", "made", "--runs", str(tmp_path), "--wandb", "offline"]) == 0
    assert "made@quick: 3 files to upload with `engram study sync`" in capsys.readouterr().out
