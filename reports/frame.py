"""Frame of a study's results: a line per row, seed and task, with the facts of its run; and what else reports read.

A run that has no scores keeps its lines, empty: a number that is not there is missing, never 0.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd

from core.errors import UserError
from core.progress import progress_bar
from core.records.provenance import Provenance
from core.records.record import read_record
from core.records.summary import DAMAGED, KILLED, PartScores, RunSummary, TrackingSettings, read_summary
from core.scoring.metrics import TASKS
from studies.record import RowRuns, StudyRecord
from studies.search.trials import SearchRecord

SCORES = ("precision", "recall", "f1", "macro_precision", "macro_recall", "macro_f1")
FILES = ("train", "validation", "test", "types")
MAX_ROWS_WITH_TYPES = 6
"""Rows whose scores per relation type fit side by side; of more rows they are not read."""
WHOLE_NUMBERS = ("chosen_epoch", "parameters", "steps", "threads", "documents")


@dataclass(frozen=True)
class RunResult:
    """One run: facts for the frame, scores per task, breakdowns of strict relation scores, and its config."""

    facts: dict[str, Any]
    scores: dict[str, dict[str, float]] = field(default_factory=dict)
    breakdowns: dict[str, dict[str, PartScores]] = field(default_factory=dict)
    """Kind of breakdown (distance, type) -> name -> strict relation scores."""
    config: dict[str, Any] | None = None


@dataclass(frozen=True)
class ReportData:
    """A study and its results, each run read once: everything that tables and figures are made of."""

    study: StudyRecord
    frame: pd.DataFrame
    """A line per row, seed and task, see `collect`; `folder` is the run's, where it has one."""
    breakdowns: Mapping[str, Mapping[str, Mapping[str, PartScores]]] = field(default_factory=dict)
    """Run id -> kind of breakdown (distance, type) -> name -> strict relation scores; scored runs only."""
    configs: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    """Row -> the resolved config of its first run that has a record."""
    compared: pd.DataFrame = field(default_factory=lambda: pd.DataFrame({"row": []}))
    """The differences to the baselines, see `reports.baseline_differences.compare_to_baselines`."""
    search: SearchRecord | None = None
    """The trials that chose a row, where the study is a search."""


def load_study(study: StudyRecord, runs: Path, *, split: str = "test") -> ReportData:
    """Read a study's records; scores are those of one split. `compared` and `search` are the caller's to add.

    Raises a UserError for a finished run without scores of the split.
    """
    with_types = len(study.row_runs) <= MAX_ROWS_WITH_TYPES
    with_config: set[str] = set()

    def read(row: RowRuns, seed: int) -> RunResult:
        result = read_run(row, seed, runs, split=split, types=with_types, config=row.row not in with_config)
        if result.config is not None:
            with_config.add(row.row)
        return result

    with progress_bar("records", sum(len(row.runs) for row in study.row_runs)) as progress:
        return collect(study, read, split=split, advance=progress.advance)


def collect(
    study: StudyRecord,
    read: Callable[[RowRuns, int], RunResult],
    *,
    split: str,
    advance: Callable[[], None] = lambda: None,
) -> ReportData:
    """The results of a study from its runs as `read` gives them by row and seed, in the study's order.

    The frame has the columns row, seed, split, task; the six scores of `core.scoring.metrics.TaskScores` in percent
    (NaN where the run has none); and the facts of the run, see `unknown_facts` and `known_facts`.
    """
    results: dict[str, RunResult] = {}
    configs: dict[str, dict[str, Any]] = {}
    lines, scores = [], []
    no_scores = dict.fromkeys(SCORES, math.nan)
    for row in study.row_runs:
        for seed, run_id in row.runs.items():
            if run_id not in results:
                results[run_id] = read(row, seed)
            result = results[run_id]
            if result.config is not None:
                configs.setdefault(row.row, result.config)
            lines.append({"row": row.row, "seed": seed, "split": split, **result.facts})
            scores += [list(result.scores.get(task, no_scores).values()) for task in TASKS]
            advance()
    facts = pd.DataFrame(lines).astype(dict.fromkeys(WHOLE_NUMBERS, "Int64"))
    frame = facts.loc[facts.index.repeat(len(TASKS))].reset_index(drop=True)
    frame.insert(3, "task", list(TASKS) * len(facts))
    for position, name in enumerate(SCORES):
        frame.insert(4 + position, name, [values[position] for values in scores])
    breakdowns = {run_id: result.breakdowns for run_id, result in results.items() if result.scores}
    return ReportData(study, frame, breakdowns, configs)


def run_facts(frame: pd.DataFrame) -> pd.DataFrame:
    """One line per row and seed: the run behind it, without scores."""
    return frame.drop_duplicates(["row", "seed"]).drop(columns=["task", *SCORES]).reset_index(drop=True)


def read_run(row: RowRuns, seed: int, runs: Path, *, split: str, types: bool, config: bool) -> RunResult:
    """The result of a run from its folder; `types` and `config` are read only where they are asked for.

    `status` is that of its summary; `problem` says in a line why there are no scores.
    """
    run_id = row.runs[seed]
    folder = runs / row.signature / f"s{seed}"
    facts = unknown_facts(run_id, row.signature) | {"folder": str(folder)}
    summary = read_summary(folder)
    if summary.status == DAMAGED:
        return RunResult(facts | {"status": DAMAGED, "problem": summary.error})
    if not summary.run_id:
        problem = f"{run_id} was not started" if summary.status != "running" else f"{run_id} is running"
        return RunResult(facts | {"status": summary.status, "problem": problem})
    if summary.run_id != run_id:
        problem = f"{folder} holds the record of another run, {summary.run_id}"
        return RunResult(facts | {"status": DAMAGED, "problem": problem})
    facts |= known_facts(summary)
    record = read_record(folder) if config or types else None
    settings = record.config if record is not None and config else None
    if not summary.is_done:
        resumed = f"{run_id} was killed; the study resumes it when it is run again"
        problem = resumed if summary.status == KILLED else describe_failure(summary)
        return RunResult(facts | {"problem": problem}, config=settings)
    scores = check_scores(summary, split)
    extra = summary.metrics[split].extra
    breakdowns = {"distance": extra.by_sentence_distance}
    if record is not None and types:
        by_type = record.metrics[split].get("extra", {}).get("by_relation_type", {})
        breakdowns["type"] = msgspec.convert(by_type, dict[str, PartScores])
    return RunResult(facts | {"documents": extra.documents}, scores, breakdowns, settings)


def unknown_facts(run_id: str, signature: str) -> dict[str, Any]:
    """The facts of a run of which nothing is known but its name."""
    texts = ("folder", "commit", "machine", "device", "data", "seed_means", "packages", "preset", "address", "problem")
    others = (*WHOLE_NUMBERS, "chosen_reading", "seconds", "peak_memory_mib", "reads", "uncommitted_changes")
    return {"run": run_id, "signature": signature} | dict.fromkeys(texts, "") | dict.fromkeys(others)


def known_facts(run: RunSummary) -> dict[str, Any]:
    """The facts in a run's record, its scores aside."""
    settings, origin = run.config, run.provenance
    memory, data = settings.memory, " ".join(data_hashes(settings.data, origin))
    copied = ("status", "chosen_epoch", "chosen_reading", "steps", "seconds", "peak_memory_mib", "parameters")
    facts = {name: getattr(run, name) for name in copied} | {
        "preset": settings.preset,
        "data": data,
        "seed_means": describe_seed(settings.data, data),
        "device": settings.runtime.device,
        "threads": settings.runtime.threads,
        "address": wandb_address(run.run_id, settings.tracking),
        "reads": memory is not None and memory.read_mode != "none" and memory.warmup < 1.0,
    }
    if origin is not None:
        packages = " ".join(f"{name}={version}" for name, version in origin.packages.items())
        facts |= {"commit": origin.commit or "", "machine": origin.machine, "packages": packages}
        facts |= {"uncommitted_changes": origin.uncommitted_changes}
    return facts


def wandb_address(run_id: str, tracking: TrackingSettings) -> str:
    """Where W&B shows the run; empty where it does not follow it, or the record does not name the entity."""
    if tracking.wandb not in ("auto", "online") or not tracking.entity:
        return ""
    return f"https://wandb.ai/{tracking.entity}/{tracking.project}/runs/{run_id}"


def data_hashes(data: Mapping[str, Any], origin: Provenance | None) -> Iterator[str]:
    """`train=<12 digits of the content hash>` for every file that the run read."""
    hashes = origin.data if origin is not None else {}
    for name in FILES:
        path = data.get(name)
        if path in hashes:
            yield f"{name}={hashes[path][:12]}"


def describe_seed(data: Mapping[str, Any], hashes: str) -> str:
    """What a seed stands for in a run: the documents that are split and put in order by it, and how.

    Two runs of one seed are a pair only where this is equal: the order is keyed by seed and epoch alone.
    """
    files = hashes or " ".join(f"{name}={data.get(name)}" for name in FILES)
    idle = (*FILES, "name", "surface", *(["validation_share"] if data.get("validation") else ()))
    others = {name: value for name, value in data.items() if name not in idle}
    return f"{files} {json.dumps(others, sort_keys=True)}"


def check_scores(run: RunSummary, split: str) -> dict[str, dict[str, float]]:
    """The scores of a finished run per task; a UserError where a score is not there."""
    if split not in run.metrics:
        raise UserError(
            f"run {run.run_id} is {run.status} but has no scores on split {split!r} (it has: "
            f"{', '.join(run.metrics) or 'none'}): give one of these with --split"
        )
    scores = {task: {name: getattr(getattr(run.metrics[split], task), name) for name in SCORES} for task in TASKS}
    for task, of_task in scores.items():
        for name, value in of_task.items():
            if value is None:
                raise UserError(
                    f"run {run.run_id} is {run.status} but its {split} {name} of {task} is {value!r}: its record was "
                    "changed or is of another version; delete it and run the study again"
                )
    return scores


def describe_failure(run: RunSummary) -> str:
    """Why a run has no scores: its status, and the last line of its error, which is the error's own."""
    lines = [line.strip() for line in (run.error or "").splitlines() if line.strip()]
    return f"{run.run_id} {run.status}{': ' + lines[-1] if lines else ''}"
