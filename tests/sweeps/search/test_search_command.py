"""`engram study search` as a user meets it: planted scores for words, files and exit codes, then real small runs."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from optuna.storages import InMemoryStorage

from core.config.presets import from_yaml, leaves
from core.config.schema import RunConfig
from core.data.formats.docred import write_docred
from engram import main
from studies.record import find_study_record
from studies.search.storage import JOURNAL, without_password
from studies.search.trials import SearchRecord, read_search_record
from studies.study import read_study
from sweeps.engines.engine import EngineOptions
from sweeps.engines.in_process import InProcessEngine
from tests.reports.records import scores_of
from tests.sweeps.search.fake_search import AnyOrderEngine, FakeRun, SearchFolder
from tests.sweeps.search.postgresql import free_port
from tests.tiny import TINY, document

ROOT = Path(__file__).resolve().parents[3]
Command = Callable[..., int]


def test_scores(config: RunConfig, value: float) -> dict[str, Any]:
    return scores_of(value - 1.0)


test_scores.__test__ = False  # type: ignore[attr-defined]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> FakeRun:
    """What stands for the runs of every engine that a command makes."""
    run = FakeRun(test=test_scores)

    def engine(options: EngineOptions) -> InProcessEngine:
        return InProcessEngine(run)

    monkeypatch.setattr("sweeps.engines.local.LocalEngine.from_options", engine)
    return run


@pytest.fixture
def folder(tmp_path: Path) -> SearchFolder:
    return SearchFolder(tmp_path, seeds=[0, 1])


def command(folder: SearchFolder, *more: str) -> int:
    documents = str(folder.path / "documents.json")
    data = ["--data.name", "none", "--data.train", documents, "--data.test", documents]
    asked = [
        "study",
        "search",
        str(folder.file),
        "--runs",
        str(folder.path / "runs"),
        "--jobs",
        "1",
        "--wandb",
        "disabled",
    ]
    return main([*asked, *data, *more])


def record_of(folder: SearchFolder) -> SearchRecord:
    record = read_search_record(folder.path / "runs" / "studies" / "mine@quick")
    assert record is not None
    return record


def test_it_searches_then_runs_the_best_and_the_rows_on_other_seeds(
    folder: SearchFolder, run: FakeRun, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(folder) == 0
    out, err = capsys.readouterr()
    record = record_of(folder)
    best = record.best_trial
    assert best is not None
    assert record.ended
    assert len(record.trials) == 8
    lines = out.splitlines()
    score = f"{best.value:.2f} ± {best.spread:.2f} (n 3)"
    assert lines[0].startswith("mine@quick: 8 of 8 trials (")
    assert lines[0].endswith(f"; best: trial {best.number}, {score}")
    assert lines[1] == f"{len(run.computed) - 4} runs with a score, on seeds 100, 101, 102"
    assert lines[2] == "best by validation relation_strict F1, mean ± std (n seeds):"
    assert lines[3].startswith(f"  trial {best.number}")
    assert score in lines[3]
    assert f"optuna-dashboard {folder.path}/runs/studies/mine@quick/{JOURNAL}" in out
    assert lines[-1] == "mine@quick: 4 finished"
    assert "trial 0 starts: slot-width=H" in err
    study = find_study_record("mine", folder.path / "runs")
    assert list(study.study.rows) == ["base", "best"]
    assert study.study.rows["best"].tried == 8
    assert study.study.rows["best"].baseline == "base"
    cells = {cell.row: cell for cell in study.row_runs}
    assert cells["best"].signature == best.signature, "the very config that won"
    assert set(cells["best"].runs) == set(cells["base"].runs) == {0, 1}
    config = from_yaml(folder.path / "runs" / best.signature / "s100" / "config.yaml")
    assert config.tracking.job_type == "trial"
    assert {"mine", f"trial {best.number}", "read-mode=inverse-normal"} <= set(config.tracking.tags.split(","))
    used = {seed for trial in record.trials for seed in trial.runs}
    assert used == {100, 101, 102}


def test_the_same_command_computes_nothing_more_and_status_and_report_read_it(
    folder: SearchFolder, run: FakeRun, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(folder) == 0
    computed = len(run.computed)
    first = record_of(folder)
    assert command(folder) == 0
    assert len(run.computed) == computed
    assert record_of(folder) == first
    capsys.readouterr()
    runs = ["--runs", str(folder.path / "runs")]
    assert main(["study", "status", "mine", *runs]) == 0
    out = capsys.readouterr().out
    assert ["best", "●", "●"] in [line.split()[:3] for line in out.splitlines()]
    assert f"search: {first.progress}" in out
    assert main(["report", "mine", *runs]) == 0
    out = capsys.readouterr().out
    assert (
        "chosen among 8 configs by validation F1 on other seeds than these; other rows had fewer: base as it is 1"
        in out
    )
    assert "mine@quick: the best of 8 trials" in out
    report = folder.path / "runs" / "studies" / "mine@quick" / "report"
    assert {"search.md", "search.csv", "search-history.png", "search-history.pdf"} <= {p.name for p in report.iterdir()}
    assert "search-history" in (report / "index.html").read_text()


def test_no_report_runs_ends_with_the_search(
    folder: SearchFolder, run: FakeRun, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(folder, "--no-report-runs", "--trials", "3") == 0
    assert len(record_of(folder).trials) == 3
    assert all(int(name.partition("-s")[2]) >= 100 for name in run.computed)
    capsys.readouterr()
    assert main(["report", "mine", "--runs", str(folder.path / "runs")]) == 0, "its trials are worth a report"
    assert "the best of 3 trials" in capsys.readouterr().out


def test_a_stopped_search_resumes(folder: SearchFolder, run: FakeRun, capsys: pytest.CaptureFixture[str]) -> None:
    whole = folder.search(FakeRun(), runs="whole").trials

    def stop(what: str) -> None:
        if len(run.computed) == 3 and what.startswith("start"):
            os.kill(os.getpid(), signal.SIGINT)

    run.before = stop
    assert command(folder, "--no-report-runs") == 130
    err = capsys.readouterr().err
    assert "engram: stopped; resume with the same command: engram study search" in err
    assert not record_of(folder).ended
    assert any(trial.is_open for trial in record_of(folder).trials)
    run.before = lambda what: None
    assert command(folder, "--no-report-runs") == 0
    assert record_of(folder).trials == whole
    assert len(set(run.computed)) == len(run.computed)


def test_on_a_cluster_several_trials_run_at_once_and_the_rows_run_there_too(
    folder: SearchFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, engines = FakeRun(test=test_scores), list[AnyOrderEngine]()

    def engine(options: EngineOptions) -> AnyOrderEngine:
        engines.append(AnyOrderEngine(run, slots=options.own.slots, key=1))
        return engines[-1]

    monkeypatch.setattr("sweeps.engines.ray.RayEngine.from_options", engine)
    assert command(folder, "--ray.slots", "3") == 2
    assert "--ray.slots is an option of --engine ray, but the engine is local" in capsys.readouterr().err
    journal = folder.path / "shared" / "trials.journal"
    journal.parent.mkdir()
    assert command(folder, "--engine", "ray", "--ray.slots", "3", "--storage", str(journal)) == 0
    output = capsys.readouterr()
    assert "runs at once: 3" in output.err
    assert output.out.splitlines()[-1] == "mine@quick: 4 finished"
    (busy,) = [engine.busy for engine in engines]
    assert busy.count(3) > len(busy) / 2
    record = record_of(folder)
    assert len({trial.signature for trial in record.trials}) == 8
    assert journal.is_file()
    assert command(folder, "--engine", "ray", "--ray.slots", "2", "--storage", str(journal)) == 0
    assert record_of(folder) == record, "what was decided stays"


def test_where_everything_fails_it_says_so_and_fails(
    folder: SearchFolder, run: FakeRun, capsys: pytest.CaptureFixture[str]
) -> None:
    run.fails = lambda config: True
    assert command(folder) == 1
    assert "the last 5 trials all failed (seed 100 failed: ValueError: as planted)" in capsys.readouterr().err
    assert len(record_of(folder).trials) == 5


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--seeds", "0,101"), "seed 101 would both choose the best config and report it"),
        (("--trials", "0"), "argument --trials: '0' is no whole number from 1"),
        (("--memory.warmup", "0.2"), "memory.warmup is an axis of search mine: leave its flag out"),
        (("--storage", "foo://x"), "--storage foo://x cannot be used"),
        (("--trial", "3"), "unknown setting --trial"),
    ],
)
def test_a_mistake_is_one_line_before_anything_starts(
    folder: SearchFolder, run: FakeRun, capsys: pytest.CaptureFixture[str], flags: tuple[str, ...], message: str
) -> None:
    assert command(folder, *flags) == 2
    assert message in capsys.readouterr().err
    assert run.computed == []


def test_another_storage_or_another_rule_asks_for_another_name(
    folder: SearchFolder, run: FakeRun, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(folder, "--trials", "2", "--no-report-runs") == 0
    assert command(folder, "--storage", f"sqlite:///{folder.path}/trials.db") == 2
    assert "are kept in" in capsys.readouterr().err
    tree = yaml.safe_load(folder.file.read_text())
    tree["search"]["threshold"] = 3.0
    folder.file.write_text(yaml.safe_dump(tree))
    assert command(folder) == 2
    assert "was started with threshold 1.0, this time it is 3.0" in capsys.readouterr().err
    assert command(folder, "--name", "other", "--trials", "2", "--no-report-runs") == 0


def test_a_database_is_named_without_its_password(
    folder: SearchFolder, run: FakeRun, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"sqlite://me:secret@/{folder.path}/trials.db?password=secret"
    assert without_password(url) == f"sqlite://me@/{folder.path}/trials.db?password=..."
    with pytest.MonkeyPatch.context() as patch:
        # SQLite knows no users, so what the URL stands for is handed over.
        patch.setattr("studies.search.storage.open_storage", lambda storage: InMemoryStorage())
        run.fails = lambda config: True
        assert command(folder, "--storage", url) == 1
    output = capsys.readouterr()
    kept = (folder.path / "runs" / "studies" / "mine@quick" / "search.json").read_text()
    assert "optuna-dashboard 'sqlite://me@/" in output.out
    assert "secret" not in output.out + output.err + kept


def test_a_damaged_journal_names_its_line(
    folder: SearchFolder, run: FakeRun, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(folder, "--trials", "2", "--no-report-runs") == 0
    journal = folder.path / "runs" / "studies" / "mine@quick" / JOURNAL
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines[:3], b"{]\n", *lines[4:]]))
    capsys.readouterr()
    assert command(folder, "--trials", "2", "--no-report-runs") == 2
    err = capsys.readouterr().err.splitlines()
    [line] = [line for line in err if line.startswith(f"engram: {journal}: line 4 is damaged")]
    assert "restore the file, or start the search anew with --name NAME" in line


def test_rows_and_searches_have_a_command_each(folder: SearchFolder, capsys: pytest.CaptureFixture[str]) -> None:
    data = ["--data.name", "none", "--data.train", str(folder.path / "documents.json")]
    assert main(["study", "search", "paper", *data]) == 2
    assert "compute it with `engram study run paper`" in capsys.readouterr().err
    assert main(["study", "run", "search", *data]) == 2
    assert "study search is a search: run `engram study search search`" in capsys.readouterr().err


def test_help_teaches_and_the_search_that_it_shows_is_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "search", "--help"]) == 0
    out = capsys.readouterr().out
    for word in ("A trial is one config", "No test score is read", "--storage", "postgresql+psycopg://", "--trials"):
        assert word in out
    [example] = [part for part in out.split("\n\n") if part.startswith("  question:")]
    path = tmp_path / "mine.yaml"
    path.write_text("\n".join(line[2:] for line in example.splitlines()))
    study = read_study(path)
    assert study.search is not None
    assert study.search.trials == 20


def test_the_dashboard_opens_on_what_a_search_left(folder: SearchFolder, run: FakeRun) -> None:
    pytest.importorskip("optuna_dashboard")
    assert command(folder, "--trials", "2", "--no-report-runs") == 0
    journal = folder.path / "runs" / "studies" / "mine@quick" / JOURNAL
    program = Path(sys.executable).with_name("optuna-dashboard")
    port = free_port()
    process = subprocess.Popen(
        [program, str(journal), "--host", "127.0.0.1", "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        told = json_of(f"http://127.0.0.1:{port}/api/studies")
        [study] = told["study_summaries"]
        assert study["study_name"] == "mine@quick"
        trials = json_of(f"http://127.0.0.1:{port}/api/studies/{study['study_id']}?after=0")["trials"]
        assert [trial["state"] for trial in trials] == ["Complete", "Complete"]
        names = {attribute["key"] for attribute in trials[0]["user_attrs"]}
        assert {"mean", "sd", "seeds", "why"} <= names
    finally:
        process.kill()
        process.wait()


def json_of(address: str, seconds: float = 60.0) -> Any:
    """What a page that is about to come up answers."""
    end = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(address, timeout=10) as answer:
                return msgspec.json.decode(answer.read())
        except OSError:
            assert time.monotonic() < end, "waited in vain"
            time.sleep(0.1)


def test_real_runs_on_real_workers(tmp_path: Path) -> None:
    write_docred([document(number) for number in range(8)], tmp_path / "documents.json")
    study = {
        "question": "?",
        "base": {"preset": "memory-grc"},
        "axes": [{"name": "slot-width", "values": [8, None]}, {"name": "warmup", "values": [0.0, 0.4]}],
        "baseline": "base",
        "seeds": [0],
        "search": {"trials": 2, "rungs": [1, 2], "seeds": [100, 101]},
    }
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(study))
    tiny = {"training": TINY["training"] | {"epochs": 2, "batch_size": 4}, "runtime": {"device": "cpu", "threads": 1}}
    documents = dict.fromkeys(("train", "validation", "test"), tmp_path / "documents.json")
    settings = leaves(TINY | tiny | {"data": {"name": "none"} | documents})
    flags = [word for path, value in settings.items() for word in (f"--{path.replace('_', '-')}", str(value))]
    asked = ["study", "search", str(tmp_path / "mine.yaml"), "--jobs", "2", "--runs", str(tmp_path / "runs")]
    done = subprocess.run(
        [sys.executable, "engram.py", *asked, *flags],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    record = read_search_record(tmp_path / "runs" / "studies" / "mine@quick")
    assert record is not None
    assert record.ended
    assert [trial.n for trial in record.trials if trial.number == record.best] == [2]
    for trial in record.trials:
        for seed, score in trial.scores.items():
            kept = msgspec.json.decode((tmp_path / "runs" / trial.signature / f"s{seed}" / "record.json").read_bytes())
            assert score == kept["metrics"]["validation"]["relation_strict"]["f1"]
    rows = find_study_record("mine", tmp_path / "runs")
    assert all((tmp_path / "runs" / cell.signature / "s0" / "record.json").is_file() for cell in rows.row_runs)
