"""A study on Slurm, whose tasks, nodes, driver and controller are lost at random moments, ends as one left in peace."""

import os
import random
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.sweeps.crashes.test_soak import KEY, build_study
from tests.sweeps.engines.slurm_cluster import SlurmCluster, slurm_cluster
from tests.sweeps.real_study import RealStudy, wait_until

RUNS, EVENTS = 40, 20
COMMAND = ("--engine", "slurm", "--slurm.poll-seconds", "1", "--attempts", "1000")


@pytest.fixture
def cluster() -> Iterator[SlurmCluster]:
    with slurm_cluster(nodes=3, cpus=1) as cluster:
        yield cluster


class SlurmSoak:
    """A study on a cluster, and what happens to it; each event is told on stdout."""

    def __init__(self, study: RealStudy, cluster: SlurmCluster, key: int) -> None:
        self.study, self.cluster, self.random = study, cluster, random.Random(key)
        self.driver = self._start()

    def _start(self) -> "subprocess.Popen[str]":
        with open(self.study.folder / "drivers.txt", "a") as output:
            return self.study.start("soaked", *COMMAND, output=output)

    def run(self) -> int:
        """Let all events happen, spread over the study; the exit code of the last driver."""
        events = [self.limit, self.requeue, self.lose_node, self.kill_driver, self.restart_controller]
        for number in range(EVENTS):
            due = number * RUNS // (EVENTS + 2)
            wait_until(lambda due=due: self.study.finished("soaked") >= due or self.tick(), seconds=900.0)
            time.sleep(self.random.uniform(0.0, 3.0))
            event = events[number % len(events)] if number < len(events) else self.random.choice(events)
            print(f"{number}: {event.__name__}, {self.study.finished('soaked')} finished", flush=True)
            event()
        until = time.monotonic() + 900.0
        while self.driver.poll() is None and time.monotonic() < until:
            self.tick()
            time.sleep(0.5)
        return self.driver.wait(1.0)

    def tick(self) -> bool:
        """Let what was queued again start now rather than after two minutes."""
        for line in self.cluster.call("squeue", "--noheader", "--array", "--format=%F_%K|%r", check=False).splitlines():
            task, reason = line.split("|")
            if reason == "BeginTime":
                self.cluster.call("scontrol", "update", f"jobid={task}", "starttime=now", check=False)
        return False

    def running(self) -> str:
        """A running task, empty where there is none."""
        tasks = [line.split()[0] for line in self.cluster.queue() if line.endswith(" RUNNING")]
        return self.random.choice(tasks) if tasks else ""

    def limit(self) -> None:
        """The time of a task is nearly over."""
        # Without a state, scancel waits for pending tasks of the array; with one, for a task that ends just now.
        with suppress(subprocess.TimeoutExpired):
            self.cluster.call("scancel", "--state=RUNNING", "--batch", "--signal=USR1", self.running(), check=False)

    def requeue(self) -> None:
        """An administrator queues a task again."""
        self.cluster.call("scontrol", "requeue", self.running(), check=False)

    def lose_node(self) -> None:
        """A node is lost, and comes back."""
        node = self.random.choice(self.cluster.nodes)
        self.cluster.call("scontrol", "update", f"nodename={node}", "state=down", "reason=soak")
        time.sleep(self.random.uniform(0.5, 3.0))
        # Unless it has come back by itself.
        self.cluster.call("scontrol", "update", f"nodename={node}", "state=resume", check=False)

    def kill_driver(self) -> None:
        """The driver is killed, and the same command started again."""
        self.driver.kill()
        self.driver.wait()
        self.driver = self._start()

    def restart_controller(self) -> None:
        """Slurmctld is restarted."""
        self.cluster.stop_controller()
        time.sleep(self.random.uniform(0.0, 3.0))
        self.cluster.start("slurmctld")


@pytest.mark.slow
def test_forty_runs_and_twenty_losses(tmp_path: Path, cluster: SlurmCluster) -> None:
    key = int(os.environ.get(KEY) or int.from_bytes(os.urandom(4), "big"))
    print(f"\n{KEY}={key}", flush=True)
    study = RealStudy(tmp_path, build_study(seeds=5, rows=RUNS // 5))
    try:
        code, _, err = study.run("whole", "--engine", "in-process")
        assert code == 0, err
        soak = SlurmSoak(study, cluster, key)
        try:
            code = soak.run()
        finally:
            soak.driver.kill()
            soak.driver.wait()
        assert code == 0, (tmp_path / "drivers.txt").read_text()[-4000:]
        wait_until(lambda: not cluster.queue(), seconds=30.0)
        # What a killed driver left goes with the next one that ends after its jobs.
        assert study.run("soaked", *COMMAND)[0] == 0
        assert study.leftovers("soaked") == []
        results, whole = study.results("soaked"), study.results("whole")
        assert len(whole) == RUNS
        assert results.keys() == whole.keys()
        for run in whole:
            assert results[run].keys() == whole[run].keys(), run
            assert [name for name in whole[run] if results[run][name] != whole[run][name]] == [], run
    finally:
        study.end()
