"""Estimate of a plan: the time, memory and disk that what is left of it takes, and whether this machine has them.

The closest measurement counts for a run: its own row under other seeds; else runs with its relation head, batch size,
and memory or none; else a calibration (`studies.cost_calibration`) of the slowest row; else any run of the profile on
these documents. Seconds grow with epochs. What other machines took counts only where this one has computed nothing.
"""

import json
import os
import platform
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median

from core.config.model_source import estimate_parameter_count
from core.config.schema import RunConfig
from core.errors import UserError
from core.files import format_size, free_bytes
from core.records.summary import RunSummary, read_summary
from studies.cost_calibration import Calibration, Setup, find_setup, find_system, name_documents, read_calibrations
from studies.plan import Plan, PlannedRun

TRAINING_COPIES = 8
"""Weights' sizes on the disk while a run trains: the best, and the last with two states, each with its successor."""
BYTES_BESIDES_WEIGHTS = 8 * 2**20
"""About what a finished run keeps besides its weights: predictions, counts per document, history, W&B's files."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a run takes, and by which measurement; `parameters` is None where it does not show them."""

    seconds: float
    memory_mib: float
    parameters: int | None
    source: str


@dataclass(frozen=True)
class Estimate:
    """What the runs that are left take; the cost of a run is None where nothing like it was measured."""

    runs: tuple[PlannedRun, ...]
    costs: tuple[Cost | None, ...]
    jobs: int

    @property
    def known(self) -> list[Cost]:
        """The costs that are known."""
        return [cost for cost in self.costs if cost is not None]

    def seconds(self, jobs: int) -> float:
        """Wall time with so many runs at once."""
        seconds = [cost.seconds for cost in self.known]
        return max(sum(seconds) / jobs, max(seconds, default=0.0))

    @property
    def memory_bytes(self) -> int:
        """The most that as many runs as are computed at once hold in memory together."""
        return int(2**20 * sum(sorted((cost.memory_mib for cost in self.known), reverse=True)[: self.jobs]))

    @cached_property
    def weight_bytes(self) -> list[int]:
        """The size of each run's weights, by an earlier run or its encoder's; 0 where neither is known."""
        pairs = zip(self.runs, self.costs, strict=True)
        known = ((cost and cost.parameters) or estimate_parameter_count(run.config) for run, cost in pairs)
        return [4 * (count or 0) for count in known]

    @property
    def disk_bytes(self) -> int:
        """What all runs keep, and what those that are computed at once need on top while they train."""
        sizes = self.weight_bytes
        kept = sum(size for run, size in zip(self.runs, sizes, strict=True) if run.config.training.keep == "best")
        training = TRAINING_COPIES * sum(sorted(sizes, reverse=True)[: self.jobs])
        return len(sizes) * BYTES_BESIDES_WEIGHTS + kept + training


def nearest_cost(
    run: PlannedRun, finished: Mapping[Setup, Sequence[RunSummary]], calibrations: Sequence[Calibration]
) -> Cost | None:
    """The cost of a planned run by the measurement most like it; None where there is none in its setup."""
    setup, system = find_setup(run.config), find_system(run.config)
    runs = finished.get(setup, ())
    own = [other for other in runs if other.run_id.rpartition("-")[0] == run.signature]
    alike = own or [other for other in runs if find_system(other.config) == system]
    if alike:
        return typical_cost(alike, run.config, "finished runs of these rows or of similar ones")
    measured = [calibration for calibration in calibrations if calibration.setup == setup]
    if measured:
        # Where this very system was not measured, the slowest counts: rather too much than too little.
        nearest = max(measured, key=lambda calibration: (calibration.system == system, calibration.costs.step_seconds))
        costs = nearest.costs
        source = f"{costs.steps} steps of row {nearest.row}"
        return Cost(costs.seconds(run.config), costs.peak_memory_mib, costs.parameters, source)
    return typical_cost(runs, run.config, "finished runs of other rows") if runs else None


def typical_cost(runs: Sequence[RunSummary], config: RunConfig, source: str) -> Cost:
    """The cost of a config by runs like it: their median seconds per epoch, and the most memory and parameters."""
    # Not the mean: a run that had to share its machine would stretch all others.
    seconds_per_epoch = median(run.seconds / run.config.training.epochs for run in runs)
    return Cost(
        seconds=seconds_per_epoch * config.training.epochs,
        memory_mib=max(run.peak_memory_mib or 0.0 for run in runs),
        parameters=max(run.parameters or 0 for run in runs) or None,
        source=source if any(map(is_of_this_machine, runs)) else f"{source} on other machines",
    )


def measured_setup(run: RunSummary) -> Setup:
    """The setup of a run that was computed, as `find_setup` gives it for a planned one."""
    assert run.provenance is not None
    data = run.config.data
    documents = name_documents(run.provenance.data.get(data.get("train") or "", ""), data.get("limit"))
    return run.config.profile, documents, json.dumps(run.config.encoder, sort_keys=True)


def is_of_this_machine(run: RunSummary) -> bool:
    """Whether this machine computed a run."""
    return run.provenance is not None and run.provenance.machine.startswith(f"{platform.node()} ")


def estimate_plan(
    plan: Plan, summaries: Mapping[str, RunSummary], runs: Path, *, jobs: int, again: Collection[str] = ()
) -> Estimate:
    """What the runs take that are left, or whose ids are to be computed `again`, by all that was computed in `runs`."""
    left = tuple(run for run in plan.runs if run.run_id in again or summaries[run.run_id].is_left)
    if not left:
        return Estimate((), (), jobs)
    computed = [*summaries.values(), *runs_of_other_rows(runs, summaries.values(), plan.record.profile)]
    timed = [run for run in computed if run.status == "finished" and run.seconds and run.provenance]
    finished: defaultdict[Setup, list[RunSummary]] = defaultdict(list)
    for run in list(filter(is_of_this_machine, timed)) or timed:
        finished[measured_setup(run)].append(run)
    calibrations = [one for one in read_calibrations(runs) if one.machine == platform.node()]
    # Seeds of a row cost the same.
    costs = {row: nearest_cost(run, finished, calibrations) for row, run in {run.row: run for run in left}.items()}
    return Estimate(left, tuple(costs[run.row] for run in left), jobs)


def runs_of_other_rows(runs: Path, planned: Iterable[RunSummary], profile: str) -> Iterator[RunSummary]:
    """A finished run of the profile of every row in a folder of runs that is not planned."""
    own = {summary.folder.parent.name for summary in planned}
    for row in sorted(folder for folder in runs.glob("*") if folder.name not in own):
        summary = next((run for run in map(read_summary, sorted(row.glob("s*"))) if run.is_done), None)
        if summary is not None and summary.config.profile == profile:
            yield summary


def describe_estimate(estimate: Estimate, profile: str, runs: Path) -> list[str]:
    """The estimate in lines, and where nothing is known how to get one."""
    if not estimate.runs:
        return []
    jobs, known = estimate.jobs, estimate.known
    lines = []
    if known:
        shortest, longest = (format_duration(end(cost.seconds for cost in known)) for end in (min, max))
        each = shortest if shortest == longest else f"{shortest} to {longest}"
        together = f", {format_duration(estimate.seconds(jobs))} with {jobs} at once" if jobs > 1 else ""
        some = f" for {len(known)} of the {len(estimate.runs)} runs left" if None in estimate.costs else ""
        sources = ", and on ".join(source for source, _ in Counter(cost.source for cost in known).most_common())
        lines.append(
            f"time: about {format_duration(estimate.seconds(1))} one after another{together}{some} ({each} a run; "
            f"measured on {sources})"
        )
        most = format_size(2**20 * max(cost.memory_mib for cost in known))
        together = f", {format_size(estimate.memory_bytes)} with {jobs} at once" if jobs > 1 else ""
        lines.append(f"memory: up to {most} a run{together}; this machine has {format_size(machine_memory())}")
    else:
        lines.append(
            f"time: unknown, as no run of profile {profile} on these documents has been computed in {runs}: add "
            "--calibrate, which measures a few steps"
        )
    unsized = "" if all(estimate.weight_bytes) else " without the weights, whose size is not known here,"
    lines.append(
        f"disk: about {format_size(estimate.disk_bytes)}{unsized} while the last runs are computed; "
        f"{format_size(free_bytes(runs))} are free in {runs}"
    )
    return lines


def memory_warnings(estimate: Estimate) -> Iterator[str]:
    """A line where the runs that are computed at once would not fit in memory."""
    needed, available = estimate.memory_bytes, machine_memory()
    if needed > available:
        yield (
            f"{estimate.jobs} runs at once hold up to {format_size(needed)} of memory, this machine has "
            f"{format_size(available)}: give --jobs {max(1, int(estimate.jobs * available / needed))}, or a smaller "
            "training.batch_size"
        )


def refuse_full_disk(estimate: Estimate, runs: Path) -> None:
    """Raise a UserError where the disk cannot hold the runs that are left."""
    needed, free = estimate.disk_bytes, free_bytes(runs)
    if needed > free:
        raise UserError(
            f"the {len(estimate.runs)} runs left need about {format_size(needed)} on the disk, {format_size(free)} are "
            f"free in {runs}: --training.keep none keeps no weights, --runs DIR may be on another disk, `engram runs "
            f"gc --runs {runs}` lists what can be deleted"
        )


def machine_memory() -> int:
    """The memory of this machine, or of the container that this process may use, in bytes."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for limit in (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes")):
        with suppress(OSError, ValueError):
            limits.append(int(limit.read_text()))
    return min(limits)


def default_jobs(plan: Plan, devices: Sequence[str] = ()) -> int:
    """As many runs at once as there are devices, or as the processors hold at the threads that a run asks for."""
    if devices:
        return len(devices)
    threads = plan.runs[0].config.runtime.threads
    return max(1, (os.cpu_count() or 1) // threads) if threads else 1


def format_duration(seconds: float) -> str:
    """`40 s`, `21 min`, `3.5 h`, `4.2 days`."""
    for unit, length, least in (("days", 86_400.0, 172_800.0), ("h", 3_600.0, 5_400.0), ("min", 60.0, 90.0)):
        if seconds >= least:
            return f"{seconds / length:.0f} {unit}" if unit == "min" else f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 1 else "under 1 s"
