"""W&B as the source of a report: runs of a project read as their records would be, nothing computed.

W&B mirrors the records: its config is the resolved config, with the provenance in it; its summary has status and costs
under the names of the record, `SPLIT/TASK/MEASURE` and `SPLIT/extra/...`. What it does not have is missing here too.
"""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import unquote

import msgspec

from core.errors import UserError, first_line
from core.records.record import SCORED
from core.records.summary import KILLED, PartScores, RunSummary
from core.records.wandb_run import TABLE
from core.scoring.metrics import TASKS
from reports.frame import MAX_ROWS_WITH_TYPES, ReportData, collect
from reports.run_results import BREAKDOWNS, COSTS, SCORES, RunResult, known_facts, unknown_facts
from studies.record import STUDIES, RowRuns, StudyRecord, find_study_record
from studies.study import Study, find_study

AGGREGATE_JOB_TYPES = ("aggregate", "study")
"""Job types of what W&B holds next to runs: a row's mean and std, a study's table."""
DEAD = ("crashed", "killed", "failed")
"""W&B's states of a run whose process ended without a last status."""


Table = list[dict[str, Any]]


def read_no_table(key: str) -> Table:
    """The table of a run that has none."""
    return []


@dataclass(frozen=True)
class RemoteRun:
    """A run as W&B has it."""

    id: str
    """Its run id in Engram, whatever W&B's own is."""
    config: Mapping[str, Any]
    summary: Mapping[str, Any]
    state: str = "finished"
    url: str = ""
    read_table: Callable[[str], Table] = read_no_table
    """The rows of the table of a summary's key, by column; empty where there is none."""


def read_project(project: str) -> Iterator[RemoteRun]:
    """The runs of `entity/project` without the aggregates of several; a failure to read them is one clear line."""
    if project.count("/") != 1 or not all(project.split("/")):
        raise UserError(f"--from-wandb {project!r} is not a project: write entity/project")
    import wandb  # takes longer to load than a report of records may take

    try:
        for run in wandb.Api().runs(project, per_page=500, lazy=False):
            if run.job_type not in AGGREGATE_JOB_TYPES:
                config, summary = dict(run.config), dict(run.summary_metrics or {})
                run_id = str(config.get("run_id") or run.id)
                yield RemoteRun(run_id, config, summary, run.state, run.url, partial(read_remote_table, run))
    except (wandb.errors.Error, ValueError, OSError) as error:
        raise UserError(
            f"W&B project {project} cannot be read: {first_line(error)}; log in (wandb login), or give another project"
        ) from None


def read_remote_table(run: Any, key: str) -> Table:
    """The rows of a table of a W&B run, by column; empty where it has none."""
    entry = (run.summary_metrics or {}).get(key)
    if not isinstance(entry, Mapping) or "path" not in entry:
        return []
    with TemporaryDirectory() as folder, run.file(entry["path"]).download(root=folder) as file:
        table = json.load(file)
    return [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]


def load_from_wandb(study: StudyRecord, runs: Mapping[str, RemoteRun], *, split: str = "test") -> ReportData:
    """What `reports.frame.load_study` gives, from W&B's runs by id; histories and predictions stay in run folders."""

    types = len(study.row_runs) <= MAX_ROWS_WITH_TYPES

    def read(row: RowRuns, seed: int, config: bool) -> RunResult:
        run_id = row.runs[seed]
        if run_id in runs:
            return read_remote_run(runs[run_id], row.signature, split, types=types)
        missing = {"status": "missing", "problem": f"{run_id} is not in the W&B project"}
        return RunResult(unknown_facts(run_id, row.signature) | missing)

    return collect(study, read, split=split)


def read_remote_run(run: RemoteRun, signature: str, split: str, *, types: bool) -> RunResult:
    """The result of one run; a score that its summary lacks is missing, and `problem` names the task.

    `types`: whether its scores per relation type are read, from a table, in earlier releases from the summary.
    """
    status = run.summary.get("status", "finished" if run.state == "finished" else "running")
    if status == "running" and run.state in DEAD:
        status = KILLED
    costs = {name: number for name in COSTS if (number := read_number(run.summary.get(name))) is not None}
    record = {"run_id": run.id, "status": status, "config": run.config, "provenance": read_provenance(run.config)}
    record["memory_use"] = read_tree(run.summary, "memory_use/") or None
    try:
        known = msgspec.convert(record | costs, RunSummary)
    except msgspec.ValidationError as error:
        raise UserError(f"W&B run {run.id} is not a run of Engram: {error}") from None
    facts = unknown_facts(run.id, signature) | known_facts(known) | {"address": run.url}
    if status not in SCORED:
        return RunResult(facts | {"problem": f"{run.id}: {status} in W&B"}, config=dict(run.config))
    scores = {task: {name: read_number(run.summary.get(f"{split}/{task}/{name}")) for name in SCORES} for task in TASKS}
    absent = ", ".join(task for task in TASKS if scores[task]["f1"] is None)
    facts["problem"] = f"{run.id}: W&B has no {split} F1 of {absent}" if absent else ""
    facts["documents"] = read_number(run.summary.get(f"{split}/extra/documents"))
    breakdowns = {kind: read_breakdown(run.summary, f"{split}/extra/{name}/") for kind, name in BREAKDOWNS.items()}
    if types and not breakdowns["type"]:
        table = run.read_table(f"{split}/types{TABLE}")
        breakdowns["type"] = {row["type"]: PartScores(row["f1"], tp=row["tp"], fn=row["fn"]) for row in table}
    names = {kind: dict(pairs) for kind, pairs in run.config.get("type_names", {}).items()}
    return RunResult(facts, scores, breakdowns, dict(run.config), names, known.memory_use)


def read_provenance(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """The provenance in W&B's config, the hashes by the paths of the files again, as records have them."""
    provenance, data = config.get("provenance"), config.get("data") or {}
    if not provenance:
        return None
    hashes = (provenance.get("data") or {}).items()
    return {**provenance, "data": {data.get(role) or role: digest for role, digest in hashes}}


def read_tree(summary: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """The numbers of a summary under a prefix, nested as the path of their keys says; a slash in a name is %2F."""
    tree: dict[str, Any] = {}
    for key, value in summary.items():
        if key.startswith(prefix) and (number := read_number(value)) is not None:
            *path, name = map(unquote, key.removeprefix(prefix).split("/"))
            branch = tree
            for step in path:
                branch = branch.setdefault(step, {})
            branch[name] = number
    return tree


def read_breakdown(summary: Mapping[str, Any], prefix: str) -> dict[str, PartScores]:
    """The scores in a summary whose keys are `<prefix><name>/<measure>`; names that lack one are left out."""
    return {
        name: PartScores(scores["f1"], tp=int(scores["tp"]), fn=int(scores["fn"]))
        for name, scores in read_tree(summary, prefix).items()
        if {"f1", "tp", "fn"} <= scores.keys()
    }


def read_number(value: Any) -> float | None:
    """A summary's value as a number, whole ones as int, None where it is none.

    A metric with `define_metric` is `{"max": v}`.
    """
    if isinstance(value, Mapping):
        value = next(iter(value.values()), None)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return int(value) if value == int(value) else value


def find_study_in_project(name: str, runs: Path, remote: Iterable[RemoteRun], *, profile: str | None) -> StudyRecord:
    """The record of a study that was run here, or one made from the project's runs, which name their study and row.

    Raises a UserError where the study is known neither here nor as shipped or YAML file, and where the project does not
    have it under one profile, or under the one that is given.
    """
    path, _, named_profile = name.partition("@")
    title = Path(path).stem if path.endswith((".yaml", ".yml")) else path
    if any(folder.name.partition("@")[0] == title for folder in (runs / STUDIES).glob("*@*")):
        return find_study_record(name, runs, profile=profile)
    study = find_study(path)
    own = [(run, row) for run in remote if (row := find_row(run, study)) is not None]
    profiles = sorted({str(run.config.get("profile")) for run, _ in own})
    profile = profile or named_profile or (profiles[0] if len(profiles) == 1 else None)
    if profile is None or profile not in profiles:
        raise UserError(
            f"the W&B project has runs of study {study.name!r} under {' and '.join(profiles) or 'no profile'}: check "
            "study and project, or choose one with --profile P"
        )
    seeds: dict[str, dict[str, set[int]]] = {row: {} for row, entry in study.rows.items() if not entry.predictions}
    for run, row in own:
        signature, _, seed = run.id.rpartition("-s")
        if seed.isdigit() and run.config.get("profile") == profile:
            seeds[row].setdefault(signature, set()).add(int(seed))
    row_runs = [build_row_runs(row, signatures, study.seeds) for row, signatures in seeds.items()]
    return StudyRecord(study=study, profile=profile, settings={}, row_runs=row_runs)


def find_row(run: RemoteRun, study: Study) -> str | None:
    """The row of the study for which a run was computed, as its settings name it; None where it is not of the study."""
    names = run.config if "study" in run.config else run.config.get("tracking") or {}
    row, of_study = names.get("row"), str(names.get("study")).partition("@")[0] == study.name
    return str(row) if of_study and row in study.rows and not study.rows[row].predictions else None


def build_row_runs(row: str, signatures: Mapping[str, set[int]], seeds: Iterable[int]) -> RowRuns:
    """The runs of one row: of several signatures the one with the most seeds; every seed of the study.

    A row of which the project has no run is named by its runs, which are then missing.
    """
    signature = max(signatures, key=lambda name: len(signatures[name]), default=row)
    all_seeds = sorted({*seeds, *signatures.get(signature, ())})
    return RowRuns(row, signature, {seed: f"{signature}-s{seed}" for seed in all_seeds})
