"""`engram study run` with real workers on small models: killed and gone on, refused, stopped by the user."""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.lock import is_held
from core.presets import leaves
from core.readers.docred_writing import write_docred
from core.record import HISTORY, RECORD, read_record, run_folders
from tests.tiny import TINY, document

ROOT = Path(__file__).resolve().parents[2]
STUDY = {
    "question": "Does anything get lost?",
    "baseline": "plain",
    "seeds": [0, 1],
    "rows": {"plain": {"preset": "jerex-grc"}, "memory": {"preset": "memory-mrc"}},
}
SETTINGS = {
    "training": {"epochs": "10", "batch_size": "2", "lr": "2e-3"},
    "runtime": {"device": "cpu", "threads": "1", "log_every": "1", "checkpoint_seconds": "0"},
}


def flags(tree: Mapping[str, Any]) -> list[str]:
    return [word for path, value in leaves(tree).items() for word in (f"--{path.replace('_', '-')}", str(value))]


class Place:
    """A folder with a study and documents, and the processes that were started for it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.mark = folder, uuid.uuid4().hex
        write_docred([document(number) for number in range(8)], folder / "documents.json")
        (folder / "mine.yaml").write_text(yaml.safe_dump(STUDY))

    def start(self, runs: str, *more: str) -> subprocess.Popen[str]:
        documents = dict.fromkeys(("train", "validation", "test"), self.folder / "documents.json")
        settings = flags(TINY | SETTINGS | {"data": {"name": "none"} | documents})
        arguments = ["study", "run", str(self.folder / "mine.yaml"), "--runs", str(self.folder / runs), "--jobs", "2"]
        return subprocess.Popen(
            [sys.executable, "engram.py", *arguments, *settings, *more],
            cwd=ROOT,
            env=os.environ | {"ENGRAM_TEST_MARK": self.mark},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, runs: str, *more: str) -> tuple[int, str, str]:
        process = self.start(runs, *more)
        out, err = process.communicate(timeout=240)
        return process.returncode, out, err

    def processes(self, word: str = "") -> list[int]:
        """The living processes that were started for this place, by the mark in their environment."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    marked = self.mark.encode() in (entry / "environ").read_bytes()
                    if marked and word.encode() in (entry / "cmdline").read_bytes():
                        found.append(int(entry.name))
                except OSError:
                    continue
        return found

    def results(self, runs: str) -> dict[str, tuple[object, str]]:
        """Run id -> metrics and history of the runs, all of them finished and none of them held."""
        found = {}
        for folder in run_folders(self.folder / runs):
            record = read_record(folder)
            assert record is not None
            assert record.status == "finished", record.error
            assert not is_held(folder)
            found[record.run_id] = (record.metrics, (folder / HISTORY).read_text())
        return found


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    for pid in place.processes():
        os.kill(pid, signal.SIGKILL)


def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def training(place: Place, runs: str, *, beyond: int = 0) -> bool:
    """Whether some run that is not finished has logged more than some steps."""
    for folder in run_folders(place.folder / runs):
        record = read_record(folder)
        history = folder / HISTORY
        rows = len(history.read_text().splitlines()) if history.exists() else 0
        if record is not None and record.status == "running" and rows > beyond:
            return True
    return False


def test_killed_workers_and_a_killed_driver_change_no_number(place: Place) -> None:
    code, out, _ = place.run("whole")
    assert code == 0
    assert "mine@quick: 4 finished" in out
    driver = place.start("killed")
    until(lambda: training(place, "killed", beyond=3))
    os.kill(place.processes("core.run")[0], signal.SIGKILL)
    until(lambda: len(place.processes("core.run")) == 2)
    until(lambda: training(place, "killed", beyond=12))
    driver.send_signal(signal.SIGKILL)
    driver.communicate()
    until(lambda: not place.processes())
    code, out, err = place.run("killed")
    assert code == 0, err
    assert place.results("killed") == place.results("whole")
    assert len(place.results("whole")) == 4
    assert not place.processes()
    stamps = {path: path.stat().st_mtime_ns for path in place.folder.glob(f"killed/*/*/{RECORD}")}
    code, out, err = place.run("killed")
    assert (code, "4 finished already" in err) == (0, True)
    assert stamps == {path: path.stat().st_mtime_ns for path in stamps}


def test_a_second_study_run_is_refused_and_ctrl_c_saves(place: Place) -> None:
    driver = place.start("runs")
    until(lambda: training(place, "runs", beyond=3))
    code, _, err = place.run("runs")
    assert code == 2
    assert err.startswith("engram: ")
    assert "is being computed by process" in err
    assert "Traceback" not in err
    driver.send_signal(signal.SIGINT)
    _, err = driver.communicate(timeout=60)
    assert driver.returncode == 130, err
    assert "the same command goes on" in err
    assert not place.processes()
    statuses = {record.status for folder in run_folders(place.folder / "runs") if (record := read_record(folder))}
    assert "interrupted" in statuses
    assert "running" not in statuses
    code, _, err = place.run("runs")
    assert code == 0, err
    assert len(place.results("runs")) == 4


def test_other_settings_ask_for_another_name(place: Place) -> None:
    assert place.run("runs", "--seeds", "1")[0] == 0
    code, _, err = place.run("runs", "--seeds", "1", "--training.lr_warmup", "0.5")
    assert code == 2
    assert "--name NAME" in err
