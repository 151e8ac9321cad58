"""A whole Slurm of this process: munged, slurmctld and some slurmd as its children, all in one private folder."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ABSENT = "Slurm:"
"""How the reason begins for which a test of Slurm is skipped (`tests/conftest.py`)."""
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "setpriv")
SECONDS = 30.0
CONFIG = """\
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
SlurmctldPort={port}
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SwitchType=switch/none
MailProg=/bin/true
SchedulerParameters=sched_interval=1,bf_interval=1,sched_min_interval=0,batch_sched_delay=0
SlurmctldTimeout=2
SlurmdTimeout=10
KillWait=5
MinJobAge=10
ReturnToService=2
SlurmdParameters=config_overrides
MaxArraySize={array_size}
GresTypes=gpu
{nodes}
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
PartitionName=other Nodes=ALL MaxTime=INFINITE State=UP
"""


class SlurmCluster:
    """A cluster whose nodes are all this machine; daemons may be killed and started again by their names."""

    def __init__(self, *, nodes: int, cpus: int, array_size: int) -> None:
        # Not pytest's folder: the path of a socket may have 107 characters.
        self.folder = Path(tempfile.mkdtemp(prefix="slurm-"))
        self.folder.chmod(0o755)
        self.nodes = [f"n{number}" for number in range(nodes)]
        self.environment = os.environ | {
            "SLURM_CONF": f"{self.folder}/slurm.conf",
            "PATH": f"{os.environ['PATH']}:/usr/sbin",
        }
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}
        port, *ports = free_ports(1 + nodes)
        host = socket.gethostname().partition(".")[0]
        lines = (
            f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs={cpus} RealMemory=4000 Gres=gpu:2"
            for name, port in zip(self.nodes, ports, strict=True)
        )
        (self.folder / "slurm.conf").write_text(
            CONFIG.format(
                folder=self.folder,
                user=pwd.getpwuid(os.getuid()).pw_name,
                host=host,
                port=port,
                array_size=array_size,
                nodes="\n".join(lines),
            )
        )
        (self.folder / "gres.conf").write_text("Name=gpu File=/dev/null\nName=gpu File=/dev/zero\n")
        for name in ("state", *(f"spool-{node}" for node in self.nodes)):
            (self.folder / name).mkdir()
        (self.folder / "key").write_bytes(os.urandom(1024))
        (self.folder / "key").chmod(0o600)

    def start(self, *names: str) -> None:
        """Start some daemons, by default all of them, and wait until every node is idle or has jobs."""
        if not names:
            files = {"key-file": "key", "socket": "munge.sock", "pid-file": "munge.pid", "log-file": "munge.log"}
            options = [f"--{option}={self.folder}/{file}" for option, file in (files | {"seed-file": "seed"}).items()]
            self._spawn("munged", "munged", "-F", *options)
            wait(lambda: (self.folder / "munge.sock").exists(), "munged")
        for name in names or ("slurmctld", *self.nodes):
            self._spawn(name, *(("slurmctld", "-D") if name == "slurmctld" else ("slurmd", "-D", "-N", name)))
        wait(self._is_up, "slurmctld, as its log says", self.folder / "slurmctld.log")

    def _is_up(self) -> bool:
        states = self.call("sinfo", "-hN", "-p", "main", "-o", "%t", check=False).split()
        return len(states) == len(self.nodes) and set(states) <= {"idle", "mix", "alloc"}

    def _spawn(self, name: str, *command: str) -> None:
        # A daemon ends with this process, also where that is killed.
        self._daemons[name] = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *command],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self.folder,
        )

    def kill(self, name: str) -> None:
        """Kill a daemon alone; the jobs of a node live on."""
        self._daemons[name].kill()
        self._daemons[name].wait()

    def stop_controller(self) -> None:
        """End slurmctld as an update does: it keeps its queue."""
        self._daemons["slurmctld"].terminate()
        self._daemons["slurmctld"].wait(20)

    def call(self, *command: str, check: bool = True) -> str:
        """The stdout of a command of Slurm."""
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60)
        assert not check or done.returncode == 0, (command, done.stderr)
        return done.stdout.strip()

    def queue(self) -> list[str]:
        """The tasks in the queue, as ARRAY_NUMBER STATE."""
        return self.call("squeue", "--noheader", "--array", "--format=%F_%K %T").splitlines()

    def stop(self) -> None:
        """End all jobs, then all daemons, then the folder."""
        self.call("scancel", "--user", pwd.getpwuid(os.getuid()).pw_name, check=False)
        # Without munged the others would take ten seconds to end.
        for name in (*self.nodes, "slurmctld", "munged"):
            if (daemon := self._daemons.get(name)) is None:
                continue
            daemon.terminate()
            try:
                daemon.wait(5)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def slurm_cluster(*, nodes: int = 2, cpus: int = 2, array_size: int = 1001) -> Iterator[SlurmCluster]:
    """A running cluster, whose commands this process calls by their names; skips the test where there is no Slurm."""
    path = f"{os.environ['PATH']}:/usr/sbin"
    if missing := [name for name in PROGRAMS if not shutil.which(name, path=path)]:
        pytest.skip(f"{ABSENT} no {', '.join(missing)} (apt install slurm-wlm munge)")
    cluster = SlurmCluster(nodes=nodes, cpus=cpus, array_size=array_size)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", cluster.environment["SLURM_CONF"])
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports


def wait(condition, what: str, log: Path | None = None) -> None:  # type: ignore[no-untyped-def]
    """Wait for something to become true; fail with the end of a log where it does not."""
    until = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < until, f"{what} did not come up: {log.read_text()[-2000:] if log else ''}"
        time.sleep(0.05)
