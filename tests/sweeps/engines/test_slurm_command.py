"""`engram study run --engine slurm` and `study status`, with runs that only write a record."""

import json
import sys
from pathlib import Path

import pytest
import yaml

from core.data.formats.docred import write_docred
from core.data.synthetic import generate
from core.records.record import RECORD
from engram import main
from sweeps.engines.engine import EngineOptions
from sweeps.engines.slurm import SlurmEngine, SlurmOptions
from tests.sweeps.engines.slurm_cluster import SlurmCluster
from tests.sweeps.real_study import ROOT

STUDY = {
    "question": "?",
    "baseline": "one",
    "seeds": [0, 1],
    "rows": {"one": {"preset": "jerex-grc"}, "two": {"preset": "memory-grc"}},
}
RECORDING = (sys.executable, "-m", "tests.sweeps.fake_study")


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """`study run` of four runs."""
    monkeypatch.chdir(ROOT)
    write_docred(generate(3), tmp_path / "documents.json")
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(STUDY))
    data = ["--data.name", "none", "--data.train", str(tmp_path / "documents.json")]
    return ["study", "run", str(tmp_path / "mine.yaml"), "--runs", str(tmp_path / "runs"), "--wandb", "disabled", *data]


def test_detached_runs_are_computed_and_the_next_command_finds_them(
    command: list[str],
    slurm: SlurmCluster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def build(cls: type[SlurmEngine], options: EngineOptions) -> SlurmEngine:
        return cls(options.runs, options.own, detach=options.detach, program=RECORDING)

    monkeypatch.setattr(SlurmEngine, "from_options", classmethod(build))
    runs = tmp_path / "runs"
    # The locks of this folder are tested by a job that is not held.
    SlurmEngine(runs, SlurmOptions()).close()
    assert main([*command, "--engine", "slurm", "--detach", "--slurm.options=--hold"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("mine@quick: 4 runs left to slurm; `engram study status mine@quick` shows them")
    tasks = [line.split()[0] for line in slurm.queue()]
    assert len(tasks) == 4
    assert main([*command, "--engine", "slurm", "--detach", "--slurm.options=--hold"]) == 0
    assert [line.split()[0] for line in slurm.queue()] == tasks, "what is in the queue is not submitted again"
    capsys.readouterr()
    assert main(["study", "status", "mine", "--runs", str(runs)]) == 0
    assert "in Slurm's queue: 4 pending (JobHeldUser)" in capsys.readouterr().out
    assert main(["study", "status", "mine", "--runs", str(runs), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["queue"] == "in Slurm's queue: 4 pending (JobHeldUser)"
    slurm.call("scontrol", "release", *tasks)
    assert main([*command, "--engine", "slurm", "--slurm.poll-seconds", "0.2"]) == 0
    assert len(list(runs.glob(f"*/*/{RECORD}"))) == 4
    assert all(line.split()[0] in tasks for line in slurm.queue())
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["study", "status", "mine", "--runs", str(runs)]) == 0
    assert "Slurm's queue is not known here: there is no squeue here" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--slurm.time", "5"], "--slurm.time is an option of --engine slurm, but the engine is local: leave it out"),
        (["--detach"], "runs of --engine local end with this command: leave out --detach"),
        (["--engine", "slurm", "--jobs", "2"], "instead of --jobs and --devices give --slurm.at-once"),
        (["--engine", "slurm", "--slurm.at-once", "0"], "--slurm.at-once and --slurm.poll-seconds are above 0"),
        (["--engine", "slurm", "--slurm.cpus", "many"], "argument --slurm.cpus: invalid int value: 'many'"),
        (["--slurm.partitions", "a"], "--slurm.partition"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    command: list[str], flags: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, *flags]) == 2
    assert message in capsys.readouterr().err
