"""What is left of a plan costs: time, memory and disk, and whether this machine has them."""

import os
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import UserError
from studies.amounts import duration, size
from studies.calibrate import remembered
from studies.cost import Cost, Known
from studies.plan import Plan, PlannedRun
from studies.standing import Standing, others_in
from studies.widths import encoder_parameters

TRAINING_COPIES = 8
"""Weights' sizes on the disk while a run trains: the best, and the last with two states, each beside its successor."""
OTHERS, MEASURED = 1_000, 8
"""How many cells of other studies speak for a plan, and how many run folders are measured."""
REST_BYTES = 4 * 2**20
"""What a finished run keeps beside its weights, where no earlier run says: predictions, history, W&B's files."""


@dataclass(frozen=True)
class Estimate:
    """What the runs that are left take."""

    runs: tuple[PlannedRun, ...]
    costs: tuple[Cost | None, ...]
    jobs: int
    rest_bytes: float = REST_BYTES

    @property
    def known(self) -> list[Cost]:
        """The costs that are known."""
        return [cost for cost in self.costs if cost is not None]

    def seconds(self, jobs: int) -> float:
        """Wall time with so many runs at once."""
        return max(sum(cost.seconds for cost in self.known) / jobs, max(cost.seconds for cost in self.known))

    @property
    def memory_bytes(self) -> float:
        """The most that as many runs as are computed at once hold in memory together."""
        most = sorted((cost.memory_mib for cost in self.known), reverse=True)
        return 2**20 * sum(most[: self.jobs])

    def kept_bytes(self, run: PlannedRun, cost: Cost | None, *, weights: bool = True) -> float:
        """What a finished run keeps; a run whose size nobody knows is left to its own check."""
        keeps = weights and run.config.training.keep == "best"
        return self.rest_bytes + (weight_bytes(run, cost) if keeps else 0.0)

    def disk_bytes(self, *, weights: bool = True) -> float:
        """What all of them keep, and what those that are computed at once need beside it while they train."""
        pairs = list(zip(self.runs, self.costs, strict=True))
        kept = sum(self.kept_bytes(run, cost, weights=weights) for run, cost in pairs)
        largest = sorted((weight_bytes(run, cost) for run, cost in pairs), reverse=True)
        return kept + TRAINING_COPIES * sum(largest[: self.jobs])


def estimate_of(
    planned: Plan, standings: Mapping[str, Standing], runs: Path, *, jobs: int, again: Sequence[Standing] = ()
) -> Estimate:
    """What the runs take that are left, or are to be computed `again`, by all that was computed in `runs`."""
    folders = {standing.folder for standing in again}
    left = tuple(run for run in planned.runs if run.folder in folders or standings[run.run_id].is_left)
    finished = [standing for standing in standings.values() if standing.is_done]
    if left:
        finished += others_in(runs, standings.values(), planned.profile, OTHERS)
    known = Known(finished, remembered(runs))
    # Seeds of a row cost the same.
    by_row = {run.row: run for run in left}
    costs = {row: known.cost(run) for row, run in by_row.items()}
    rest = rest_of([standing.folder for standing in finished[:MEASURED]]) if left else REST_BYTES
    return Estimate(left, tuple(costs[run.row] for run in left), jobs, rest)


def weight_bytes(run: PlannedRun, cost: Cost | None) -> float:
    """The size of a run's weights, by an earlier run or its encoder's; 0 where neither is known."""
    parameters = cost.parameters if cost is not None else None
    return 4.0 * (parameters if parameters is not None else encoder_parameters(run.config) or 0)


def told(estimate: Estimate, profile: str, runs: Path) -> list[str]:
    """The estimate in lines, or how to come by one."""
    if not estimate.runs:
        return []
    lines = []
    if estimate.known:
        each = sorted(cost.seconds for cost in estimate.known)
        spread = (
            duration(each[0])
            if duration(each[0]) == duration(each[-1])
            else f"{duration(each[0])} to {duration(each[-1])}"
        )
        jobs = (
            f", {duration(estimate.seconds(estimate.jobs))} with {estimate.jobs} at once" if estimate.jobs > 1 else ""
        )
        some = f" for {len(estimate.known)} of the {len(estimate.runs)} runs left" if None in estimate.costs else ""
        lines.append(
            f"time: about {duration(estimate.seconds(1))} one after another{jobs}{some} ({spread} a run; "
            f"{sources(estimate)})"
        )
        memory = f"memory: up to {size(2**20 * max(cost.memory_mib for cost in estimate.known))} a run"
        together = f", {size(estimate.memory_bytes)} with {estimate.jobs} at once" if estimate.jobs > 1 else ""
        lines.append(f"{memory}{together}; {size(memory_of_machine())} are here")
    else:
        lines.append(
            f"time: not known, as nothing of profile {profile} on these documents was computed in {runs} yet: add "
            "--calibrate, which measures a few steps"
        )
    sized = all(weight_bytes(run, cost) for run, cost in zip(estimate.runs, estimate.costs, strict=True))
    beside = "" if sized else " beside the weights, whose size is not known here,"
    lines.append(
        f"disk: about {size(estimate.disk_bytes())}{beside} while the last are computed; {size(free_bytes(runs))} are "
        f"free in {runs}"
    )
    return lines


def sources(estimate: Estimate) -> str:
    """Where the costs come from, the commonest first."""
    found = Counter(cost.source for cost in estimate.known)
    return "measured on " + ", and on ".join(source for source, _ in found.most_common())


def too_little_memory(estimate: Estimate) -> list[str]:
    """A line where the runs that are computed at once would not fit in memory."""
    needed, there = estimate.memory_bytes, memory_of_machine()
    if needed <= there:
        return []
    fit = max(1, int(estimate.jobs * there / needed))
    return [
        f"{estimate.jobs} runs at once hold up to {size(needed)} of memory, this machine has {size(there)}: give "
        f"--jobs {fit}" + ("" if fit < estimate.jobs else ", or a smaller training.batch_size")
    ]


def refuse_full_disk(estimate: Estimate, runs: Path) -> None:
    """Raise a UserError where the disk cannot hold the runs that are left."""
    needed, free = estimate.disk_bytes(), free_bytes(runs)
    if needed <= free:
        return
    bare = estimate.disk_bytes(weights=False)
    records = (
        f"--training.keep none keeps no weights and needs {size(bare)}, " if bare <= free and bare < needed else ""
    )
    raise UserError(
        f"the {len(estimate.runs)} runs left need about {size(needed)} on the disk, {size(free)} are free in {runs}: "
        f"{records}--runs DIR may lie on another disk, `engram runs gc --runs {runs}` says what can be deleted"
    )


def free_bytes(runs: Path) -> float:
    """What is free where runs lie, or would lie."""
    there = runs.absolute()
    while not there.exists():
        there = there.parent
    return float(shutil.disk_usage(there).free)


def memory_of_machine() -> float:
    """The memory of this machine, or of the container that this process may use."""
    found = [float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))]
    for limit in (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes")):
        try:
            found.append(float(limit.read_text()))
        except (OSError, ValueError):
            continue
    return min(found)


def rest_of(folders: Sequence[Path]) -> float:
    """What finished runs keep beside their weights, on average over some run folders."""
    sizes = [
        sum(file.lstat().st_size for file in folder.rglob("*") if file.is_file() and "checkpoints" not in file.parts)
        for folder in folders
    ]
    return sum(sizes) / len(sizes) if sizes else REST_BYTES


def jobs_for(planned: Plan, devices: Sequence[str] = ()) -> int:
    """As many runs at once as there are devices, or as the processors hold at the threads that a run asks for."""
    if devices:
        return len(devices)
    threads = planned.runs[0].config.runtime.threads
    return max(1, (os.cpu_count() or 1) // threads) if threads else 1
