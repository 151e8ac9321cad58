"""What is left of a plan costs: time, memory and disk, and whether this machine has them.

What a run of a plan will take, from what earlier runs of the same profile and documents took.

The nearest that is known speaks for a run: its own cell under other seeds; else runs with its relation head, batch
size, and memory or none; else a calibration (`studies.estimate`), which measured the dearest row; else any run of the
profile on these documents. Seconds grow with epochs. What other machines took counts only where this one has computed
nothing.

Seconds and bytes as a reader says them.

A short calibration: a few optimiser steps of the dearest row in a process of its own, remembered beside the studies.

It writes no run folder and no record, so nothing can take it for a result; `core.run.timing` times the steps.
"""

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import msgspec

from core.config.model_source import encoder_width, estimate_parameter_count
from core.config.presets import to_yaml
from core.config.schema import EncoderConfig, RunConfig
from core.errors import UserError
from core.files import atomic_write, content_hash, make_folder
from core.progress import say
from core.records.summary import RunSummary, read_summary
from core.records.timings import StepCosts
from studies.plan import Plan, PlannedRun
from studies.record import STUDIES


def format_duration(seconds: float) -> str:
    """`40 s`, `21 min`, `3.5 h`, `4.2 days`."""
    for unit, length, least in (("days", 86_400.0, 172_800.0), ("h", 3_600.0, 5_400.0), ("min", 60.0, 90.0)):
        if seconds >= least:
            return f"{seconds / length:.0f} {unit}" if unit == "min" else f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 1 else "under 1 s"


def format_size(bytes_: float) -> str:
    """`340 MiB`, `1.2 GiB`."""
    mebibytes = bytes_ / 2**20
    if mebibytes >= 1_000:
        return f"{mebibytes / 1024:.1f} GiB"
    return f"{mebibytes:.0f} MiB" if mebibytes >= 1 else "under 1 MiB"


Ground = tuple[str, str, str]
"""Profile, documents and encoder: runs that differ in one of them say nothing of each other."""

Kind = tuple[str, bool, int]
"""What of a system decides most about its cost: relation head, memory or none, documents in a batch."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a run takes, and by which measurement; `parameters` is None where it does not say."""

    seconds: float
    memory_mib: float
    parameters: int | None
    source: str


class Calibration(msgspec.Struct, frozen=True):
    """A few steps that were measured, and what they are steps of."""

    ground: Ground
    kind: Kind
    row: str
    host: str
    costs: StepCosts


class Known:
    """What earlier runs and calibrations say of planned ones."""

    def __init__(self, finished: Iterable[RunSummary], calibrations: Iterable[Calibration] = ()) -> None:
        scored = [one for one in finished if one.status == "finished" and one.seconds]
        here = [one for one in scored if machine_name(one) == platform.node()]
        self._cells: defaultdict[tuple[object, ...], _Runs] = defaultdict(_Runs)
        for one in here or scored:
            for key in _keys_of(one):
                self._cells[key].add(one)
        self._calibrations: dict[tuple[object, ...], Calibration] = {}
        for measured in sorted(calibrations, key=lambda measured: measured.costs.step_seconds):
            if measured.host == platform.node():
                # Where the very kind was not measured, the dearest speaks: rather too much than too little.
                self._calibrations[measured.ground] = self._calibrations[*measured.ground, *measured.kind] = measured
        self._grounds = Grounds()
        self._elsewhere = "" if here else " of other machines"

    def cost(self, run: PlannedRun) -> Cost | None:
        """The cost of a planned run, None where nothing is known."""
        ground, config = self._grounds.of(run.config), run.config
        for key in ((*ground, _signature(run.run_id)), (*ground, *kind_of(config))):
            if key in self._cells:
                return self._cells[key].cost(config, f"finished runs of these rows or their like{self._elsewhere}")
        calibration = self._calibrations.get((*ground, *kind_of(config))) or self._calibrations.get(ground)
        if calibration is not None:
            costs = calibration.costs
            source = f"{costs.steps} steps of row {calibration.row}"
            return Cost(costs.seconds(config), costs.peak_memory_mib, costs.parameters, source)
        if ground in self._cells:
            return self._cells[ground].cost(config, f"finished runs of other rows{self._elsewhere}")
        return None


class Grounds:
    """The grounds of configs; every encoder is told once."""

    def __init__(self) -> None:
        self._encoders: dict[EncoderConfig, str] = {}

    def of(self, config: RunConfig) -> Ground:
        """The ground of a config whose documents are files."""
        assert config.data.train is not None
        encoder = self._encoders.get(config.encoder)
        if encoder is None:
            encoder = self._encoders.setdefault(config.encoder, _told(config.encoder.model_dump(mode="json")))
        return config.profile, content_hash(Path(config.data.train)), encoder


class _Runs:
    """Finished runs of one kind."""

    def __init__(self) -> None:
        self.count, self.seconds_per_epoch, self.memory_mib, self.parameters = 0, 0.0, 0.0, 0

    def add(self, record: RunSummary) -> None:
        self.count += 1
        self.seconds_per_epoch += record.seconds / record.config.training.epochs
        self.memory_mib = max(self.memory_mib, record.peak_memory_mib or 0.0)
        self.parameters = max(self.parameters, record.parameters or 0)

    def cost(self, config: RunConfig, source: str) -> Cost:
        seconds = self.seconds_per_epoch / self.count * config.training.epochs
        return Cost(seconds, self.memory_mib, self.parameters or None, source)


def kind_of(config: RunConfig) -> Kind:
    """The kind of a config."""
    return config.model.relation_head, config.memory is not None, config.training.batch_size


def _keys_of(record: RunSummary) -> Iterable[tuple[object, ...]]:
    if record.provenance is None:
        return ()
    config = record.config
    documents = record.provenance.data.get(config.data.get("train") or "")
    if documents is None:
        return ()
    ground = (config.profile, documents, _told(config.encoder))
    kind = (config.model.relation_head, config.memory is not None, config.training.batch_size)
    return (*ground, _signature(record.run_id)), (*ground, *kind), ground


def machine_name(summary: RunSummary) -> str:
    """The machine that computed a run."""
    return summary.provenance.machine.partition(" ")[0] if summary.provenance is not None else ""


def _signature(run_id: str) -> str:
    return run_id.rpartition("-")[0]


def _told(encoder: Mapping[str, object]) -> str:
    return json.dumps(encoder, sort_keys=True)


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


def estimate_plan(
    planned: Plan, summaries: Mapping[str, RunSummary], runs: Path, *, jobs: int, again: Sequence[RunSummary] = ()
) -> Estimate:
    """What the runs take that are left, or are to be computed `again`, by all that was computed in `runs`."""
    folders = {summary.folder for summary in again}
    left = tuple(run for run in planned.runs if run.folder in folders or summaries[run.run_id].is_left)
    finished = [summary for summary in summaries.values() if summary.is_done]
    if left:
        finished += runs_of_other_rows(runs, summaries.values(), planned.profile)
    known = Known(finished, remembered(runs))
    # Seeds of a row cost the same.
    by_row = {run.row: run for run in left}
    costs = {row: known.cost(run) for row, run in by_row.items()}
    rest = rest_of([summary.folder for summary in finished[:MEASURED]]) if left else REST_BYTES
    return Estimate(left, tuple(costs[run.row] for run in left), jobs, rest)


def runs_of_other_rows(runs: Path, planned: Iterable[RunSummary], profile: str) -> Iterator[RunSummary]:
    """A finished run of every row in a folder of runs that is not planned: of `OTHERS` rows those of the profile."""
    own = {summary.folder.parent.name for summary in planned}
    others = (folder for folder in sorted(runs.iterdir()) if folder.name not in own) if runs.is_dir() else iter(())
    done = (
        next((one for seed in sorted(row.glob("s*")) if (one := read_summary(seed)).is_done), None) for row in others
    )
    for summary in islice((one for one in done if one is not None), OTHERS):
        if summary.config.profile == profile:
            yield summary


def weight_bytes(run: PlannedRun, cost: Cost | None) -> float:
    """The size of a run's weights, by an earlier run or its encoder's; 0 where neither is known."""
    parameters = cost.parameters if cost is not None else None
    return 4.0 * (parameters if parameters is not None else estimate_parameter_count(run.config) or 0)


def told(estimate: Estimate, profile: str, runs: Path) -> list[str]:
    """The estimate in lines, or how to come by one."""
    if not estimate.runs:
        return []
    lines = []
    if estimate.known:
        each = sorted(cost.seconds for cost in estimate.known)
        spread = (
            format_duration(each[0])
            if format_duration(each[0]) == format_duration(each[-1])
            else f"{format_duration(each[0])} to {format_duration(each[-1])}"
        )
        jobs = (
            f", {format_duration(estimate.seconds(estimate.jobs))} with {estimate.jobs} at once"
            if estimate.jobs > 1
            else ""
        )
        some = f" for {len(estimate.known)} of the {len(estimate.runs)} runs left" if None in estimate.costs else ""
        lines.append(
            f"time: about {format_duration(estimate.seconds(1))} one after another{jobs}{some} ({spread} a run; "
            f"{sources(estimate)})"
        )
        memory = f"memory: up to {format_size(2**20 * max(cost.memory_mib for cost in estimate.known))} a run"
        together = f", {format_size(estimate.memory_bytes)} with {estimate.jobs} at once" if estimate.jobs > 1 else ""
        lines.append(f"{memory}{together}; {format_size(memory_of_machine())} are here")
    else:
        lines.append(
            f"time: not known, as nothing of profile {profile} on these documents was computed in {runs} yet: add "
            "--calibrate, which measures a few steps"
        )
    sized = all(weight_bytes(run, cost) for run, cost in zip(estimate.runs, estimate.costs, strict=True))
    beside = "" if sized else " beside the weights, whose size is not known here,"
    lines.append(
        f"disk: about {format_size(estimate.disk_bytes())}{beside} while the last are computed; "
        f"{format_size(free_bytes(runs))} are free in {runs}"
    )
    return lines


def sources(estimate: Estimate) -> str:
    """Where the costs come from, the commonest first."""
    found = Counter(cost.source for cost in estimate.known)
    return "measured on " + ", and on ".join(source for source, _ in found.most_common())


def memory_warnings(estimate: Estimate) -> list[str]:
    """A line where the runs that are computed at once would not fit in memory."""
    needed, there = estimate.memory_bytes, memory_of_machine()
    if needed <= there:
        return []
    fit = max(1, int(estimate.jobs * there / needed))
    return [
        f"{estimate.jobs} runs at once hold up to {format_size(needed)} of memory, this machine has "
        f"{format_size(there)}: give --jobs {fit}"
        + ("" if fit < estimate.jobs else ", or a smaller training.batch_size")
    ]


def refuse_full_disk(estimate: Estimate, runs: Path) -> None:
    """Raise a UserError where the disk cannot hold the runs that are left."""
    needed, free = estimate.disk_bytes(), free_bytes(runs)
    if needed <= free:
        return
    bare = estimate.disk_bytes(weights=False)
    records = (
        f"--training.keep none keeps no weights and needs {format_size(bare)}, "
        if bare <= free and bare < needed
        else ""
    )
    raise UserError(
        f"the {len(estimate.runs)} runs left need about {format_size(needed)} on the disk, {format_size(free)} are "
        f"free in {runs}: {records}--runs DIR may lie on another disk, "
        f"`engram runs gc --runs {runs}` says what can be deleted"
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


def default_jobs(planned: Plan, devices: Sequence[str] = ()) -> int:
    """As many runs at once as there are devices, or as the processors hold at the threads that a run asks for."""
    if devices:
        return len(devices)
    threads = planned.runs[0].config.runtime.threads
    return max(1, (os.cpu_count() or 1) // threads) if threads else 1


FILE = "calibrations.json"
STEPS = 8
"""Optimiser steps that are timed."""


def calibrate(plan: Plan, runs: Path) -> list[Calibration]:
    """Measure the dearest row on every kind of documents and encoder that the plan has, and remember it."""
    grounds = Grounds()
    rows: dict[Ground, str] = {}
    for row, config in sorted(plan.configs.items(), key=lambda pair: cost_order(pair[1])):
        rows[grounds.of(config)] = row
    found = []
    for ground, row in rows.items():
        say(f"calibration: {STEPS} steps of row {row}, the dearest; no result is kept of them")
        found.append(Calibration(ground, kind_of(plan.configs[row]), row, platform.node(), measured(plan.configs[row])))
        remember(found[-1:], runs)
    return found


def cost_order(config: RunConfig) -> tuple[float, ...]:
    """What makes a run take long, the weightiest first."""
    memory = config.memory
    reads = 0
    if memory is not None and memory.warmup < 1.0:
        modes = sum(mode in memory.read_mode for mode in ("inverse", "normal"))
        reads = modes * (2 if memory.places == "both" else 1) * (2 if memory.memories == "both" else 1)
    width = (memory.slot_width or encoder_width(config.encoder) or 0) if memory is not None else 0
    return (
        config.training.batch_size,
        estimate_parameter_count(config) or 0,
        config.model.relation_head == "mrc",
        reads,
        memory.slots_per_type * width if memory is not None else 0,
        config.samples.neg_mentions + config.samples.neg_corefs + config.samples.neg_relations,
    )


def measured(config: RunConfig) -> StepCosts:
    """What a few steps of a config cost, by a process that loads torch in place of this one."""
    with tempfile.TemporaryDirectory(prefix="engram-calibration-") as folder:
        asked, answer = Path(folder) / "config.yaml", Path(folder) / "costs.json"
        asked.write_text(to_yaml(config), encoding="utf-8")
        command = [sys.executable, "-m", "core.run.timing", str(asked), str(answer), str(STEPS)]
        code = subprocess.run(command, check=False).returncode
        if code == 130:
            raise KeyboardInterrupt
        if code or not answer.is_file():
            raise UserError(
                f"the calibration ended with exit code {code}, see above: the runs would fail in the same way"
            )
        return msgspec.json.decode(answer.read_bytes(), type=StepCosts)


def remembered(runs: Path) -> list[Calibration]:
    """The calibrations beside the studies; a damaged file counts as none, as measuring again mends it."""
    try:
        return msgspec.json.decode((runs / STUDIES / FILE).read_bytes(), type=list[Calibration])
    except (OSError, msgspec.MsgspecError):
        return []


def remember(new: Iterable[Calibration], runs: Path) -> None:
    """Keep calibrations, each in place of an earlier one of the same ground, kind and machine."""
    kept = {(one.ground, one.kind, one.host): one for one in (*remembered(runs), *new)}
    make_folder(runs / STUDIES, "give a folder that is yours (--runs DIR)")
    atomic_write(runs / STUDIES / FILE, msgspec.json.format(msgspec.json.encode(list(kept.values())), indent=1) + b"\n")
