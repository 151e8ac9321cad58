"""The Slurm engine on a real Slurm: the contract of engines."""

import sys
from pathlib import Path

import pytest

from sweeps.engines.slurm import SlurmEngine, SlurmOptions
from tests.sweeps.engines.engine_contract import EngineOfProcessesContract
from tests.sweeps.engines.slurm_cluster import SlurmCluster
from tests.sweeps.real_study import ROOT

FAKE = (sys.executable, "-m", "tests.sweeps.engines.fake_worker")


@pytest.fixture(autouse=True)
def _in_checkout(monkeypatch: pytest.MonkeyPatch, slurm: SlurmCluster) -> None:
    monkeypatch.chdir(ROOT)


class TestSlurmEngine(EngineOfProcessesContract):
    runs: Path

    @pytest.fixture(autouse=True)
    def _same_runs(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        # One folder for all, as each new one has its locks tested.
        self.runs = tmp_path_factory.getbasetemp() / "slurm-runs"

    def build(self) -> SlurmEngine:
        return SlurmEngine(self.runs, SlurmOptions(at_once=3, poll_seconds=0.2), program=FAKE, cache_seconds=2.0)

    def build_two(self) -> SlurmEngine:
        return SlurmEngine(self.runs, SlurmOptions(at_once=2, poll_seconds=0.2), program=FAKE, cache_seconds=2.0)
