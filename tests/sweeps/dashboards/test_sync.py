"""Upload to W&B: every file once, fragments in order, and what a missing key, server or answer means."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import wandb

import engram
from core.config.presets import leaves, merge
from core.config.schema import TrackingConfig
from core.data.formats.docred import write_docred
from core.files import lock_folder
from core.records.history import STEP
from core.records.record import RunRecord, Status, read_record, write_record
from core.records.tracking import Tracker
from core.records.wandb_upload import broken_artifacts, pending_files, prepare_runs, upload
from studies.record import StudyRecord, find_study_record
from sweeps.dashboards.sync import mirror_study
from tests.reports.records import make_run, make_study
from tests.tiny import TINY, document
from tests.wandb_stand_in import KEY, answer, serving


def track(folder: Path, run_id: str, steps: tuple[int, ...], *, status: Status) -> None:
    """Write a fragment of a run as a worker would, offline."""
    labels = {"study": "made@quick", "row": "jerex-grc", "job_type": "baseline"}
    settings = TrackingConfig(wandb="offline", tags="made,jerex-grc", artifacts="results", **labels)
    tracker = Tracker(settings)
    config = {"preset": "jerex-grc", "profile": "quick", "seed": 0, "training": {"lr": 0.5}}
    record = RunRecord(run_id=run_id, status="running", config=config)
    tracker.start(record, folder)
    for step in steps:
        tracker.log({"loss/total": 10.0 - step}, kind=STEP, step=step)
    metrics = {"test": {"mention": {"f1": 50.0}}} if status == "finished" else {}
    record = msgspec.structs.replace(record, status=status, metrics=metrics)
    if read_record(folder) is None:
        write_record(folder, record)
    tracker.finish(record)


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
        assert "5 files uploaded" in capsys.readouterr().out
        run = server.runs[run_id]
        assert [row["global_step"] for row in run.history] == [1, 2, 3, 4]
        assert run.summary["test/mention/f1"] == 50.0
        assert run.summary["status"] == "finished"
        assert (run.variables["groupName"], run.variables["jobType"]) == ("jerex-grc · 000000000000", "baseline")
        assert run.variables["displayName"] == "jerex-grc seed 0"
        assert set(run.variables["tags"]) == {"jerex-grc", "quick", "made"}
        assert run.config["training"] == {"lr": 0.5}
        assert server.runs["000000000000-aggregate-made-quick"].summary["test/relation_strict/f1_std"] > 2
        assert server.refused == []
        sent = len(run.history)
        assert engram.main(["study", "sync", "made", "--runs", str(tmp_path)]) == 0
        assert "there is nothing to upload" in capsys.readouterr().out
        assert len(run.history) == sent


def test_a_study_that_was_moved_arrives_whole(
    study: StudyRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_id, there = "000000000000-s0", tmp_path / "there"
    make_study(there, {"jerex-grc": {0: 38.0}}, profile="quick")
    folder = there / "000000000000" / "s0"
    (folder / "config.yaml").write_text("preset: jerex-grc\ntracking: {wandb: offline, artifacts: results}\n")
    track(folder, run_id, (1,), status="finished")
    assert engram.main(["study", "sync", "made", "--runs", str(there), "--wandb", "offline"]) == 0
    here = there.rename(tmp_path / "here")
    shutil.rmtree(tmp_path / "staging", ignore_errors=True)
    folder = here / "000000000000" / "s0"
    assert set(broken_artifacts(pending_files(folder))) == {f"run-{run_id}"}
    with serving() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.address)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        wandb.teardown()
        assert engram.main(["study", "sync", "made", "--runs", str(here)]) == 0, capsys.readouterr().err
        assert server.artifact_files(f"run-{run_id}") == {"record.json": (folder / "record.json").read_bytes()}
        assert server.artifact_files("study-000000000000-made-quick").keys() == {"study.json"}
        assert [row["global_step"] for row in server.runs[run_id].history] == [1]
        # What cannot be made again is not called uploaded.
        track(folder, run_id, (2,), status="finished")
        (folder / "record.json").unlink()
        assert engram.main(["study", "sync", "made", "--runs", str(here)]) == 1
        (lost,) = pending_files(folder)
        assert f"{lost} is not uploaded: files of its artifact run-{run_id} are gone" in capsys.readouterr().err


def test_single_runs_are_uploaded_without_a_study(
    study: StudyRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_id = "000000000000-s0"
    folder = tmp_path / "000000000000" / "s0"
    (folder / "config.yaml").write_text("preset: jerex-grc\ntracking: {wandb: offline}\n")
    track(folder, run_id, (1,), status="finished")
    with serving() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.address)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        assert engram.main(["runs", "sync", run_id, "--runs", str(tmp_path)]) == 0
        assert server.runs.keys() == {run_id}
        assert engram.main(["runs", "sync", "--runs", str(tmp_path)]) == 0
        assert capsys.readouterr().out == f"{run_id}: 1 file uploaded\n{tmp_path}: there is nothing to upload\n"


def test_failed_runs_of_a_study_are_an_alert(
    study: StudyRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run(tmp_path, "000000000001", 2, status="failed")
    with serving() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.address)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        mirror_study(study, tmp_path, TrackingConfig(), stopped=False)
        (alert,) = server.runs["study-000000000000-made-quick"].alerts
        assert alert["title"] == "1 run failed"
        assert "engram study status made@quick" in alert["text"]
        assert server.refused == []


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


def test_a_study_that_is_logged_online_is_uploaded_when_its_runs_have_ended(
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
        command = ["study", "run", str(tmp_path / "mine.yaml"), "--runs", str(tmp_path / "runs"), "--jobs", "1", *flags]
        assert engram.main(command) == 0, capsys.readouterr().err
        (record,) = [find_study_record("mine", tmp_path / "runs")]
        (row,) = record.row_runs
        assert {name for name in server.runs if name.startswith(row.signature)} == {
            *row.runs.values(),
            f"{row.signature}-aggregate-mine-quick",
        }
        run, aggregate = (server.runs[name] for name in (row.runs[1], f"{row.signature}-aggregate-mine-quick"))
        assert (run.variables["displayName"], run.variables["jobType"], run.exit_code) == (
            "plain seed 1",
            "baseline",
            0,
        )
        assert (run.config["study"], run.config["row"], run.config["signature"]) == (
            "mine@quick",
            "plain",
            row.signature,
        )
        groups = [server.runs[name].variables["groupName"] for name in row.runs.values()]
        assert groups == [f"jerex-grc · {row.signature}"] * 2
        assert aggregate.variables["groupName"] not in groups
        assert aggregate.config["seeds"] == [0, 1]
        values = [server.runs[name].summary["test/mention/f1"] for name in row.runs.values()]
        assert aggregate.summary["test/mention/f1"] == pytest.approx(sum(values) / 2)
        assert aggregate.summary["test/mention/f1_std"] == pytest.approx(abs(values[0] - values[1]) / 2**0.5)
        study = server.runs[f"study-{row.signature}-mine-quick"]
        assert study.variables["notes"].startswith("Why\n\n| row")
        before = {name: len(run.history) for name, run in server.runs.items()}
        assert engram.main(command) == 0
        assert {name: len(run.history) for name, run in server.runs.items()} == before


def test_a_run_that_is_computed_now_is_not_uploaded(study: StudyRecord, tmp_path: Path) -> None:
    folder = tmp_path / "000000000000" / "s0"
    track(folder, "000000000000-s0", (1,), status="finished")
    assert [path.name for path in prepare_runs([folder])[0]] == ["run-000000000000-s0.wandb"]
    with lock_folder(folder):
        assert prepare_runs([folder]) == ([], [])


def test_an_upload_that_takes_nothing_is_given_up(
    study: StudyRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "000000000000" / "s0"
    track(folder, "000000000000-s0", (1,), status="finished")
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setattr("core.records.wandb_upload.SILENT_SECONDS", 3.0)
    (path,) = pending_files(folder)
    problem = upload([path], logs=folder / "wandb")
    assert problem.startswith(f"W&B did not take 1 of 1 files, {path} for one (error: W&B took nothing for 3 s)")
    assert pending_files(folder) == [path]


def test_what_a_server_that_went_away_did_not_take_is_uploaded_later(
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
        tracker = Tracker(TrackingConfig(wandb="online"))
        record = RunRecord(run_id=run_id, status="running", config={"preset": "x", "profile": "quick", "seed": 0})
        tracker.start(record, folder)
        server.broken = True
        tracker.log({"loss/total": 1.0}, kind=STEP, step=5)
        tracker.finish(msgspec.structs.replace(record, status="finished"))
        assert f"engram: warning: {run_id}: W&B did not take everything" in capsys.readouterr().err
        assert "status" not in server.runs[run_id].summary
        server.broken = False
        (path,) = pending_files(folder)
        assert upload([path], logs=folder / "wandb") == ""
        assert server.runs[run_id].summary["status"] == "finished"
        assert [row["global_step"] for row in server.runs[run_id].history] == [5]
        assert pending_files(folder) == []


def test_offline_files_are_listed_where_nothing_is_to_be_uploaded(
    study: StudyRecord, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert engram.main(["study", "sync", "made", "--runs", str(tmp_path), "--wandb", "disabled"]) == 0
    assert "there is nothing to upload" in capsys.readouterr().out
    assert engram.main(["study", "sync", "made", "--runs", str(tmp_path), "--wandb", "offline"]) == 0
    assert "made@quick: 3 files to upload with `engram study sync`" in capsys.readouterr().out


def test_the_stand_in_refuses_what_it_does_not_know() -> None:
    with serving() as server:
        assert answer(server, "query Weather {\n sun\n}", {})["errors"] == [{"message": "unknown operation Weather"}]
        query = "query ServerFeaturesQuery {\n serverInfo {\n features { name }\n ...More\n }\n}\n"
        known = query + "fragment More on ServerInfo {\n features { isEnabled }\n}"
        assert answer(server, known, {})["data"] == {"serverInfo": {"features": []}}
        unknown = query + "fragment More on ServerInfo {\n weather(of: {day: $day}) { sun }\n}"
        assert answer(server, unknown, {})["errors"] == [{"message": "unknown field weather"}]
