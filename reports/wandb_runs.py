"""Runs of a W&B project as their records would be read: ids, configs, states and summaries, nothing computed.

W&B mirrors the records (`core.tracking`): config is the resolved config; the summary has `status`, `SPLIT/TASK/MEASURE`
and the run's costs under the names of the record. What it does not have is missing here too.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast, get_args

import msgspec

from core.errors import UserError
from core.metrics import TASKS
from core.record import CUT_OFF, SCORED, Status
from reports.load import MISSING, SCORES, Found, Loaded, blank, gathered, seed_means
from reports.partial_record import Settings
from studies.study_record import Cell, StudyRecord

MIRRORS = ("aggregate", "study")
"""Job types of what W&B holds beside runs: a cell's spread, a study's table."""
STATES = {"running": "running", "finished": "finished", "failed": "failed", "crashed": CUT_OFF, "killed": CUT_OFF}
"""W&B's state -> ours, where a summary does not say."""
NUMBERS = ("chosen_epoch", "chosen_reading", "steps", "seconds", "peak_memory_mib", "parameters")
"""Facts of a record that a summary may have."""


@dataclass(frozen=True)
class RemoteRun:
    """What W&B says of a run."""

    id: str
    config: Mapping[str, Any]
    summary: Mapping[str, Any]
    state: str = "finished"
    group: str = ""
    job_type: str = "train"
    tags: tuple[str, ...] = field(default=())
    url: str = ""


def read_runs(project: str, *, api: Callable[[], Any] | None = None) -> Iterator[RemoteRun]:
    """The runs of `entity/project`, mirrors of several runs left out; a failure to read them is one clear line."""
    if project.count("/") != 1 or not all(project.split("/")):
        raise UserError(f"--from-wandb {project!r} is no project: write entity/project")
    import wandb  # takes longer to load than a report of records may take

    try:
        found = (api or wandb.Api)().runs(project, per_page=500, lazy=False)
        for run in found:
            if run.job_type not in MIRRORS:
                yield RemoteRun(
                    id=run.id,
                    config=dict(run.config),
                    summary=dict(run.summary_metrics or {}),
                    state=run.state,
                    group=run.group or "",
                    job_type=run.job_type or "",
                    tags=tuple(run.tags or ()),
                    url=run.url,
                )
    except (wandb.errors.Error, ValueError, OSError) as error:
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise UserError(
            f"W&B project {project} cannot be read: {reason}; log in (wandb login), or check the name of the project"
        ) from None


def load_runs(study: StudyRecord, runs: Mapping[str, RemoteRun], *, split: str = "test") -> Loaded:
    """The same frame as `reports.load.load` gives, from W&B's runs by id; breakdowns and histories stay in records."""

    def find(cell: Cell, seed: int) -> Found:
        run_id = cell.runs[seed]
        if run_id not in runs:
            told = f"{run_id} is not in the W&B project"
            return Found(blank(run_id, cell.signature) | {"status": MISSING, "problem": told})
        return found_of(runs[run_id], cell.signature, split)

    return gathered(study, find, split=split)


def found_of(run: RemoteRun, signature: str, split: str) -> Found:
    """What W&B says of one run; a score that its summary lacks is missing and named."""
    facts = blank(run.id, signature) | described(run)
    config = dict(run.config)
    if facts["status"] not in SCORED:
        return Found(facts | {"problem": f"{run.id} {facts['status']} in W&B"}, config=config)
    scores = {task: {name: number(run.summary.get(f"{split}/{task}/{name}")) for name in SCORES} for task in TASKS}
    absent = [task for task in TASKS if math.isnan(scores[task]["f1"])]
    problem = f"{run.id}: W&B has no {split} F1 of {', '.join(absent)}" if absent else ""
    return Found(facts | {"problem": problem}, scores, config=config)


def described(run: RemoteRun) -> dict[str, Any]:
    """The facts of a run in W&B."""
    status = run.summary.get("status", STATES.get(run.state, run.state))
    settings = msgspec.convert(dict(run.config), Settings)
    memory = settings.memory
    facts: dict[str, Any] = {
        "status": cast(Status, status) if status in get_args(Status) else str(status),
        "preset": settings.preset,
        "address": run.url,
        "commit": str(run.summary.get("commit") or ""),
        "seed_means": seed_means(settings.data, ""),
        "device": settings.runtime.device,
        "threads": settings.runtime.threads,
        "reads": memory is not None and memory.read_mode != "none" and memory.warmup < 1.0,
    }
    return facts | {name: value_or_none(run.summary.get(name)) for name in NUMBERS}


def number(value: Any) -> float:
    """A summary's value as a number, NaN where it is none; a metric with `define_metric` is `{"max": v}`."""
    if isinstance(value, Mapping):
        value = next(iter(value.values()), None)
    known = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if known else math.nan


def value_or_none(value: Any) -> float | None:
    """A summary's value as a number, None where it is none."""
    found = number(value)
    return None if math.isnan(found) else found
