"""Runs of a W&B project as their records would be read: ids, configs, states and summaries, nothing computed.

W&B mirrors the records: its config is the resolved config, with the provenance in it; its summary has status and costs
under the names of the record, `SPLIT/TASK/MEASURE` and `SPLIT/extra/...`. What it does not have is missing here too.

Which runs of a W&B project make up a study, where its record is not on this machine: their settings say it.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec

from core.errors import UserError
from core.records.record import SCORED
from core.records.summary import KILLED, PartScores, RunSummary
from core.scoring.metrics import TASKS
from reports.frame import (
    MISSING,
    SCORES,
    Found,
    StudyResults,
    blank,
    described,
    gathered,
)
from studies.record import STUDIES, RowRuns, StudyRecord, find_study_record
from studies.study import Study, find_study

AGGREGATE_JOB_TYPES = ("aggregate", "study")
"""Job types of what W&B holds beside runs: a cell's spread, a study's table."""
STATES = {"finished": "finished", "failed": "failed"}
"""W&B's state -> ours, where a summary does not say; of all others a run was running."""
DEAD = ("crashed", "killed", "failed")
"""W&B's states of a run whose process is gone."""
BREAKDOWNS = {"distance": "by_sentence_distance", "type": "by_relation_type"}
NUMBERS = ("chosen_epoch", "chosen_reading", "steps", "seconds", "peak_memory_mib", "parameters")
"""Facts of a record that a summary may have."""


@dataclass(frozen=True)
class RemoteRun:
    """What W&B says of a run."""

    id: str
    config: Mapping[str, Any]
    summary: Mapping[str, Any]
    state: str = "finished"
    url: str = ""


def read_runs(project: str) -> Iterator[RemoteRun]:
    """The runs of `entity/project`, mirrors of several runs left out; a failure to read them is one clear line."""
    if project.count("/") != 1 or not all(project.split("/")):
        raise UserError(f"--from-wandb {project!r} is no project: write entity/project")
    import wandb  # takes longer to load than a report of records may take

    try:
        for run in wandb.Api().runs(project, per_page=500, lazy=False):
            if run.job_type not in AGGREGATE_JOB_TYPES:
                yield RemoteRun(run.id, dict(run.config), dict(run.summary_metrics or {}), run.state, run.url)
    except (wandb.errors.Error, ValueError, OSError) as error:
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise UserError(
            f"W&B project {project} cannot be read: {reason.rstrip('.')}; log in (wandb login), or give another project"
        ) from None


def load_from_wandb(study: StudyRecord, runs: Mapping[str, RemoteRun], *, split: str = "test") -> StudyResults:
    """The same frame as `reports.frame.load` gives, from W&B's runs by id; breakdowns and histories stay in records."""

    def find(cell: RowRuns, seed: int) -> Found:
        run_id = cell.runs[seed]
        if run_id not in runs:
            told = f"{run_id} is not in the W&B project"
            return Found(blank(run_id, cell.signature) | {"status": MISSING, "problem": told})
        return read_remote_run(runs[run_id], cell.signature, split)

    return gathered(study, find, split=split)


def read_remote_run(run: RemoteRun, signature: str, split: str) -> Found:
    """What W&B says of one run; a score that its summary lacks is missing and named."""
    record = record_of(run)
    facts = blank(run.id, signature) | described(record) | {"address": run.url}
    config = dict(run.config)
    if record.status not in SCORED:
        status = KILLED if record.status == "running" and run.state in DEAD else record.status
        return Found(facts | {"status": status, "problem": f"{run.id} {status} in W&B"}, config=config)
    scores = {task: {name: number(run.summary.get(f"{split}/{task}/{name}")) for name in SCORES} for task in TASKS}
    absent = [task for task in TASKS if math.isnan(scores[task]["f1"])]
    facts["problem"] = f"{run.id}: W&B has no {split} F1 of {', '.join(absent)}" if absent else ""
    facts["documents"] = value_or_none(run.summary.get(f"{split}/extra/documents"))
    parts = {kind: parts_of(run.summary, f"{split}/extra/{name}/") for kind, name in BREAKDOWNS.items()}
    return Found(facts, scores, parts, config)


def record_of(run: RemoteRun) -> RunSummary:
    """The facts of a run as its record has them, its scores aside."""
    status = run.summary.get("status", STATES.get(run.state, "running"))
    told = {name: value_or_none(run.summary.get(name)) for name in NUMBERS}
    known: dict[str, Any] = {name: value for name, value in told.items() if value is not None}
    origin = run.config.get("provenance")
    known |= {"run_id": run.id, "status": status, "config": dict(run.config), "provenance": origin}
    try:
        return msgspec.convert(known, RunSummary)
    except msgspec.ValidationError as error:
        raise UserError(f"W&B run {run.id} is no run of Engram: {error}") from None


def parts_of(summary: Mapping[str, Any], before: str) -> dict[str, PartScores]:
    """The parts of a breakdown in a summary, whose keys are `<before><name>/<measure>`; a slash in a name is %2F."""
    found: dict[str, dict[str, float]] = {}
    for key, value in summary.items():
        name, slash, measure = key.removeprefix(before).rpartition("/")
        if key.startswith(before) and slash and measure in ("f1", "tp", "fn"):
            found.setdefault(unquote(name), {})[measure] = number(value)
    return {
        name: PartScores(one["f1"], tp=int(one["tp"]), fn=int(one["fn"]))
        for name, one in found.items()
        if one.keys() == {"f1", "tp", "fn"} and not any(math.isnan(value) for value in one.values())
    }


def number(value: Any) -> float:
    """A summary's value as a number, NaN where it is none; a metric with `define_metric` is `{"max": v}`."""
    if isinstance(value, Mapping):
        value = next(iter(value.values()), None)
    known = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if known else math.nan


def value_or_none(value: Any) -> float | None:
    """A summary's value as a number, whole ones as int, None where it is none."""
    found = number(value)
    return None if math.isnan(found) else int(found) if found.is_integer() else found


def study_in_project(name: str, runs: Path, remote: Iterable[RemoteRun], *, profile: str | None) -> StudyRecord:
    """The record of a study that was run here, or one made from what the project's runs say of themselves.

    Raises a UserError where the study is known neither here nor as shipped or YAML file, where no run is of it,
    and where runs of several profiles do and none is given.
    """
    title, _, under = name.partition("@")
    title = Path(title).stem if title.endswith((".yaml", ".yml")) else title
    if any(path.name.partition("@")[0] == title for path in (runs / STUDIES).glob("*@*")):
        return find_study_record(name, runs, profile=profile)
    study = find_study(name.partition("@")[0])
    own = [run for run in remote if place_of(run, study) is not None]
    profiles = sorted({str(run.config.get("profile")) for run in own})
    profile = profile or under or (profiles[0] if len(profiles) == 1 else None)
    if not own or (profile is not None and profile not in profiles):
        raise UserError(
            f"the W&B project has no run of study {study.name!r}{f' under profile {profile!r}' if profile else ''} (it "
            f"has it under {' and '.join(profiles) or 'none'}): check study, --profile and project"
        )
    if profile is None:
        told = " and ".join(profiles)
        raise UserError(f"the W&B project has study {study.name} as {told}: say which with --profile P")
    of_profile = [run for run in own if run.config.get("profile") == profile]
    return StudyRecord(study=study, profile=profile, settings={}, row_runs=find_study_rows(study, of_profile))


def find_study_rows(study: Study, remote: Iterable[RemoteRun]) -> list[RowRuns]:
    """A cell per row: its signature in the project, of several the one with the most seeds; every seed of the study."""
    found: dict[str, dict[str, set[int]]] = {row: {} for row in study.rows}
    for run in remote:
        signature, _, seed = run.id.rpartition("-s")
        row = place_of(run, study)
        if row is not None and seed.isdigit():
            found[row].setdefault(signature, set()).add(int(seed))
    return [cell_of(row, signatures, study.seeds) for row, signatures in found.items()]


def place_of(run: RemoteRun, study: Study) -> str | None:
    """The row of the study for which a run was computed; None where it was for none of them.

    The run's settings say it as `tracking.study` and `tracking.row`, or by tags: study, then row.
    """
    tracking = run.config.get("tracking") or {}
    if tracking.get("study") and tracking.get("row"):
        of_study = str(tracking["study"]).partition("@")[0] == study.name
        return str(tracking["row"]) if of_study and tracking["row"] in study.rows else None
    tags = [tag.strip() for tag in str(tracking.get("tags") or "").split(",")]
    if study.name not in tags:
        return None
    # The row's tag follows the study's; before it stand tags of the user's own.
    after = tags[tags.index(study.name) + 1 :]
    return next((tag for tag in (*after, *tags) if tag in study.rows), None)


def cell_of(row: str, signatures: Mapping[str, set[int]], seeds: Iterable[int]) -> RowRuns:
    """The cell of one row; a row of which the project has no run is named by its runs, which are then missing."""
    signature = max(signatures, key=lambda name: len(signatures[name]), default=row)
    wanted = sorted({*seeds, *signatures.get(signature, ())})
    return RowRuns(row, signature, {seed: f"{signature}-s{seed}" for seed in wanted})
