"""Ray engine: an actor per slot, each with a local engine of one worker on its node.

Ray only places the actors. It retries nothing, as the launcher resumes what a lost node took; and Ray Tune is not used:
its trials have one seed and a store of their own, while a row here has several seeds, and records are the only truth.
Nodes see the run folders, and Python, at the same absolute paths as the driver; nothing is copied to them.
"""

import os
import platform
import socket
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from core.errors import UserError
from core.files import lock_folder
from sweeps.engines.engine import EndedRun, Engine, EngineOptions
from sweeps.engines.local import PROGRAM, LocalEngine
from sweeps.engines.shared_disk import lock_probe, refuse_unseen_lock

if TYPE_CHECKING:
    from ray import ObjectRef
    from ray.actor import ActorHandle

SHELL = ("sh", "-c", 'trap : TERM; "$@"; code=$?; [ $code -le 128 ] || kill -$((code - 128)) $$; exit $code', "sh")
"""Ray kills the children of an actor whose driver is gone. A shell in between makes the run a grandchild: it saves."""
VARIABLES, CODE = ("ENGRAM_", "HF_", "WANDB_"), str(Path(__file__).resolve().parents[2])
"""What runs get of the driver's environment, by how the names begin; and where its code lies."""
ANSWER_SECONDS, CLOSE_SECONDS, LOOK_SECONDS = 5.0, 10.0, 0.2


@dataclass(frozen=True, kw_only=True)
class RayOptions:
    """What is asked of a Ray cluster.

    Args:
        address: HOST:PORT of the cluster's head, auto for the cluster that this machine is in, or local for one that
            ends with this command.
        cpus: processors, and so threads, of each run.
        gpus: GPUs of each run; 0.5 lets two runs share one.
        slots: runs at once (default: as many as the nodes have room for now).
    """

    address: str = "auto"
    cpus: int = 1
    gpus: float = 0.0
    slots: int | None = None


class Host:
    """An actor: computes folders on its node, and hears `cancel` meanwhile, as it has two threads."""

    def __init__(self, program: tuple[str, ...], options: RayOptions, place: Path, environment: dict[str, str]) -> None:
        os.environ.update(environment)
        # Settings may name files from where the driver is; one that is on a disk of its own names them in full.
        with suppress(OSError):
            os.chdir(place)
        # Ray hides GPUs only from actors that have a share of one.
        devices = () if options.gpus else ("cpu",)
        self._engine = LocalEngine(jobs=1, threads=options.cpus, devices=devices, program=[*SHELL, *program])
        self._asked: list[bool] = []

    def ready(self) -> None:
        """Answers as soon as the actor has its place."""

    def hold_lock(self, folder: str) -> str:
        """Lock a folder as long as this actor lives; the name of its host."""
        self._lock = ExitStack()
        self._lock.enter_context(lock_folder(Path(folder)))
        return platform.node()

    def compute(self, folder: str) -> tuple[str, str | None]:
        """Status and error of a folder, when it has ended."""
        self._engine.submit(Path(folder))
        while True:
            while self._asked:
                self._engine.cancel(now=self._asked.pop(0))
            for ended in self._engine.wait(LOOK_SECONDS):
                return ended.status, ended.error

    def cancel(self, now: bool) -> None:
        """Let the run save and stop, or kill it."""
        self._asked.append(now)


class RayEngine(Engine):
    """Actors on the nodes of a Ray cluster, which see the run folders at the same path.

    `slots` at once, each with some processors and a share of a GPU.
    """

    on_this_machine, options_type = False, RayOptions

    def __init__(self, options: RayOptions, *, program: tuple[str, ...] = PROGRAM) -> None:
        super().__init__()
        self._ray = connect(options.address)
        self._nodes = [node for node in self._ray.nodes() if node["Alive"]]
        self.slots = options.slots or count_slots(self._nodes, options)
        resources = {"num_cpus": options.cpus, "num_gpus": options.gpus}
        self._actor = self._ray.remote(max_restarts=0, max_concurrency=2, **resources)(Host)
        environment = {name: value for name, value in os.environ.items() if name.startswith(VARIABLES)}
        self._arguments = (program, options, Path.cwd(), environment | {"PYTHONPATH": CODE})
        self._idle: list[ActorHandle[Host]] = []
        self._busy: dict[ObjectRef[tuple[str, str | None]], tuple[ActorHandle[Host], Path]] = {}
        self._ready: dict[ActorHandle[Host], ObjectRef[None]] = {}

    @classmethod
    def from_options(cls, options: EngineOptions) -> Self:
        """Build it, connected to its cluster; a UserError where another node's locks are not seen here."""
        own: RayOptions = options.own
        if options.jobs or options.devices:
            raise UserError("--engine ray: give --ray.slots, --ray.cpus and --ray.gpus, not --jobs and --devices")
        if own.cpus < 1 or (own.slots or 1) < 1 or own.gpus < 0 or (own.gpus > 1 and own.gpus % 1):
            given = f"--ray.cpus {own.cpus}, --ray.gpus {own.gpus:g}, --ray.slots {own.slots}"
            raise UserError(f"{given}: give at least 1 processor and 1 slot, a share of one GPU or whole ones")
        engine = cls(own)
        engine.test_lock(options.runs)
        return engine

    def test_lock(self, runs: Path) -> None:
        """Let another node, if there is one, lock a folder; a UserError where that cannot be, or is not seen here."""
        here = self._ray.get_runtime_context().get_node_id()
        for node in [node["NodeID"] for node in self._nodes if node["NodeID"] != here][:1]:
            where = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node, soft=False)
            actor = self._actor.options(num_cpus=0, num_gpus=0, scheduling_strategy=where)
            host = actor.remote(*self._arguments)
            try:
                with lock_probe(runs) as probe:
                    refuse_unseen_lock(probe, self._ray.get(host.hold_lock.remote(str(probe.absolute()))))
            except self._ray.exceptions.RayError as error:
                raise UserError(
                    f"a node of the Ray cluster cannot compute in {runs} ({describe_error(error)}): give a folder that "
                    "all nodes share (--runs DIR), and install Engram on them"
                ) from None
            finally:
                self._ray.kill(host)

    def submit(self, folder: Path) -> None:
        """Hand a folder to an idle actor, or to a new one while there are fewer than `slots`, or let it wait."""
        super().submit(folder)
        self._start_waiting()

    def wait(self, seconds: float) -> list[EndedRun]:
        """What ended since the last call, after at most some seconds."""
        # Nothing more was submitted for them: the places of idle actors may be what new ones are waiting for.
        while self._idle:
            self._ray.kill(self._idle.pop())
        until = time.monotonic() + seconds
        while not self._ended and self._busy:
            left = until - time.monotonic()
            for ref in self._ray.wait([*self._busy], num_returns=1, timeout=max(0.0, left))[0]:
                self._take_answer(ref)
            self._start_waiting()
            if left <= 0:
                break
        return self._take_ended()

    def _start_waiting(self) -> None:
        while self._queue and (self._idle or len(self._busy) < self.slots):
            host = self._idle.pop() if self._idle else self._actor.remote(*self._arguments)
            self._ready.setdefault(host, host.ready.remote())
            folder = self._queue.popleft()
            self._busy[host.compute.remote(str(folder.absolute()))] = host, folder

    def _take_answer(self, ref: "ObjectRef[tuple[str, str | None]]") -> None:
        host, folder = self._busy.pop(ref)
        try:
            self._ended.append(EndedRun(folder, *self._ray.get(ref)))
        except self._ray.exceptions.RayError as error:
            self._ended.append(EndedRun(folder, "killed", describe_error(error)))
        else:
            self._idle.append(host)

    def cancel(self, *, now: bool = False) -> None:
        """Drop what waits, also for its place; ask the running ones to save and stop, or kill them."""
        super().cancel(now=now)
        for ref, (host, folder) in [*self._busy.items()]:
            if self._ray.wait([self._ready[host]], timeout=0)[0]:
                host.cancel.remote(now)
            else:
                self._ray.kill(host)
                del self._busy[ref]
                self._ended.append(EndedRun(folder, "cancelled"))

    def close(self) -> None:
        """End every actor; runs that take too long to save end by themselves, as their stdin has ended."""
        self.cancel()
        if self._busy:
            self._ray.wait([*self._busy], num_returns=len(self._busy), timeout=CLOSE_SECONDS)
        for host in (*self._idle, *(host for host, _ in self._busy.values())):
            self._ray.kill(host)
        self._idle, self._busy = [], {}


def connect(address: str) -> Any:
    """The module ray, connected to a cluster until this process ends; a UserError says why it cannot be."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    quiet: dict[str, Any] = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}
    try:
        import ray
        import ray.util.scheduling_strategies

        host, _, port = address.rpartition(":")
        if host:
            # Ray itself would try for more than a minute.
            socket.create_connection((host, int(port)), timeout=ANSWER_SECONDS).close()
        ray.init(address, ignore_reinit_error=True, **quiet)
    except ImportError:
        raise UserError("--engine ray needs Ray: pip install 'engram[ray]'") from None
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise UserError(
            f"no Ray cluster can be reached at --ray.address {address} ({describe_error(error)}): start one (ray start "
            "--head) or give HOST:6379 of its head; RAY_AUTH_MODE must be what it was started with"
        ) from None
    return ray


def count_slots(nodes: list[dict[str, Any]], options: RayOptions) -> int:
    """How many runs some nodes have room for; a UserError where it is none."""
    slots = 0
    for node in nodes:
        cpus, gpus = (node["Resources"].get(name, 0.0) for name in ("CPU", "GPU"))
        slots += int(min(cpus / options.cpus, gpus / options.gpus if options.gpus else cpus))
    if not slots:
        raise UserError(
            f"no node of the Ray cluster has {options.cpus} processors and {options.gpus:g} GPUs for a run: give fewer "
            "(--ray.cpus, --ray.gpus), or --ray.slots where nodes are started on demand"
        )
    return slots


def describe_error(error: Exception) -> str:
    """What Ray says last, which is the cause."""
    return str(error).strip().rpartition("\n")[2].strip() or type(error).__name__
