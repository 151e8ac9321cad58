"""A small study with its documents in a folder, and the `engram study run` processes that are started for it."""

import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from core.config.presets import leaves
from core.data.formats.docred import write_docred
from core.files import HOLDER_FILE, TEMPORARY_MARK, is_locked
from core.records.record import CONFIG, HISTORY, RECORD, read_record, run_folders
from core.run.worker import LOG
from tests.tiny import TINY, document

ROOT = Path(__file__).resolve().parents[2]
STUDY = {
    "question": "Does anything get lost?",
    "baseline": "plain",
    "seeds": [0, 1],
    "rows": {"plain": {"preset": "jerex-grc"}, "memory": {"preset": "memory-mrc"}},
}
SETTINGS = {
    "training": {"epochs": "10", "batch_size": "2", "lr": "3e-2"},
    "runtime": {"device": "cpu", "threads": "1", "log_every": "1", "checkpoint_seconds": "0"},
}


def flags(tree: Mapping[str, Any]) -> list[str]:
    """Settings as flags of the command line."""
    return [word for path, value in leaves(tree).items() for word in (f"--{path.replace('_', '-')}", str(value))]


def wait_until(condition: Callable[[], object], seconds: float = 120.0) -> None:
    """Wait for something to become true, and fail where it does not."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{condition} did not become true within {seconds:.0f} s"
        time.sleep(0.02)


class RealStudy:
    """A study and documents in a folder; every process started for it is known by a mark in its environment."""

    def __init__(self, folder: Path, study: Mapping[str, Any] = STUDY) -> None:
        self.folder, self.mark = folder, uuid.uuid4().hex
        write_docred([document(number) for number in range(8)], folder / "documents.json")
        (folder / "mine.yaml").write_text(yaml.safe_dump(dict(study)))

    def arguments(self, runs: str, *more: str) -> list[str]:
        """`study run` of this study into a folder of runs, behind `engram`."""
        documents = dict.fromkeys(("train", "validation", "test"), self.folder / "documents.json")
        settings = flags(TINY | SETTINGS | {"data": {"name": "none"} | documents})
        return ["study", "run", str(self.folder / "mine.yaml"), "--runs", str(self.folder / runs), *settings, *more]

    def start(
        self, runs: str, *more: str, output: int | Any = subprocess.PIPE, environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[str]:
        """Start the study, with two workers where it is the local engine's."""
        jobs = () if {"in-process", "slurm"}.intersection(more) else ("--jobs", "2")
        return subprocess.Popen(
            [sys.executable, "engram.py", *self.arguments(runs, *jobs, *more)],
            cwd=ROOT,
            env=os.environ | {"ENGRAM_TEST_MARK": self.mark} | (environment or {}),
            stdout=output,
            stderr=output,
            text=True,
            start_new_session=True,
        )

    def run(self, runs: str, *more: str) -> tuple[int, str, str]:
        """Run the study to its end: exit code, stdout, stderr."""
        process = self.start(runs, *more)
        out, err = process.communicate(timeout=600)
        return process.returncode, out, err

    def processes(self, word: str = "") -> list[int]:
        """The living processes that were started for this study, by the mark in their environment."""
        pids = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    marked = self.mark.encode() in (entry / "environ").read_bytes()
                    if marked and word.encode() in (entry / "cmdline").read_bytes():
                        pids.append(int(entry.name))
                except OSError:
                    continue
        return sorted(pids)

    def end(self) -> None:
        """End every process that was started here."""
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)

    def results(self, runs: str) -> dict[str, dict[str, object]]:
        """Run id -> all that a run leaves that another computation of it would leave too; all finished, none held."""
        results = {}
        for folder in run_folders(self.folder / runs):
            record = read_record(folder)
            assert record is not None
            assert record.status == "finished", record.error
            assert not is_locked(folder)
            results[record.run_id] = {
                "metrics": record.metrics,
                "chosen": (record.chosen_epoch, record.chosen_reading, record.steps, record.parameters, record.repairs),
                **{
                    path.relative_to(folder).as_posix(): path.read_bytes()
                    for path in sorted(folder.rglob("*"))
                    if path.is_file() and path.name not in (RECORD, CONFIG, LOG, ".lock")
                },
            }
        return results

    def leftovers(self, runs: str) -> list[str]:
        """Files and folders that only a killed process leaves, anywhere below a folder of runs."""
        return [
            path.relative_to(self.folder).as_posix()
            for path in sorted((self.folder / runs).rglob(".*"))
            if TEMPORARY_MARK in path.name or path.name == HOLDER_FILE
        ]

    def training(self, runs: str, *, beyond: int = 0) -> bool:
        """Whether some run that is not finished has logged more than some steps."""
        return any(rows > beyond for _, rows in self.unfinished(runs))

    def unfinished(self, runs: str) -> list[tuple[str, int]]:
        """The runs that have begun and are not finished, each with the rows of its history."""
        unfinished = []
        for folder in run_folders(self.folder / runs):
            record = read_record(folder)
            if record is not None and record.status == "running":
                history = folder / HISTORY
                unfinished.append((record.run_id, history.read_bytes().count(b"\n") if history.exists() else 0))
        return unfinished

    def finished(self, runs: str) -> int:
        """How many runs are finished."""
        records = (read_record(folder) for folder in run_folders(self.folder / runs))
        return sum(record is not None and record.status == "finished" for record in records)


def copy_runs(folders: Sequence[Path], into: Path) -> None:
    """Copy folders of runs together, as one would from several machines."""
    for folder in folders:
        shutil.copytree(folder, into, dirs_exist_ok=True)
