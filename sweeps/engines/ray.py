"""Ray engine: an actor per slot, each with a local engine of one worker on its node.

Ray only places the actors. It retries nothing, as the launcher resumes what a lost node took; and Ray Tune is not used:
its trials have one seed and a store of their own, while a row here has several seeds, and records are the only truth.
Nodes see the run folders, and Python, at the same absolute paths as the driver; nothing is copied to them.
"""

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Self

from core.errors import UserError
from sweeps.engines.engine import EndedRun, Engine, EngineOptions
from sweeps.engines.local import PROGRAM, LocalEngine

if TYPE_CHECKING:
    from ray import ObjectRef
    from ray.actor import ActorHandle

SHELL = ("sh", "-c", 'trap : TERM; "$@"; code=$?; [ $code -le 128 ] || kill -$((code - 128)) $$; exit $code', "sh")
"""Ray kills the children of an actor whose driver is gone. A shell in between makes the run a grandchild: it saves."""
CLOSE_SECONDS, LOOK_SECONDS = 10.0, 0.2
FAILED_STARTS = 5
"""After so many actors one after another that did not come up a run ends: else it would wait for ever."""
VARIABLES = ("ENGRAM_", "HF_", "WANDB_")
"""How the variables begin that runs take over from the driver's environment."""


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

    def __init__(self, program: Sequence[str], options: RayOptions, environment: Mapping[str, str]) -> None:
        os.environ.update(environment)
        # Ray hides GPUs only from actors that have a share of one.
        devices = () if options.gpus else ("cpu",)
        self._engine = LocalEngine(jobs=1, threads=options.cpus, devices=devices, program=[*SHELL, *program])
        self._asked: list[bool] = []

    def ready(self) -> None:
        """Answers as soon as the actor has its place."""

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

    options_type = RayOptions

    def __init__(self, options: RayOptions, *, program: Sequence[str] = PROGRAM) -> None:
        super().__init__()
        self._ray = connect(options.address)
        self.slots = options.slots or self._count_slots(options)
        environment = {name: value for name, value in os.environ.items() if name.startswith(VARIABLES)}
        code = (str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH"))
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, code))
        resources = {"num_cpus": options.cpus, "num_gpus": options.gpus}
        self._actor = self._ray.remote(max_restarts=0, max_concurrency=2, **resources)(Host)
        self._arguments = (tuple(program), options, environment)
        self._failed_starts = 0
        self._idle: list[ActorHandle[Host]] = []
        self._new: dict[ActorHandle[Host], ObjectRef[None]] = {}
        """Actors that may still wait for their place, each with the answer that it will give there."""
        self._busy: dict[ObjectRef[tuple[str, str | None]], tuple[ActorHandle[Host], Path]] = {}

    @classmethod
    def from_options(cls, options: EngineOptions) -> Self:
        """Build it, connected to its cluster."""
        if options.jobs or options.devices:
            raise UserError("--engine ray: give --ray.slots, --ray.cpus and --ray.gpus, not --jobs and --devices")
        return cls(options.own)

    def _count_slots(self, options: RayOptions) -> int:
        slots = 0
        for node in self._ray.nodes():
            cpus, gpus = (node["Resources"].get(name, 0.0) for name in ("CPU", "GPU"))
            # Lost nodes are listed too.
            slots += node["Alive"] * int(min(cpus / options.cpus, gpus / options.gpus if options.gpus else cpus))
        if not slots:
            raise UserError(
                f"no node of the Ray cluster has {options.cpus} processors and {options.gpus:g} GPUs for a run: give "
                "fewer (--ray.cpus, --ray.gpus), or --ray.slots where nodes are started on demand"
            )
        return slots

    def submit(self, folder: Path) -> None:
        """Hand a folder to an idle actor, or to a new one while there are fewer than `slots`, or let it wait."""
        super().submit(folder)
        self._start_waiting()

    def wait(self, seconds: float) -> list[EndedRun]:
        """What ended since the last call, after at most some seconds."""
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
        if not self._queue:
            # New actors may be waiting for the very places of the idle ones.
            self._take_back(len(self._idle))
        while self._queue and (self._idle or len(self._busy) < self.slots):
            host = self._idle.pop() if self._idle else self._start()
            folder = self._queue.popleft()
            self._busy[host.compute.remote(str(folder))] = host, folder

    def _start(self) -> "ActorHandle[Host]":
        host = self._actor.remote(*self._arguments)
        self._new[host] = host.ready.remote()
        return host

    def _take_back(self, count: int) -> None:
        """Let some folders wait again whose actors have no place yet."""
        for ref, (host, folder) in [*self._busy.items()]:
            if count and not self._is_placed(host):
                self._ray.kill(host)
                del self._busy[ref], self._new[host]
                self._queue.append(folder)
                count -= 1

    def _is_placed(self, host: "ActorHandle[Host]") -> bool:
        ready = self._new.get(host)
        if ready is not None and self._ray.wait([ready], timeout=0)[0]:
            with suppress(self._ray.exceptions.RayError):
                self._ray.get(ready)
                del self._new[host]
        return host not in self._new

    def _take_answer(self, ref: "ObjectRef[tuple[str, str | None]]") -> None:
        host, folder = self._busy.pop(ref)
        try:
            self._ended.append(EndedRun(folder, *self._ray.get(ref)))
        except self._ray.exceptions.RayError as error:
            # Idle ones may have been on the same node.
            for lost in (host, *self._idle):
                self._ray.kill(lost)
            self._idle = []
            self._failed_starts += not self._is_placed(host)
            if self._new.pop(host, None) is None or self._failed_starts >= FAILED_STARTS:
                self._ended.append(EndedRun(folder, "killed", describe_error(error)))
            else:
                self._queue.appendleft(folder)
        else:
            self._failed_starts = 0
            self._idle.append(host)

    def cancel(self, *, now: bool = False) -> None:
        """Drop what waits; ask the running ones to save and stop, or kill them."""
        self._take_back(len(self._busy))
        super().cancel(now=now)
        for host, _ in self._busy.values():
            host.cancel.remote(now)

    def close(self) -> None:
        """End every actor; runs that take too long to save end by themselves, as their stdin has ended."""
        self.cancel()
        if self._busy:
            self._ray.wait([*self._busy], num_returns=len(self._busy), timeout=CLOSE_SECONDS)
        for host in (*self._idle, *(host for host, _ in self._busy.values())):
            self._ray.kill(host)
        self._idle, self._busy = [], {}


def connect(address: str) -> ModuleType:
    """Ray, connected to a cluster until this process ends; a UserError says why it cannot be."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise UserError("--engine ray needs Ray: pip install 'engram[ray]'") from None
    quiet: dict[str, Any] = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}
    try:
        ray.init(address, ignore_reinit_error=True, **quiet)
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise UserError(
            f"no Ray cluster can be reached at --ray.address {address} ({describe_error(error)}): start one (`ray start "
            "--head`) or give HOST:6379 of its head; RAY_AUTH_MODE must be what it was started with"
        ) from None
    return ray


def describe_error(error: Exception) -> str:
    """What Ray says last, which is the cause."""
    return str(error).strip().rpartition("\n")[2].strip() or type(error).__name__
