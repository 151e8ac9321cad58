"""A study's records -> one tidy frame: a line per row, seed and task, with all that is known of its run.

A run that has no scores keeps its lines, empty: a number that is not there is missing, never 0.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from core.errors import UserError
from core.progress import meter
from core.records.provenance import Provenance
from core.records.summary import DAMAGED, KILLED, PartScores, RunSummary, TrackingSettings, read_details, read_summary
from core.scoring.metrics import TASKS
from studies.record import RowRuns, StudyRecord

MISSING = "missing"
SCORES = ("precision", "recall", "f1", "macro_precision", "macro_recall", "macro_f1")
FILES = ("train", "validation", "test", "types")
KINDS = ("distance", "type")
"""Breakdowns of strict relation scores."""
MOST_ROWS = 6
"""Rows of a study whose scores per relation type fit side by side; of more rows they are not read."""
WHOLE = ("chosen_epoch", "parameters", "steps", "threads", "documents")


@dataclass(frozen=True)
class Found:
    """What is known of one run: facts for the frame, scores per task, breakdowns, and its settings."""

    facts: dict[str, Any]
    scores: dict[str, dict[str, float]] = field(default_factory=dict)
    parts: dict[str, dict[str, PartScores]] = field(default_factory=dict)
    """Kind of breakdown (distance, type) -> name -> strict relation scores."""
    config: dict[str, Any] | None = None


@dataclass(frozen=True)
class StudyResults:
    """A study's runs, each read once: the tidy frame, the breakdowns, and the settings of each row."""

    frame: pd.DataFrame
    parts: dict[str, dict[str, dict[str, PartScores]]]
    """Run id -> kind of breakdown -> name -> strict relation scores of the run; scored runs only."""
    configs: dict[str, dict[str, Any]]
    """Row -> the resolved config of its first run that has a record."""


def load_frame(study: StudyRecord, runs: Path, *, split: str = "test") -> pd.DataFrame:
    """The tidy frame of a study on one split alone, see `load`."""
    return load(study, runs, split=split).frame


def load(study: StudyRecord, runs: Path, *, split: str = "test") -> StudyResults:
    """Read a study's records; scores are those of one split.

    Raises a UserError for a finished run without scores of the split.
    """
    kinds = KINDS if len(study.row_runs) <= MOST_ROWS else KINDS[:1]
    with_config: set[str] = set()

    def find(cell: RowRuns, seed: int) -> Found:
        found = find_run(cell, seed, runs, split=split, kinds=kinds, config=cell.row not in with_config)
        if found.config is not None:
            with_config.add(cell.row)
        return found

    with meter("records", sum(len(cell.runs) for cell in study.row_runs)) as read:
        return gathered(study, find, split=split, advance=read.advance)


def gathered(
    study: StudyRecord,
    find: Callable[[RowRuns, int], Found],
    *,
    split: str,
    advance: Callable[[], None] = lambda: None,
) -> StudyResults:
    """The runs of a study as `find` finds them, rows and seeds in the study's order.

    The frame has the columns row, seed, split, task; the six scores of `core.scoring.metrics.TaskScores` in percent
    (NaN where the run has none); and the facts of the run, see `blank` and `described`.
    """
    known: dict[str, Found] = {}
    configs: dict[str, dict[str, Any]] = {}
    lines, scores = [], []
    none = [math.nan] * len(SCORES)
    for cell in study.row_runs:
        for seed, run_id in cell.runs.items():
            if run_id not in known:
                known[run_id] = find(cell, seed)
            found = known[run_id]
            if found.config is not None:
                configs.setdefault(cell.row, found.config)
            lines.append({"row": cell.row, "seed": seed, "split": split, **found.facts})
            for task in TASKS:
                of_task = found.scores.get(task)
                scores.append([of_task[name] for name in SCORES] if of_task else none)
            advance()
    facts = pd.DataFrame(lines).astype(dict.fromkeys(WHOLE, "Int64"))
    frame = facts.loc[facts.index.repeat(len(TASKS))].reset_index(drop=True)
    frame.insert(3, "task", list(TASKS) * len(facts))
    for place, name in enumerate(SCORES):
        frame.insert(4 + place, name, [line[place] for line in scores])
    parts = {run_id: found.parts for run_id, found in known.items() if found.scores}
    return StudyResults(frame, parts, configs)


def find_run(cell: RowRuns, seed: int, runs: Path, *, split: str, kinds: Sequence[str], config: bool) -> Found:
    """What the folder of a run says of it.

    `status` is that of its summary, "missing" where it was never started; `problem` says in a line why there are no
    scores.
    """
    run_id = cell.runs[seed]
    folder = runs / cell.signature / f"s{seed}"
    facts = blank(run_id, cell.signature) | {"folder": str(folder)}
    summary = read_summary(folder)
    if summary.status == DAMAGED:
        return Found(facts | {"status": DAMAGED, "problem": summary.error})
    if not summary.run_id:
        return Found(facts | {"status": MISSING, "problem": f"{run_id} was not started"})
    if summary.run_id != run_id:
        problem = f"{folder} holds the record of another run, {summary.run_id}"
        return Found(facts | {"status": DAMAGED, "problem": problem})
    facts |= described(summary)
    settings, types = read_details(folder, split) if config or "type" in kinds else (None, {})
    settings = settings if config else None
    if not summary.is_done:
        resumed = f"{run_id} was killed; the study resumes it when it is run again"
        return Found(facts | {"problem": resumed if summary.status == KILLED else reason(summary)}, config=settings)
    scores = check_scores(summary, split)
    extra = summary.metrics[split].extra
    parts = {"distance": extra.by_sentence_distance, "type": types}
    return Found(facts | {"documents": extra.documents}, scores, {kind: parts[kind] for kind in kinds}, settings)


def blank(run_id: str, signature: str) -> dict[str, Any]:
    """The facts of a run of which nothing is known but its name."""
    texts = ("folder", "commit", "machine", "device", "data", "seed_means", "packages", "preset", "address", "problem")
    others = (*WHOLE, "chosen_reading", "seconds", "peak_memory_mib", "reads", "uncommitted_changes")
    return {"run": run_id, "signature": signature} | dict.fromkeys(texts, "") | dict.fromkeys(others)


def described(record: RunSummary) -> dict[str, Any]:
    """The facts in a record, its scores aside."""
    settings, origin = record.config, record.provenance
    memory, data = settings.memory, " ".join(data_hashes(settings.data, origin))
    return {
        "status": record.status,
        "preset": settings.preset,
        "commit": (origin.commit or "") if origin else "",
        "uncommitted_changes": origin.uncommitted_changes if origin else None,
        "machine": origin.machine if origin else "",
        "packages": " ".join(f"{name}={version}" for name, version in origin.packages.items()) if origin else "",
        "data": data,
        "seed_means": seed_means(settings.data, data),
        "device": settings.runtime.device,
        "threads": settings.runtime.threads,
        "address": wandb_address(record.run_id, settings.tracking),
        "reads": memory is not None and memory.read_mode != "none" and memory.warmup < 1.0,
        "chosen_epoch": record.chosen_epoch,
        "chosen_reading": record.chosen_reading,
        "steps": record.steps,
        "seconds": record.seconds,
        "peak_memory_mib": record.peak_memory_mib,
        "parameters": record.parameters,
    }


def wandb_address(run_id: str, tracking: TrackingSettings) -> str:
    """Where W&B shows the run; empty where it does not follow it, or the record does not say whose it is."""
    if tracking.wandb not in ("auto", "online") or not tracking.entity:
        return ""
    return f"https://wandb.ai/{tracking.entity}/{tracking.project}/runs/{run_id}"


def data_hashes(data: Mapping[str, Any], origin: Provenance | None) -> Iterator[str]:
    """`train=<12 digits of the content hash>` for every file that the run read."""
    known = origin.data if origin is not None else {}
    for part in FILES:
        path = data.get(part)
        if path in known:
            yield f"{part}={known[path][:12]}"


def seed_means(data: Mapping[str, Any], hashes: str) -> str:
    """What a seed stands for in a run: the documents that are split and put in order by it, and how.

    Two runs of one seed are a pair only where this is equal: the order is keyed by seed and epoch alone.
    """
    files = hashes or " ".join(f"{part}={data.get(part)}" for part in FILES)
    idle = (*FILES, "name", "surface", *(["validation_share"] if data.get("validation") else ()))
    how = {name: value for name, value in data.items() if name not in idle}
    return f"{files} {json.dumps(how, sort_keys=True)}"


def check_scores(record: RunSummary, split: str) -> dict[str, dict[str, float]]:
    """The scores of a finished run per task; a UserError where a score is not there."""
    if split not in record.metrics:
        has = ", ".join(record.metrics) or "none"
        raise UserError(
            f"run {record.run_id} is {record.status} but has no scores on split {split!r} (it has: {has}): "
            "give one of these with --split"
        )
    scores: dict[str, dict[str, float]] = {task: {} for task in TASKS}
    for task in TASKS:
        for name in SCORES:
            value = getattr(getattr(record.metrics[split], task), name)
            if value is None:
                raise UserError(
                    f"run {record.run_id} is {record.status} but its {split} {name} of {task} is {value!r}: "
                    "its record was changed or is of another version; delete it and run the study again"
                )
            scores[task][name] = value
    return scores


def reason(record: RunSummary) -> str:
    """Why a run has no scores: the last line of what it died of, which is the error's own."""
    lines = [line.strip() for line in (record.error or "").splitlines() if line.strip()]
    return f"{record.run_id} {record.status}{': ' + lines[-1] if lines else ''}"


def run_facts(frame: pd.DataFrame) -> pd.DataFrame:
    """One line per row and seed: the run behind it, without scores."""
    return frame.drop_duplicates(["row", "seed"]).drop(columns=["task", *SCORES]).reset_index(drop=True)
