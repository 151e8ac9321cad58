"""W&B: what a run writes into its offline files, read back with W&B's own reader."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec
import pytest
import wandb
from wandb.proto.wandb_internal_pb2 import Record  # type: ignore[attr-defined]

from core.config.presets import to_yaml
from core.config.schema import TrackingConfig
from core.data.formats.docred import write_docred
from core.errors import UserError
from core.records.history import STEP, read_history
from core.records.record import (
    CONFIG,
    HISTORY,
    RECORD,
    SCORED,
    RunRecord,
    Status,
    read_record,
)
from core.records.tracking import FACTS, Tracker, flatten, history_name, wandb_summary
from core.records.wandb_run import wandb_mode
from core.records.wandb_upload import read_artifacts, read_log
from core.run.execute import run
from core.scoring.metrics import TASKS
from reports.wandb_source import read_provenance
from tests.tiny import TYPE_NAMES, document, tiny_config, write_types
from tests.wandb_stand_in import KEY, serving

ROOT = Path(__file__).resolve().parents[3]
WANDB = Path(sys.executable).with_name("wandb")


@pytest.fixture(autouse=True)
def logged_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HOME", str(tmp_path))
    # W&B's client asks its environment only once.
    wandb.teardown()
    yield
    wandb.teardown()


def offline_files(folder: Path) -> list[Path]:
    return sorted((folder / "wandb").glob("offline-run-*/run-*.wandb"))


def made(status: Status, **known: Any) -> RunRecord:
    config = {"preset": "jerex-grc", "profile": "none", "seed": 0}
    return RunRecord(run_id="abc-s0", status=status, config=config, **known)


def read_back(config: dict[str, Any], summary: dict[str, Any], tables: Mapping[str, bytes]) -> RunRecord:
    """The record of a run from what W&B holds of it: nothing of it may be lost. `tables` by their paths."""
    tree: dict[str, Any] = {}
    for path, value in summary.items():
        *sections, last = map(unquote, path.split("/"))
        inner = tree
        for section in sections:
            inner = inner.setdefault(section, {})
        inner[last] = value
    for split in ("validation", "test"):
        table = json.loads(tables[summary[f"{split}/types_table"]["path"]])
        rows = [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]
        tree[split]["extra"]["by_relation_type"] = {row.pop("type"): row for row in rows}
        del tree[split]["types_table"], tree[split]["predictions_table"]
        for name in [name for name in tree[split] if name.startswith(("loss", "reading"))]:
            del tree[split][name]
    for split in ("validation", "test"):
        # Those of the history, which are not of the record.
        tree[split].pop("memory", None)
        tree[split]["relation_strict"].pop("average_precision", None)
    known = {name: tree[name] for name in FACTS if name in tree} | {"repairs": tree.get("repairs", {})}
    known["memory_use"] = tree.get("memory_use")
    known |= {"error": tree["error"] or None, "metrics": {name: tree[name] for name in ("validation", "test")}}
    added = ("study", "row", "signature", "run_id", "provenance", "type_names", "_wandb")
    settings = {name: value for name, value in config.items() if name not in added}
    type_names = {kind: dict(pairs) for kind, pairs in config["type_names"].items()}
    beside = {"provenance": read_provenance(config), "type_names": type_names}
    sent = known | beside | {"run_id": config["run_id"], "config": settings}
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
        tracker.log({"loss/total": 1.5}, kind=STEP, step=3)
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
        tables = {path.removeprefix(f"run/{record.run_id}/"): file for path, file in server.uploads.items()}
    assert (sent.variables["displayName"], sent.variables["jobType"]) == ("wide seed 0", "variant")
    assert record.url == f"{server.address}/team/engram/runs/{record.run_id}"
    assert read_back(sent.config, sent.summary, tables) == msgspec.structs.replace(record, url=None)
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
    files = path.parent / "files"
    tables = {str(table.relative_to(files)): table.read_bytes() for table in files.rglob("*.table.json")}
    signature, _, seed = record.run_id.rpartition("-")
    assert sent["run_id"] == record.run_id
    assert seed == "s0"
    assert set(sent["tags"]) == {"memory-grc", "none", "mine", "yours"}
    assert sent["exit_code"] == 0
    assert record.status in SCORED
    assert record.metrics.keys() == {"validation", "test"}
    assert read_back(sent["config"], sent["summary"], tables) == record
    assert {kind: dict(pairs) for kind, pairs in sent["config"]["type_names"].items()} == TYPE_NAMES
    assert sent["config"]["provenance"]["data"].keys() == {"train", "validation", "test", "types"}
    for task in TASKS:
        assert sent["summary"][f"test/{task}/f1"] == record.metrics["test"][task]["f1"]
    assert record.provenance is not None
    assert sent["summary"].get("commit") == record.provenance.commit
    rows = [json.loads(line) for line in inspect(path).splitlines()]
    started = next(row["run"] for row in rows if row["type"] == "run")
    group = f"memory-grc · {signature}"
    assert (started["run_group"], started["job_type"], started["project"]) == (group, "train", "engram")
    identity = {"study": None, "row": None, "signature": signature, "run_id": record.run_id, "seed": 0}
    assert {name: sent["config"][name] for name in identity} == identity
    by_wandb = [row["artifact"]["manifest"]["contents"] for row in rows if row["type"] == "artifact"]
    ours = [
        [(entry.path, entry.local_path, entry.digest) for entry in artifact.manifest.contents]
        for artifact in read_artifacts(path)
    ]
    assert ours == [[(entry["path"], entry["local_path"], entry["digest"]) for entry in of_one] for of_one in by_wandb]
    assert len(ours) == 4
    panel = next(row for row in rows if "_wandb.visualize.test/types" in str(row))
    assert "wandb/bar/v0" in str(panel)
    table = json.loads(tables[sent["summary"]["test/predictions_table"]["path"]])
    assert table["columns"] == ["title", "gold", "predicted", "tp", "fp", "fn", "F1"]
    assert len(table["data"]) == 6
    gold = table["data"][0][1].splitlines()
    assert len(gold) == table["data"][0][3] + table["data"][0][5]
    assert not [key for item in (sent["summary"], sent["config"]) for key in item if "." in key or str(tmp_path) in key]
    logged = [row["history"]["item"] for row in rows if row["type"] == "history"]
    written = read_history(folder / HISTORY)
    assert [item["global_step"] for item in logged] == [row["step"] for row in written]
    for item, row in zip(logged, written, strict=True):
        kind = row["kind"]
        wanted = {history_name(name, kind): value for name, value in row.items() if name not in ("kind", "step")}
        assert {name: item[name] for name in wanted} == pytest.approx(wanted)
        assert ("train/documents_per_second" in item) == (kind == STEP)
    assert {"train/loss", "train/lr", "train/loss_mention", "epoch"} <= logged[0].keys()
    assert {"validation/loss", "validation/relation_strict/f1"} <= logged[-1].keys()


KEY_LINE = f"login user\n  password {'a' * 40}\n"
SETTINGS, HERE = ".config/wandb/settings", "here/wandb/settings"
LOGINS = {
    "nobody": ({}, {}, "offline"),
    "key": ({}, {"WANDB_API_KEY": "a" * 40}, "online"),
    "wandb login": ({"netrc": f"machine api.forge.coreweave.com\n  {KEY_LINE}"}, {}, "online"),
    "an older wandb login": ({"netrc": f"machine api.wandb.ai\n  {KEY_LINE}"}, {}, "online"),
    "own server": (
        {"netrc": f"machine w.my.test\n  {KEY_LINE}", SETTINGS: "[default]\nbase_url = https://w.my.test\n"},
        {},
        "online",
    ),
    "key in the settings": ({SETTINGS: f"[default]\napi_key = {'a' * 40}\n"}, {}, "online"),
    "identity token": ({"token": "x.y.z"}, {"WANDB_IDENTITY_TOKEN_FILE": "token"}, "online"),
    "wandb offline": ({HERE: "[default]\nmode = offline\n"}, {"WANDB_API_KEY": "a" * 40}, "offline"),
    "wandb disabled": ({HERE: "[default]\nmode = disabled\n"}, {"WANDB_API_KEY": "a" * 40}, "disabled"),
    "a port": (
        {"netrc": f"machine 127.0.0.1:8080\n  {KEY_LINE}"},
        {"WANDB_BASE_URL": "http://127.0.0.1:8080"},
        "online",
    ),
    "WANDB_MODE": ({}, {"WANDB_API_KEY": "a" * 40, "WANDB_MODE": "disabled"}, "disabled"),
}


@pytest.mark.parametrize("case", LOGINS)
def test_the_login_is_the_one_that_wandb_sees(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    files, environment, mode = LOGINS[case]
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        path.chmod(0o600)
    (tmp_path / "here").mkdir(exist_ok=True)
    monkeypatch.chdir(tmp_path / "here")
    for name, value in environment.items():
        monkeypatch.setenv(name, str(tmp_path / value) if value in files else value)
    assert wandb_mode(TrackingConfig()) == mode
    if mode != "online":
        with pytest.raises(UserError, match=r"wandb login|W&B is set to (offline|disabled).*--tracking\.wandb offline"):
            wandb_mode(TrackingConfig(wandb="online"))
    else:
        assert wandb_mode(TrackingConfig(wandb="offline")) == "offline"
    if mode == "disabled":
        tracker = Tracker(TrackingConfig(wandb="offline"))
        tracker.start(made("running"), tmp_path / "run")
        tracker.finish(made("finished"))
        assert not (tmp_path / "run").exists()
        assert not (tmp_path / ".cache").exists()
    # Without a prompt or a word; W&B's client leaves a log in its cache.
    assert capfd.readouterr() == ("", "")
    written = {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*") if path.is_file()}
    assert written - {".cache"} == {Path(name).parts[0] for name in files}


def test_defaults_of_the_environment_are_below_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_PROJECT", "theirs")
    monkeypatch.setenv("WANDB_ENTITY", "we")
    monkeypatch.setenv("WANDB_TAGS", "night,day")
    monkeypatch.setenv("WANDB_NOTES", "a note")
    for project in (None, "ours"):
        folder = tmp_path / str(project)
        tracker = Tracker(TrackingConfig(wandb="offline", project=project, tags="mine"))
        tracker.start(made("running"), folder)
        tracker.finish(made("interrupted"))
        (path,) = offline_files(folder)
        wandb.teardown()
        records = map(Record.FromString, read_log(path.read_bytes()))
        sent = next(record.run for record in records if record.WhichOneof("record_type") == "run")
        assert (sent.project, sent.entity, sent.notes) == (project or "theirs", "we", "a note")
        assert set(sent.tags) == {"jerex-grc", "none", "mine", "night", "day"}


def test_96_relation_types_stay_below_400_keys() -> None:
    record = read_record(ROOT / "tests/released/ec75572ccd87/s0")
    assert record is not None
    for scores in record.metrics.values():
        of_one = next(iter(scores["extra"]["by_relation_type"].values()))
        scores["extra"]["by_relation_type"] = {f"P{number}": of_one for number in range(96)}
    summary = wandb_summary(record)
    assert 100 < len(summary) < 400
    assert not [key for key in summary if "." in key or "P95" in key]


def test_weights_and_alerts_of_runs_that_are_logged_online(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "checkpoints" / "best").mkdir(parents=True)
    (tmp_path / "checkpoints" / "best" / "model.safetensors").write_bytes(b"weights")
    (tmp_path / RECORD).write_text("{}")
    with serving() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.address)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        for record in (made("finished"), made("failed", error="Traceback\nRuntimeError: no")):
            tracker = Tracker(TrackingConfig(artifacts="model"))
            tracker.start(made("running"), tmp_path)
            assert tracker.url == f"{server.address}/team/engram/runs/abc-s0"
            tracker.finish(record)
        assert server.artifact_files("model-abc-s0") == {"model.safetensors": b"weights"}
        assert server.artifact_files("run-abc-s0") == {RECORD: b"{}"}
        (model,) = [a for a in server.artifacts if a.variables["artifactCollectionName"] == "model-abc-s0"]
        assert {alias["alias"] for alias in model.variables["aliases"]} == {"best", "latest"}
        (alert,) = server.runs["abc-s0"].alerts
        assert (alert["title"], alert["text"]) == ("jerex-grc abc-s0 failed", "abc-s0: RuntimeError: no")
        assert server.refused == []
    # Nothing large is copied to the user's home.
    copies = [path for path in tmp_path.rglob("*") if path.is_file() and path.read_bytes() == b"weights"]
    assert copies == [tmp_path / "checkpoints" / "best" / "model.safetensors"]


def test_disabled_follows_nothing(tmp_path: Path) -> None:
    tracker = Tracker(TrackingConfig(wandb="disabled"))
    tracker.start(made("running"), tmp_path)
    assert tracker.run is None
    assert list(tmp_path.iterdir()) == []


def test_record_and_predictions_become_an_artifact_when_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "staging"))
    for asked in ("results", "none", True, False):
        folder = tmp_path / str(asked)
        folder.mkdir()
        (folder / "record.json").write_text("{}")
        (folder / "predictions.test.jsonl").write_text("{}\n")
        tracker = Tracker(TrackingConfig(wandb="offline", artifacts=asked))  # type: ignore[arg-type]
        tracker.start(made("running"), folder)
        tracker.finish(made("finished"))
        (path,) = offline_files(folder)
        wandb.teardown()  # its file is closed a moment after the run has ended
        entries = [entry.local_path for artifact in read_artifacts(path) for entry in artifact.manifest.contents]
        # Nothing is copied.
        files = [str(folder / name) for name in ("predictions.test.jsonl", "record.json")]
        assert sorted(entries) == (files if asked in ("results", True) else [])


def test_a_resumed_run_keeps_its_identity_and_its_steps(tmp_path: Path) -> None:
    for step in (3, 7):
        tracker = Tracker(TrackingConfig(wandb="offline"))
        tracker.start(made("running"), tmp_path)
        tracker.log({"loss/total": 1.0}, kind=STEP, step=step)
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
    tracker.log({"loss/total": 1.0}, kind=STEP, step=3)
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
    tracker.log({"loss/total": 1.0}, kind=STEP, step=3)
    tracker.finish(made("finished"))
    assert capsys.readouterr().err.splitlines() == [
        f"engram: warning: abc-s0: W&B cannot write in {tmp_path}, so this run is not tracked "
        "([Errno 28] No space left on device)"
    ]
