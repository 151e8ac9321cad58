"""W&B: what a run writes into its offline files, read back with W&B's own reader."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec
import pytest
import wandb

from core.config.presets import to_yaml
from core.config.schema import TrackingConfig
from core.data.formats.docred import write_docred
from core.errors import UserError
from core.records.history import read_history
from core.records.record import (
    CONFIG,
    HISTORY,
    SCORED,
    RunRecord,
    Status,
    read_record,
)
from core.records.tracking import FACTS, Tracker, flatten
from core.records.wandb_run import wandb_mode
from core.run.execute import run
from core.scoring.metrics import TASKS
from tests.tiny import TYPE_NAMES, document, tiny_config, write_types
from tests.wandb_stand_in import KEY, serving

ROOT = Path(__file__).resolve().parents[3]
WANDB = Path(sys.executable).with_name("wandb")


@pytest.fixture(autouse=True)
def logged_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HOME", str(tmp_path))


def offline_files(folder: Path) -> list[Path]:
    return sorted((folder / "wandb").glob("offline-run-*/run-*.wandb"))


def made(status: Status, **known: Any) -> RunRecord:
    config = {"preset": "jerex-grc", "profile": "none", "seed": 0}
    return RunRecord(run_id="abc-s0", status=status, config=config, **known)


def read_back(run_id: str, config: dict[str, Any], summary: dict[str, Any]) -> RunRecord:
    """The record of a run from what W&B holds of it: nothing of it may be lost."""
    tree: dict[str, Any] = {}
    for path, value in summary.items():
        *sections, last = map(unquote, path.split("/"))
        inner = tree
        for section in sections:
            inner = inner.setdefault(section, {})
        inner[last] = value
    for split in ("validation", "test"):
        # Those of the history, which are not of the record.
        tree[split].pop("loss", None)
        tree[split].pop("memory", None)
        tree[split]["relation_strict"].pop("average_precision", None)
    known = {name: tree[name] for name in FACTS if name in tree} | {"repairs": tree.get("repairs", {})}
    known["memory_use"] = tree.get("memory_use")
    known |= {"error": tree["error"] or None, "metrics": {name: tree[name] for name in ("validation", "test")}}
    beside = {name: config[name] for name in ("provenance", "type_names")}
    settings = {name: value for name, value in config.items() if name not in (*beside, "_wandb")}
    sent = known | beside | {"run_id": run_id, "config": settings}
    return msgspec.convert(sent, RunRecord)


def inspect(path: Path, *options: str) -> str:
    done = subprocess.run([WANDB, "leet", "inspect", *options, "--json", path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


class TestTrackers:
    """What every tracker does, whatever it follows with."""

    @pytest.fixture(params=["disabled", "offline"])
    def tracker(self, request: pytest.FixtureRequest) -> Tracker:
        return Tracker(TrackingConfig(wandb=request.param))

    def test_it_takes_a_run_from_start_to_end(self, tracker: Tracker, tmp_path: Path) -> None:
        tracker.start(made("running"), tmp_path)
        tracker.log({"loss/total": 1.5}, step=3)
        tracker.finish(made("finished", metrics={"test": {"mention": {"f1": 50.0}}}))

    def test_ending_without_a_start_is_no_error(self, tracker: Tracker) -> None:
        tracker.finish(made("failed"))


def prepared(tmp_path: Path, **tracking: str) -> Path:
    """The folder of a tiny run that is followed as the settings say."""
    corpus, folder = tmp_path / "corpus.json", tmp_path / "run"
    write_docred([document(number) for number in range(6)], corpus)
    types = write_types(tmp_path / "types.json")
    settings = {
        "data": {name: str(corpus) for name in ("train", "validation", "test")} | {"types": str(types)},
        "training": {"epochs": 2, "batch_size": 2},
        "runtime": {"device": "cpu", "threads": 1, "log_every": 1},
        "tracking": tracking,
    }
    folder.mkdir()
    (folder / CONFIG).write_text(to_yaml(tiny_config("memory-grc", settings)))
    return folder


def test_the_server_gets_an_online_run_whole(tmp_path: Path) -> None:
    folder = prepared(tmp_path, wandb="online", row="wide", job_type="variant")
    with serving() as server:
        # In a process of its own: W&B's client asks its environment only once.
        environment = os.environ | {"WANDB_BASE_URL": server.address, "WANDB_API_KEY": KEY}
        subprocess.run([sys.executable, "-m", "core.run", folder], env=environment, cwd=ROOT, check=True)
        record = read_record(folder)
        assert record is not None
        sent = server.runs[record.run_id]
    assert (sent.variables["displayName"], sent.variables["jobType"]) == ("wide seed 0", "variant")
    assert read_back(record.run_id, sent.config, sent.summary) == record
    assert [row["global_step"] for row in sent.history] == [row["step"] for row in read_history(folder / HISTORY)]
    assert sent.summary["status"] == "finished"
    assert sent.exit_code == 0
    assert offline_files(folder) == []


def test_a_run_is_mirrored_whole(tmp_path: Path) -> None:
    folder = prepared(tmp_path, wandb="auto", tags="mine, yours")
    assert run(folder).status == "finished"
    record = read_record(folder)
    assert record is not None
    (path,) = offline_files(folder)
    sent: dict[str, Any] = json.loads(inspect(path, "--summary"))
    signature, _, seed = record.run_id.rpartition("-")
    assert sent["run_id"] == record.run_id
    assert seed == "s0"
    assert set(sent["tags"]) == {"memory-grc", "none", "mine", "yours"}
    assert sent["exit_code"] == 0
    assert record.status in SCORED
    assert record.metrics.keys() == {"validation", "test"}
    assert read_back(record.run_id, sent["config"], sent["summary"]) == record
    assert sent["config"]["type_names"] == TYPE_NAMES
    for task in TASKS:
        assert sent["summary"][f"test/{task}/f1"] == record.metrics["test"][task]["f1"]
    assert record.provenance is not None
    assert sent["summary"].get("commit") == record.provenance.commit
    rows = [json.loads(line) for line in inspect(path).splitlines()]
    started = next(row["run"] for row in rows if row["type"] == "run")
    assert (started["run_group"], started["job_type"], started["project"]) == (signature, "train", "engram")
    logged = [row["history"]["item"] for row in rows if row["type"] == "history"]
    written = read_history(folder / HISTORY)
    assert [item["global_step"] for item in logged] == [row["step"] for row in written]
    for item, row in zip(logged, written, strict=True):
        wanted = {name: value for name, value in row.items() if name not in ("kind", "step")}
        assert {name: item[name] for name in wanted} == pytest.approx(wanted)
        assert ("documents_per_second" in item) == (row["kind"] == "step")


def test_online_without_a_key_is_one_clear_line() -> None:
    with pytest.raises(UserError, match=r"there is no W&B key: run `wandb login`.*--tracking\.wandb offline"):
        wandb_mode(TrackingConfig(wandb="online"))


def test_auto_is_online_only_with_a_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert wandb_mode(TrackingConfig()) == "offline"
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    assert wandb_mode(TrackingConfig()) == "online"
    assert wandb_mode(TrackingConfig(wandb="offline")) == "offline"
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert wandb_mode(TrackingConfig()) == "offline"
    monkeypatch.delenv("WANDB_MODE")
    monkeypatch.delenv("WANDB_API_KEY")
    (tmp_path / "netrc").write_text("machine api.wandb.ai login user password " + "0" * 40)
    assert wandb_mode(TrackingConfig()) == "online"


def test_disabled_follows_nothing(tmp_path: Path) -> None:
    tracker = Tracker(TrackingConfig(wandb="disabled"))
    tracker.start(made("running"), tmp_path)
    assert tracker.run is None
    assert list(tmp_path.iterdir()) == []


def test_record_and_predictions_become_an_artifact_when_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "staging"))
    for asked in (True, False):
        folder = tmp_path / str(asked)
        folder.mkdir()
        (folder / "record.json").write_text("{}")
        (folder / "predictions.test.jsonl").write_text("{}\n")
        tracker = Tracker(TrackingConfig(wandb="offline", artifacts=asked))
        tracker.start(made("running"), folder)
        tracker.finish(made("finished"))
        (path,) = offline_files(folder)
        content = inspect(path)
        assert ("predictions.test.jsonl" in content and "record.json" in content) == asked


def test_a_resumed_run_keeps_its_identity_and_its_steps(tmp_path: Path) -> None:
    for step in (3, 7):
        tracker = Tracker(TrackingConfig(wandb="offline"))
        tracker.start(made("running"), tmp_path)
        tracker.log({"loss/total": 1.0}, step=step)
        tracker.finish(made("interrupted", error="stopped by the user"))
    fragments = [[json.loads(line) for line in inspect(path).splitlines()] for path in offline_files(tmp_path)]
    assert len(fragments) == 2
    assert {row["run"]["run_id"] for rows in fragments for row in rows if row["type"] == "run"} == {"abc-s0"}
    items = [row["history"]["item"] for rows in fragments for row in rows if row["type"] == "history"]
    assert sorted(item["global_step"] for item in items) == [3, 7]


def test_names_with_slashes_stay_one_name() -> None:
    assert dict(flatten({"by_relation_type": {"org:in/out": {"f1": 1.0}, "50%": {"f1": None}}})) == {
        "by_relation_type/org:in%2Fout/f1": 1.0
    }


def test_a_failed_run_says_why_and_a_resumed_one_no_longer_does(tmp_path: Path) -> None:
    for record in (made("failed", error="RuntimeError: no"), made("finished")):
        tracker = Tracker(TrackingConfig(wandb="offline"))
        tracker.start(made("running"), tmp_path)
        tracker.finish(record)
    first, second = (json.loads(inspect(path, "--summary")) for path in offline_files(tmp_path))
    assert (first["summary"]["status"], first["summary"]["error"]) == ("failed", "RuntimeError: no")
    assert (second["summary"]["status"], second["summary"]["error"]) == ("finished", "")
    assert (first["exit_code"], second["exit_code"]) == (1, 0)


def test_without_a_server_that_answers_the_run_is_followed_offline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setattr("core.records.wandb_run.INIT_SECONDS", 1.0)
    wandb.teardown()
    tracker = Tracker(TrackingConfig(wandb="online"))
    tracker.start(made("running"), tmp_path)
    tracker.log({"loss/total": 1.0}, step=3)
    tracker.finish(made("finished"))
    wandb.teardown()
    (path,) = offline_files(tmp_path)
    assert json.loads(inspect(path, "--summary"))["summary"]["global_step"] == 3
    assert capsys.readouterr().err.count("engram: warning: abc-s0: W&B cannot be reached") == 1


def test_a_folder_that_takes_no_files_costs_the_run_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(**sent: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(wandb, "init", full)
    tracker = Tracker(TrackingConfig(wandb="offline"))
    tracker.start(made("running"), tmp_path)
    tracker.log({"loss/total": 1.0}, step=3)
    tracker.finish(made("finished"))
    assert capsys.readouterr().err.splitlines() == [
        f"engram: warning: abc-s0: W&B cannot write in {tmp_path}, so this run is not tracked "
        "([Errno 28] No space left on device)"
    ]
