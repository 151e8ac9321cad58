"""One trial of a W&B sweep: a row with all its seeds, told to the sweep as mean, std and n; with W&B's own agent."""

import os
import signal
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import pytest
import wandb
import yaml

from core.commands.train import parse
from core.config.presets import from_yaml
from core.config.schema import TrackingConfig
from core.errors import UserError
from core.files import is_locked
from core.records.record import RECORD, run_folders
from core.records.wandb_run import Identity, WandbRun
from engram import main
from studies.arguments import StudyParser
from studies.plan import Plan
from studies.record import find_study_record
from sweeps.dashboards.sweep import build_sweep
from sweeps.trial_command import trial
from tests.reports.records import scores_of
from tests.sweeps.real_study import ROOT, RealStudy
from tests.sweeps.search.fake_search import FakeRun, SearchFolder
from tests.wandb_stand_in import KEY, StandIn, serving
from tests.wandb_sweeps_stand_in import start_sweep, sweep_runs

AGENT = (
    "import sys, wandb, wandb.wandb_agent as agent; agent.Agent.POLL_INTERVAL = 0.1; "
    "wandb.agent(sys.argv[1], entity='team', project='engram')"
)
METRIC = "validation/relation_strict/f1"
SWEEP_VARIABLES = ("WANDB_SWEEP_ID", "WANDB_RUN_ID", "WANDB_SWEEP_PARAM_PATH")


def run_agent(server: StandIn, planned: Plan, folder: Path, *settings: str) -> str:
    """Let W&B's own agent work off a sweep of a study; the sweep's id. `engram` is `tests.sweeps.trial_program`."""
    program = folder / "bin" / "engram"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m tests.sweeps.trial_program "$@"\n')
    program.chmod(0o755)
    sweep_id = start_sweep(server, build_sweep(planned, [*settings, "--engine", "in-process"]))
    account = {"WANDB_BASE_URL": server.address, "WANDB_API_KEY": KEY, "WANDB_SILENT": "true"}
    paths = {
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "WANDB_DATA_DIR": str(folder / "staging"),
    }
    command = [sys.executable, "-c", AGENT, sweep_id]
    done = subprocess.run(command, env=os.environ | account | paths, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert server.refused == []
    return sweep_id


def test_an_agent_computes_the_runs_of_the_plan_and_tells_the_sweep_their_mean(tmp_path: Path) -> None:
    study, runs = RealStudy(tmp_path), tmp_path / "runs"
    settings = [*study.arguments("runs")[2:], "--wandb", "online"]
    _, planned = StudyParser("plan", "").parse_plan(settings)
    expected = {run.run_id: run for run in planned.runs}

    def times() -> dict[str, int]:
        return {f"{run.parent.name}-{run.name}": (run / RECORD).stat().st_mtime_ns for run in run_folders(runs)}

    with serving() as server:
        first = run_agent(server, planned, tmp_path, *settings)
        computed = times()
        assert computed.keys() == expected.keys()
        assert server.runs.keys() == expected.keys() | sweep_runs(first).keys(), "each run under its own id"
        second = run_agent(server, planned, tmp_path, *settings)
        assert times() == computed, "what is finished is not computed again"
        assert all("sweep" not in server.runs[run_id].variables for run_id in expected)
        for sweep_id in (first, second):
            told = sweep_runs(sweep_id)
            assert sorted(received.config["row"] for received in told.values()) == ["memory", "plain"]
            for received in told.values():
                ids = [run.run_id for run in planned.runs if run.row == received.config["row"]]
                values = [server.runs[run_id].summary[METRIC] for run_id in ids]
                assert received.config["runs"] == ids
                assert received.summary[METRIC] == pytest.approx(statistics.mean(values))
                assert received.summary[f"{METRIC}_std"] == pytest.approx(statistics.stdev(values))
                assert received.summary[f"{METRIC}_n"] == 2
                assert [line[METRIC] for line in received.history] == [received.summary[METRIC]], "no mean of fewer"
                assert (received.variables["sweep"], received.exit_code) == (sweep_id, 0)


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """A trial of a search in this process, its runs pretended."""
    for name in SWEEP_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    axes = ["warmup", "read-mode", {"name": "lr", "path": "training.lr", "low": 1e-5, "high": 1e-3, "log": True}]
    folder = SearchFolder(tmp_path, axes=axes, search={"rungs": [1, 2]})
    data = ["--data.name", "none", *(f"--data.{name}={folder.path / 'documents.json'}" for name in ("train", "test"))]
    runs = ["--runs", str(tmp_path / "runs"), "--engine", "in-process", "--wandb", "disabled"]

    def run(*words: str, fake: FakeRun) -> int:
        return trial([str(folder.file), *runs, *data, *words], compute_run=fake)

    return run


def lr_and_warmup(folder: Path) -> tuple[float, float | None]:
    config = from_yaml(folder / "config.yaml")
    return config.training.lr, config.memory and config.memory.warmup


def test_a_config_of_a_search_runs_on_the_seeds_of_the_search(
    command: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake = FakeRun(lambda config: 40 + config.training.lr * 1e4 + config.seed)
    point = ["--memory.warmup=0.2", "--training.lr=0.000123456789", "--memory.read_mode=normal"]
    assert command(*point, '--_wandb={"resumed": true}', fake=fake) == 0
    assert [run_id.rpartition("-")[2] for run_id in fake.computed] == ["s100", "s101"]
    folders = list(run_folders(tmp_path / "runs"))
    assert [lr_and_warmup(folder) for folder in folders] == [(0.000123456789, 0.2)] * 2, "not a digit is lost"
    assert from_yaml(folders[0] / "config.yaml").tracking.job_type == "trial"
    assert "validation/relation_strict/f1 141.73 ± 0.71" in capsys.readouterr().out
    assert command(*point, fake=fake) == 0
    assert len(fake.computed) == 2, "told from the records"
    assert command("--memory.read_mode=none", "--memory.warmup=0.8", fake=fake) == 0
    assert command("--memory.read_mode=none", "--memory.warmup=0.1", fake=fake) == 0
    assert len(fake.computed) == 4, "what never reads has no warm-up"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--training.lr=0.5"], "axis lr has no '0.5': it is 1e-05 to 0.001, log"),
        (["--memory.warmup=0.3"], "axis warmup has no '0.3': its values are 0, 0.1"),
        (["--memory.warmp=0.3"], "unknown setting --memory.warmp"),
        (["--seeds", "100,7"], "seed 100 would both choose the best config and report it"),
    ],
)
def test_a_trial_that_cannot_be_is_one_line(command: Callable[..., int], words: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        command(*words, fake=FakeRun())


def test_rows_are_found_by_name_or_by_values_on_axes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = SearchFolder(tmp_path, axes=["slot-width"], search={})
    tree = yaml.safe_load(folder.file.read_text())
    del tree["search"]
    folder.file.write_text(yaml.safe_dump(tree | {"baseline": "slot-width=H", "seeds": [0, 1]}))
    fake = FakeRun(lambda config: 40.0, test=lambda config, value: scores_of(value))
    data = ["--data.name", "none", *(f"--data.{name}={folder.path / 'documents.json'}" for name in ("train", "test"))]
    runs = ["--runs", str(tmp_path / "runs"), "--engine", "in-process", "--wandb", "disabled"]

    def run(*words: str) -> int:
        return trial([str(folder.file), *runs, *data, *words], compute_run=fake)

    assert run("--memory.slot_width=None") == 0
    row = next(row for row in find_study_record("mine", tmp_path / "runs").row_runs if row.row == "slot-width=H")
    assert fake.computed == list(row.runs.values())
    assert run("--row", "slot-width=H") == 0
    assert len(fake.computed) == 2
    assert main(["study", "trial", str(folder.file), *data, "--row", "slot-width=HH"]) == 2
    assert "'slot-width=HH' is no row that is computed: the rows are slot-width=32" in capsys.readouterr().err
    assert main(["study", "trial", str(folder.file), *data]) == 2
    assert "give --row ROW, or a value of every axis (--memory.slot_width=VALUE)" in capsys.readouterr().err


def test_a_trial_that_is_stopped_saves_its_runs_and_is_not_started_again(
    command: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeRun()

    def stop(event: str) -> None:
        if event.startswith("start"):
            os.kill(os.getpid(), signal.SIGTERM)
            raise KeyboardInterrupt

    fake.before = stop
    with serving() as server:
        sweep = {"WANDB_SWEEP_ID": start_sweep(server, {"parameters": {}}), "WANDB_RUN_ID": "stopped"}
        for name, value in (sweep | {"WANDB_BASE_URL": server.address, "WANDB_API_KEY": KEY}).items():
            monkeypatch.setenv(name, value)
        wandb.teardown()  # W&B's client asks its environment only once in a process
        assert command(fake=fake) == 130
        wandb.teardown()
        assert not any(name in os.environ for name in SWEEP_VARIABLES), "no run is taken for the sweep's own"
        received = server.runs["stopped"]
    assert received.exit_code == 1
    assert METRIC not in received.summary, "no mean of fewer seeds"
    assert "preempting" not in str(server.operations)
    assert not any(is_locked(folder) for folder in run_folders(tmp_path / "runs"))


def test_train_takes_the_words_that_wandb_adds_to_a_resumed_trial() -> None:
    config, _, _ = parse(["memory-grc", "--memory.slot_width=32", '--_wandb={"key": {"value": 1}}'])
    assert config.memory is not None
    assert config.memory.slot_width == 32


@pytest.mark.parametrize(("sweep_id", "marks"), [("sweep", 0), (None, 1)])
def test_a_run_of_a_sweep_that_is_stopped_does_not_ask_to_be_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sweep_id: str | None, marks: int
) -> None:
    client = Mock(sweep_id=sweep_id, summary={})
    monkeypatch.setattr(WandbRun, "_init", lambda run: client)
    identity = Identity(folder=tmp_path, run_id="a-s0", name="", job_type="")
    assert WandbRun(identity, TrackingConfig(), mode="offline").close({}, good=False, resumable=True)
    assert client.mark_preempting.call_count == marks
    client.finish.assert_called_once_with(exit_code=1)
