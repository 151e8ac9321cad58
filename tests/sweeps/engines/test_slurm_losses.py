"""The Slurm engine when drivers, daemons and time limits come between, and what it submits."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import UserError
from core.files import is_locked
from core.input_files import read_bytes
from sweeps.engines import slurm as slurm_engine
from sweeps.engines.slurm import SlurmEngine, SlurmOptions
from sweeps.engines.slurm_queue import SlurmError, describe_queue
from sweeps.engines.slurm_task import FOLDERS
from tests.sweeps.engines.engine_contract import EngineContract
from tests.sweeps.engines.fake_worker import DONE, SAVED, STARTED
from tests.sweeps.engines.slurm_cluster import SlurmCluster
from tests.sweeps.real_study import ROOT, wait_until

FAKE = (sys.executable, "-m", "tests.sweeps.engines.fake_worker")
FOLDER = EngineContract.folder


@pytest.fixture(autouse=True)
def _in_checkout(monkeypatch: pytest.MonkeyPatch, slurm: SlurmCluster) -> Iterator[None]:
    monkeypatch.chdir(ROOT)
    yield
    slurm.call("scancel", "--name=engram", "--signal=KILL", "--full", check=False)
    slurm.call("scancel", "--name=engram", check=False)
    wait_until(lambda: not slurm.queue())


def build(tmp_path: Path, *, cpus: int = 1, at_once: int | None = None) -> SlurmEngine:
    options = SlurmOptions(cpus=cpus, at_once=at_once, poll_seconds=0.2)
    return SlurmEngine(tmp_path, options, program=FAKE, cache_seconds=1.0)


DRIVER = f"""
import sys
from pathlib import Path
from sweeps.engines.slurm import SlurmEngine, SlurmOptions
engine = SlurmEngine(Path(sys.argv[1]), SlurmOptions(cpus=2), program={FAKE!r})
for folder in sys.argv[2:]:
    engine.submit(Path(folder))
engine.wait(0.0)
print("submitted", flush=True)
engine.wait(600.0)
"""


def test_a_killed_driver_leaves_its_jobs_and_the_next_one_follows_them(slurm: SlurmCluster, tmp_path: Path) -> None:
    # Of three runs with two processors each the four of this cluster hold two.
    folders = [FOLDER(tmp_path, name, "slow") for name in ("one", "two", "three")]
    driver = subprocess.Popen([sys.executable, "-c", DRIVER, tmp_path, *folders], stdout=subprocess.PIPE, text=True)
    assert driver.stdout is not None
    assert driver.stdout.readline() == "submitted\n"
    wait_until(lambda: all((folder / STARTED).exists() for folder in folders[:2]))
    before = build(tmp_path)
    assert not any(before.has(folder) for folder in folders), "they are a living driver's"
    before.close()
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    driver.stdout.close()
    tasks = [line.split()[0] for line in slurm.queue()]
    assert describe_queue(tmp_path, folders) == "in Slurm's queue: 1 pending (Resources), 2 running"
    assert describe_queue(tmp_path, folders[:1]) == "in Slurm's queue: 1 running"
    engine = build(tmp_path)
    assert all(engine.has(folder) for folder in folders)
    for folder in folders:
        engine.submit(folder)
    assert not any(engine.has(folder) for folder in folders)
    assert engine.wait(0.5) == []
    assert [line.split()[0] for line in slurm.queue()] == tasks, "no second job"
    engine.cancel()
    ended = {run.folder.name: run.status for run in EngineContract.first(engine, 3)}
    assert ended == {"one": "interrupted", "two": "interrupted", "three": "cancelled"}
    assert all((folder / SAVED).exists() for folder in folders[:2])
    engine.close()
    wait_until(lambda: not slurm.queue(), seconds=30.0)
    build(tmp_path).close()
    assert not list((tmp_path / ".slurm").glob("driver-*")), "nothing is left of drivers that have ended"


def test_at_its_time_limit_a_task_saves_and_is_queued_again_and_its_array_goes_on(
    slurm: SlurmCluster, tmp_path: Path
) -> None:
    engine = build(tmp_path)
    folders = [FOLDER(tmp_path, name, "slow") for name in ("one", "two")]
    for folder in folders:
        engine.submit(folder)
    EngineContract.wait_for_start(engine, *folders)
    # The task whose job id is that of the array: requeueing that id would take the others back too.
    lines = slurm.call("squeue", "--noheader", "--array", "--format=%F %K %A").splitlines()
    array, number = next((array, int(number)) for array, number, job in map(str.split, lines) if job == array)
    for folder in folders:
        (folder / STARTED).unlink()
    slurm.call("scancel", "--batch", "--signal=USR1", f"{array}_{number}")
    wait_until(lambda: any(line == f"{array}_{number} PENDING" for line in slurm.queue()))
    assert (folders[number] / SAVED).exists()
    assert f"{array}_{1 - number} RUNNING" in slurm.queue()
    assert engine.wait(1.0) == [], "its time is over, not its run"
    slurm.call("scontrol", "update", f"jobid={array}_{number}", "starttime=now")
    EngineContract.wait_for_start(engine, folders[number])
    assert not (folders[1 - number] / STARTED).exists(), "the other one was not started again"
    engine.cancel()
    assert {run.status for run in EngineContract.first(engine, 2)} == {"interrupted"}
    engine.close()


def test_a_run_that_lives_on_after_its_slurmd_is_refused_elsewhere_and_not_called_failed(
    slurm: SlurmCluster, tmp_path: Path
) -> None:
    engine = build(tmp_path)
    folder = FOLDER(tmp_path, "one", "locked")
    engine.submit(folder)
    EngineContract.wait_for_start(engine, folder)
    task, node = slurm.call("squeue", "--noheader", "--array", "--format=%F_%K %N").split()
    slurm.kill(node)
    try:
        slurm.call("scontrol", "update", f"nodename={node}", "state=down", "reason=test")
        wait_until(lambda: any(" PENDING" in line for line in slurm.queue()))
        slurm.call("scontrol", "update", f"jobid={task}", "starttime=now")
        (ended,) = EngineContract.first(engine, 1)
        assert (ended.folder, ended.status) == (folder, "refused")
        assert "is being computed by process" in (ended.error or "")
        assert is_locked(folder), "its run lives on: the launcher waits for it as for another host's"
    finally:
        os.kill(int((folder / STARTED).read_text()), signal.SIGKILL)
        engine.close()
        slurm.start(node)


def test_nothing_ends_while_slurmctld_is_away(
    slurm: SlurmCluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = build(tmp_path)
    folder = FOLDER(tmp_path, "one", "slow")
    engine.submit(folder)
    EngineContract.wait_for_start(engine, folder)
    slurm.stop_controller()
    start = time.monotonic()
    while time.monotonic() - start < 4.0:
        assert engine.wait(1.0) == []
    err = capsys.readouterr().err
    assert err.count("runs continue, and Slurm is asked again") >= 1
    assert len(err.splitlines()) <= 4, "each error is said once"
    slurm.start("slurmctld")
    assert engine.wait(1.0) == []
    engine.cancel()
    assert [run.status for run in EngineContract.first(engine, 1)] == ["interrupted"]
    engine.close()


def test_runs_are_submitted_in_arrays_that_slurm_allows_and_no_more_than_the_queue_may_hold(
    slurm: SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slurm_engine, "MOST_QUEUED", 3)
    engine = build(tmp_path, cpus=2)
    folders = [FOLDER(tmp_path, str(number)) for number in range(4)]
    for folder in folders:
        engine.submit(folder)
    engine.wait(0.0)
    lists = [json.loads(read_bytes(path)) for path in (tmp_path / ".slurm").rglob(FOLDERS)]
    assert sorted(map(len, lists)) == [1, 2]
    assert sorted(itertools.chain(*lists)) == [str(folder) for folder in folders[:3]]
    ended = EngineContract.first(engine, 4)
    assert {run.folder: run.status for run in ended} == dict.fromkeys(folders, "finished")
    assert all(len((folder / DONE).read_text().splitlines()) == 1 for folder in folders)
    assert (folders[0] / DONE).read_text().split()[1] == "2", "its threads are the processors it asked for"
    engine.close()


def test_a_submission_that_slurm_does_not_answer_is_tried_again(
    slurm: SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = build(tmp_path)
    real, failures = slurm_engine.call, [1, 1]

    def fail_twice(*command: str) -> str:
        if command[0] == "sbatch" and failures:
            failures.pop()
            raise SlurmError("sbatch: error: Batch job submission failed: Socket timed out")
        return real(*command)

    monkeypatch.setattr(slurm_engine, "call", fail_twice)
    folder = FOLDER(tmp_path, "one")
    engine.submit(folder)
    assert [(run.folder, run.status) for run in EngineContract.first(engine, 1)] == [(folder, "finished")]
    assert not failures
    engine.close()


def test_a_disk_whose_locks_this_host_does_not_see_is_refused_before_anything_starts(
    slurm: SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("sweeps.engines.shared_disk.is_locked", lambda folder: False)
        with pytest.raises(UserError, match=r"this host does not see it: two hosts would compute one run\. Mount"):
            build(tmp_path)
    wait_until(lambda: not slurm.queue(), seconds=20.0)
    # Locks that work are tested once.
    build(tmp_path).close()
    before = slurm.call("squeue", "--noheader", "--states=all", "--format=%i").split()
    build(tmp_path).close()
    assert {*slurm.call("squeue", "--noheader", "--states=all", "--format=%i").split()} <= {*before}


def test_options_that_slurm_refuses_are_its_own_sentence(slurm: SlurmCluster, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nvalid partition"):
        SlurmEngine(tmp_path, SlurmOptions(partition="nowhere"), program=FAKE)
