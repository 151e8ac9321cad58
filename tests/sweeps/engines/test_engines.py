import argparse
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from core.run.worker import LOG
from sweeps.engines.engine import Engine
from sweeps.engines.in_process import InProcessEngine
from sweeps.engines.local import LocalEngine, device_environment, parse_devices
from tests.sweeps.engines.engine_contract import EngineContract, EngineOfProcessesContract
from tests.sweeps.engines.fake_worker import DONE, fake_run
from tests.sweeps.real_study import ROOT, wait_until

FAKE = (sys.executable, "-m", "tests.sweeps.engines.fake_worker")


@pytest.fixture(autouse=True)
def _in_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0]
    except FileNotFoundError:
        return False


class TestInProcessEngine(EngineContract):
    def build(self) -> Engine:
        return InProcessEngine(fake_run)


class TestLocalEngineOfOneWorker(EngineContract):
    def build(self) -> LocalEngine:
        return LocalEngine(jobs=1, program=FAKE)


class TestLocalEngine(EngineOfProcessesContract):
    @pytest.fixture(autouse=True)
    def _patient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("sweeps.engines.local.CLOSE_SECONDS", 30.0)

    def build(self) -> LocalEngine:
        return LocalEngine(jobs=2, program=FAKE)

    build_two = build

    def test_a_worker_that_cannot_start_says_why(self, tmp_path: Path) -> None:
        engine = LocalEngine(jobs=1, program=(sys.executable, "-c", "raise SystemExit('no such library')"))
        engine.submit(self.folder(tmp_path, "one"))
        (ended,) = self.all_of(engine, 1)
        engine.close()
        assert ended.status == "killed"
        assert "no such library" in (ended.error or "")

    def test_one_worker_computes_many_folders_and_logs_into_each(self, tmp_path: Path) -> None:
        engine = LocalEngine(jobs=1, devices=("cpu",), program=FAKE)
        folders = [self.folder(tmp_path, str(number)) for number in range(3)]
        for folder in folders:
            engine.submit(folder)
        self.all_of(engine, 3)
        engine.close()
        lines = [(folder / DONE).read_text().split() for folder in folders]
        assert len({line[0] for line in lines}) == 1
        assert {line[1] for line in lines} == {str(os.cpu_count())}
        assert all((folder / LOG).read_text() == "words of the run\n" for folder in folders)

    def test_workers_share_the_processors(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("os.cpu_count", lambda: 6)
        engine = LocalEngine(jobs=2, program=FAKE)
        folder = self.folder(tmp_path, "one")
        engine.submit(folder)
        self.all_of(engine, 1)
        engine.close()
        assert (folder / DONE).read_text().split()[1] == "3"

    def test_a_worker_that_died_while_idle_costs_no_run(self, tmp_path: Path) -> None:
        engine = LocalEngine(jobs=1, program=FAKE)
        engine.submit(self.folder(tmp_path, "one"))
        self.all_of(engine, 1)
        (worker,) = engine._workers
        worker.process.kill()
        worker.process.wait()
        engine.submit(self.folder(tmp_path, "two"))
        assert [run.status for run in self.all_of(engine, 1)] == ["finished"]
        engine.close()

    def test_a_process_that_cannot_be_made_ends_its_run(self, tmp_path: Path) -> None:
        engine = LocalEngine(jobs=1, program=("/nowhere/python",))
        engine.submit(self.folder(tmp_path, "one"))
        (ended,) = self.all_of(engine, 1)
        assert ended.status == "killed"
        assert "/nowhere/python" in (ended.error or "")
        engine.close()

    def test_no_process_is_left_after_close(self, tmp_path: Path) -> None:
        engine = LocalEngine(jobs=2, program=FAKE)
        for number in range(2):
            engine.submit(self.folder(tmp_path, str(number), "slow"))
        wait_until(lambda: all((tmp_path / str(number) / "started").exists() for number in range(2)))
        pids = [worker.process.pid for worker in engine._workers]
        engine.close()
        assert len(pids) == 2
        assert not any(alive(pid) for pid in pids)

    def test_workers_save_and_stop_when_their_driver_is_killed(self, tmp_path: Path) -> None:
        folder = self.folder(tmp_path, "slow", "slow")
        program = (
            "import sys, time; from pathlib import Path; from sweeps.engines.local import LocalEngine; "
            f"engine = LocalEngine(jobs=1, program={FAKE!r}); engine.submit(Path(sys.argv[1])); "
            "print(engine._workers[0].process.pid, flush=True); time.sleep(60)"
        )
        driver = subprocess.Popen([sys.executable, "-c", program, str(folder)], stdout=subprocess.PIPE, text=True)
        assert driver.stdout is not None
        worker = int(driver.stdout.readline())
        wait_until((folder / "started").exists)
        driver.send_signal(signal.SIGKILL)
        driver.wait()
        driver.stdout.close()
        wait_until(lambda: not alive(worker))
        assert (folder / "saved").exists()


@pytest.mark.parametrize("text", ["gpu", "cuda:x", "cuda:2", "cpu,", "cuda:-1"])
def test_a_device_that_cannot_be_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    assert parse_devices("cpu, cuda:1,cuda") == ("cpu", "cuda:1", "cuda")
    with pytest.raises(argparse.ArgumentTypeError):
        parse_devices(text)


def test_a_device_is_one_of_those_that_the_scheduler_gave() -> None:
    assert device_environment("cuda:1", {"CUDA_VISIBLE_DEVICES": "4,7"}) == {"CUDA_VISIBLE_DEVICES": "7"}
    assert device_environment("cuda:1", {}) == {"CUDA_VISIBLE_DEVICES": "1"}
    assert device_environment("cpu", dict(os.environ)) == {"CUDA_VISIBLE_DEVICES": ""}
