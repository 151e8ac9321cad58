import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.errors import UserError
from engram import main
from sweeps.engines.ray import RayEngine, RayOptions
from tests.sweeps.engines.engine_contract import EngineOfProcessesContract
from tests.sweeps.engines.fake_worker import DONE, SAVED, STARTED
from tests.sweeps.engines.ray_cluster import add_node, ray_cluster
from tests.sweeps.real_study import ROOT, RealStudy, wait_until

FAKE = (sys.executable, "-m", "tests.sweeps.engines.fake_worker")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with ray_cluster() as cluster:
        yield cluster


def build(**options: Any) -> RayEngine:
    return RayEngine(RayOptions(**options), program=FAKE)


@pytest.mark.usefixtures("cluster")
class TestRayEngine(EngineOfProcessesContract):
    def build(self) -> RayEngine:
        return build()

    build_two = build

    def test_more_slots_than_places_hold_nobody_up(self, tmp_path: Path) -> None:
        engine = build(slots=3)
        for number in range(3):
            engine.submit(self.folder(tmp_path, str(number)))
        assert {run.status for run in self.all_of(engine, 3)} == {"finished"}
        engine.close()

    def test_a_worker_that_cannot_start_says_why(self, tmp_path: Path) -> None:
        engine = RayEngine(RayOptions(slots=1), program=(sys.executable, "-c", "raise SystemExit('no such library')"))
        engine.submit(self.folder(tmp_path, "one"))
        (ended,) = self.all_of(engine, 1)
        engine.close()
        assert (ended.status, "no such library" in (ended.error or "")) == ("killed", True)

    def test_an_actor_that_cannot_start_ends_its_folder(self, tmp_path: Path) -> None:
        engine = build(slots=1)
        engine._arguments = (*engine._arguments[:3], {"NO_TEXT": 1})  # type: ignore[assignment,dict-item]
        engine.submit(self.folder(tmp_path, "one"))
        (ended,) = self.all_of(engine, 1)
        engine.close()
        assert ended.status == "killed"
        assert "TypeError" in (ended.error or "")

    def test_runs_save_when_their_driver_is_killed(self, cluster: Any, tmp_path: Path) -> None:
        folder = self.folder(tmp_path, "slow", "slow")
        program = (
            "import sys; from pathlib import Path; from sweeps.engines.ray import *; "
            f"engine = RayEngine(RayOptions(address={cluster.address!r}), program={FAKE!r}); "
            "engine.submit(Path(sys.argv[1])); engine.wait(60)"
        )
        driver = subprocess.Popen([sys.executable, "-c", program, str(folder)], cwd=ROOT)
        wait_until((folder / STARTED).exists)
        driver.send_signal(signal.SIGKILL)
        driver.wait()
        wait_until((folder / SAVED).exists)


def test_a_lost_node_ends_its_run_which_saves_and_goes_on_on_another(cluster: Any, tmp_path: Path) -> None:
    folder = EngineOfProcessesContract.folder(tmp_path, "slow", "slow")
    node = add_node(cluster, num_cpus=1, num_gpus=1)
    engine = build(gpus=0.5, cpus=1)
    assert engine.slots == 1, "its one processor limits them"
    engine.submit(folder)
    wait_until((folder / STARTED).exists)
    cluster.remove_node(node, allow_graceful=False)
    (ended,) = EngineOfProcessesContract.first(engine, 1)
    assert ended.status == "killed"
    assert ended.error
    wait_until((folder / SAVED).exists)
    wait_until(lambda: not all(node["Alive"] for node in engine._ray.nodes()))
    with pytest.raises(UserError, match=r"no node of the Ray cluster has 1 processors and 0\.5 GPUs"):
        build(gpus=0.5)
    (folder / "job").write_text("finish")
    engine.submit(folder)
    add_node(cluster, num_cpus=1, num_gpus=1)
    assert [run.status for run in EngineOfProcessesContract.first(engine, 1)] == ["finished"]
    assert (folder / DONE).read_text().split()[1:] == ["1", "0"], "one thread, and the GPU that it was given"
    engine.close()


def test_without_ray_or_a_cluster_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "ray", None)
        with pytest.raises(UserError, match=r"needs Ray: pip install 'engram\[ray\]'"):
            build()
    # Ray by itself would try for more than a minute, or stay with the cluster that it is connected to.
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(UserError, match=rf"no Ray cluster can be reached at --ray\.address {address} .*refused"):
            build(address=address)


def test_a_study_on_ray_ends_as_the_local_one(cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Paths as they are typed: nodes find them from elsewhere.
    monkeypatch.chdir(tmp_path)
    study = RealStudy(tmp_path)
    settings = ("--seeds", "1", "--training.epochs", "3")
    arguments = study.arguments("runs", "--engine", "ray", "--ray.address", cluster.address, *settings)
    assert main([word.replace(f"{tmp_path}/", "") for word in arguments]) == 0
    assert main(study.arguments("whole", "--engine", "in-process", *settings)) == 0
    assert len(study.results("runs")) == 2
    assert study.results("runs") == study.results("whole")
    for wrong in (("--jobs", "2"), ("--ray.cpus", "0"), ("--ray.gpus", "1.5")):
        assert main(study.arguments("runs", "--engine", "ray", *wrong, *settings)) == 2
