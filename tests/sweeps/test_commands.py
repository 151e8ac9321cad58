"""Commands `study run`, with real workers on small models, `study status`, and the lines of `study plan --commands`."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import yaml

from core.config.presets import leaves
from core.data.formats.docred import write_docred
from core.data.synthetic import generate
from core.records.record import (
    RECORD,
    read_record,
    run_folders,
)
from engram import main
from reports.frame import load_study
from studies.plan import Plan
from studies.record import find_study_record, write_study_record
from studies.rows import Row
from sweeps.commands import DRIVER_LOG
from tests.sweeps.fake_study import FakeRun, compute, run_ids
from tests.sweeps.real_study import RealStudy, wait_until
from tests.tiny import TINY, document


def test_status_says_how_far_a_study_is(planned: Plan, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = FakeRun()
    run.status_of[run_ids(planned)[3]] = "failed"
    compute(planned, run)
    write_study_record(tmp_path / "runs", planned.record)
    planned.runs[2].folder.joinpath(RECORD).unlink()
    assert main(["study", "status", "mine", "--runs", str(tmp_path / "runs")]) == 1
    out = capsys.readouterr().out
    assert "1 failed, 2 finished, 1 waiting" in out
    assert "two seed 1 failed: its error" in out
    assert [line.split() for line in out.splitlines()[1:3]] == [
        ["one", "●", "·", "40.00", "1"],
        ["two", "●", "✗", "40.00", "1"],
    ]


def test_status_names_a_row_that_is_scored_from_files(
    planned: Plan, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = planned.study.rows | {"theirs": Row(predictions=("a.json", "b.json"), gold="gold.json")}
    study = msgspec.structs.replace(planned.study, rows=rows)
    write_study_record(tmp_path / "runs", msgspec.structs.replace(planned.record, study=study))
    assert main(["study", "status", "mine", "--runs", str(tmp_path / "runs")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:3]] == ["one", "two"]
    assert lines[-1] == "theirs is external: scored from 2 files, nothing to compute"
    assert main(["study", "status", "mine", "--runs", str(tmp_path / "runs"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["external"] == {"theirs": ["a.json", "b.json"]}


def test_what_a_study_took_is_kept_and_shown(planned: Plan, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_study_record(tmp_path / "runs", planned.record).parent
    main(["study", "status", "mine", "--runs", str(tmp_path / "runs")])
    assert "last computed" not in capsys.readouterr().out
    took = "9 runs in 100.0 s, 2 at once (196.0 s in sum; overhead of the driver 2.0 %)"
    (folder / DRIVER_LOG).write_text(f"2030-01-01 00:00:00 UTC: 1 run\n2030-01-02 03:04:05 UTC: {took}\n")
    main(["study", "status", "mine", "--runs", str(tmp_path / "runs")])
    assert f"last computed 2030-01-02 03:04:05 UTC: {took}\n" in capsys.readouterr().out


@pytest.mark.parametrize("more", [("--jobs", "2"), ("--devices", "cpu")])
def test_in_process_takes_one_run_at_a_time(
    tmp_path: Path, more: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "documents.json"
    write_docred(generate(3), path)
    arguments = ["study", "run", "paper", "--runs", str(tmp_path / "runs"), "--data.name", "none"]
    arguments += ["--data.train", str(path), "--wandb", "disabled", "--engine", "in-process", *more]
    assert main(arguments) == 2
    assert "one run at a time in this process: leave out --jobs and --devices" in capsys.readouterr().err


def test_a_gpu_that_is_not_there_is_refused_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    path = tmp_path / "documents.json"
    write_docred(generate(3), path)
    arguments = ["study", "run", "paper", "--runs", str(tmp_path / "runs"), "--data.name", "none", "--data.train"]
    assert main([*arguments, str(path), "--wandb", "disabled", "--devices", "cpu,cuda:7"]) == 2
    assert "engram: --devices cuda:7: torch finds no CUDA device here: give" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


@pytest.fixture
def study(tmp_path: Path) -> Iterator[RealStudy]:
    study = RealStudy(tmp_path)
    yield study
    study.end()


def test_a_second_study_run_is_refused_and_ctrl_c_saves(study: RealStudy) -> None:
    driver = study.start("runs")
    wait_until(lambda: study.training("runs", beyond=3))
    code, _, err = study.run("runs")
    assert code == 2
    assert err.startswith("engram: ")
    assert "is being computed by process" in err
    assert "Traceback" not in err
    driver.send_signal(signal.SIGINT)
    _, err = driver.communicate(timeout=60)
    assert driver.returncode == 130, err
    assert "resume with the same command" in err
    assert not study.processes()
    statuses = {record.status for folder in run_folders(study.folder / "runs") if (record := read_record(folder))}
    assert "interrupted" in statuses
    assert "running" not in statuses
    code, _, err = study.run("runs")
    assert code == 0, err
    assert len(study.results("runs")) == 4
    _, second = (study.folder / "runs" / "studies" / "mine@quick" / DRIVER_LOG).read_text().splitlines()
    assert re.search(r"UTC: \d runs in \d+\.\d s, 2 at once \(.* overhead of the driver -?\d+\.\d %\)", second)
    assert second in err


def test_other_settings_ask_for_another_name(study: RealStudy) -> None:
    assert study.run("runs", "--seeds", "1")[0] == 0
    code, _, err = study.run("runs", "--seeds", "1", "--training.lr_warmup", "0.5")
    assert code == 2
    assert "--name NAME" in err


PLANNED_STUDY = {
    "question": "Do other schedulers do?",
    "baseline": "plain",
    "rows": {
        "plain": {"preset": "jerex-grc"},
        "memory": {"preset": "memory-grc", "settings": {"memory": {"warmup": 0}}},
    },
}
BRIEF = {
    "training": {"epochs": "1", "batch_size": "4"},
    "runtime": {"device": "cpu", "threads": "1"},
}


def test_the_lines_run_by_sh_make_the_study(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "a folder & its 'blanks'"
    folder.mkdir()
    monkeypatch.chdir(folder)
    write_docred([document(number) for number in range(8)], folder / "documents.json")
    Path("my study.yaml").write_text(yaml.safe_dump(PLANNED_STUDY | {"name": "mine"}))
    documents = dict.fromkeys(("train", "validation", "test"), "documents.json")
    tree = TINY | BRIEF | {"data": {"name": "none"} | documents}
    flags = [word for path, value in leaves(tree).items() for word in (f"--{path.replace('_', '-')}", str(value))]
    flags += ["--seeds", "1", "--runs", "my runs"]
    assert main(["study", "plan", "my study.yaml", "--commands", *flags]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    # No PYTHONPATH, no settings of this process: a scheduler passes on nothing but the line.
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    for started in [subprocess.Popen(["sh", "-c", line], cwd=elsewhere, env=environment) for line in lines]:
        assert started.wait() == 0
    assert list(elsewhere.iterdir()) == []
    records = sorted(Path("my runs").glob(f"*/*/{RECORD}"))
    stamps = [path.stat().st_mtime_ns for path in records]
    assert len(records) == 2
    assert main(["study", "run", "my study.yaml", *flags]) == 0
    assert "2 finished already" in capsys.readouterr().err
    assert [path.stat().st_mtime_ns for path in records] == stamps
    assert main(["study", "status", "mine", "--runs", "my runs"]) == 0
    assert "2 finished" in capsys.readouterr().out
    assert main(["study", "status", "mine", "--runs", "my runs", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["counts"] == {"finished": 2}
    assert {row["row"]: (row["n"], row["std"]) for row in shown["rows"]} == {"plain": (1, None), "memory": (1, None)}
    frame = load_study(find_study_record("mine", Path("my runs")), Path("my runs")).frame
    assert set(frame["status"]) == {"finished"}
    assert set(frame["row"]) == {"plain", "memory"}
    assert main(["study", "plan", "my study.yaml", "--commands", *flags]) == 0
    assert capsys.readouterr().out == ""
