"""A study's records -> one tidy frame: a line per row, seed and task, with all that is known of its run.

A run that has no scores keeps its lines, empty: a number that is not there is missing, never 0.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from core.errors import UserError
from core.metrics import TASKS
from core.record import CUT_OFF, SCORED, RunRecord, read_record, standing
from studies.study_record import Cell, StudyRecord

MISSING, DAMAGED = "missing", "damaged"
SCORES = ("precision", "recall", "f1", "macro_precision", "macro_recall", "macro_f1")
WHOLE = ("chosen_epoch", "parameters", "steps", "threads", "documents")


def load_study(study: StudyRecord, runs: Path, *, split: str = "test") -> pd.DataFrame:
    """The tidy frame of a study on one split, rows and seeds in the study's order.

    Columns: row, seed, split, task; the six scores of `core.metrics.TaskScores` in percent (NaN where the run has
    none); and the facts of the run, see `facts`. Raises a UserError for a finished run without scores of the split.
    """
    known: dict[str, dict[str, Any]] = {}
    lines = []
    for cell in study.cells:
        for seed, run_id in cell.runs.items():
            if run_id not in known:
                known[run_id] = facts(cell, seed, runs, split=split)
            found = known[run_id]
            for task in TASKS:
                scores = found["scores"].get(task) or dict.fromkeys(SCORES, math.nan)
                lines.append({"row": cell.row, "seed": seed, "split": split, "task": task, **scores, **found})
    frame = pd.DataFrame(lines).drop(columns="scores")
    return frame.astype(dict.fromkeys(WHOLE, "Int64"))


def facts(cell: Cell, seed: int, runs: Path, *, split: str) -> dict[str, Any]:
    """What is known of one run: status, where and with what it was computed, what it cost, and its scores.

    `status` is that of the record, or "missing" (never started), "damaged", or "cut off" (its process is gone);
    `problem` says in a line why there are no scores.
    """
    run_id = cell.runs[seed]
    folder = runs / cell.signature / f"s{seed}"
    found: dict[str, Any] = {"run": run_id, "signature": cell.signature, "folder": str(folder), "scores": {}}
    found |= dict.fromkeys(("commit", "machine", "device", "data", "packages", "preset", "address", "problem"), "")
    found |= dict.fromkeys((*WHOLE, "chosen_reading", "seconds", "peak_memory_mib", "reads", "uncommitted_changes"))
    try:
        record = read_record(folder)
    except UserError as error:
        return found | {"status": DAMAGED, "problem": str(error)}
    if record is None:
        return found | {"status": MISSING, "problem": f"{run_id} was not started"}
    if record.run_id != run_id:
        return found | {"status": DAMAGED, "problem": f"{folder} holds the record of another run, {record.run_id}"}
    found |= described(record)
    if record.status in SCORED:
        scores = checked_scores(record, split)
        return found | {"scores": scores, "documents": record.metrics[split].get("extra", {}).get("documents")}
    if standing(folder, record) == CUT_OFF:
        return found | {"status": CUT_OFF, "problem": f"{run_id} was cut off; the study goes on with it when run again"}
    return found | {"problem": reason(record)}


def described(record: RunRecord) -> dict[str, Any]:
    """The facts in a record, its scores aside."""
    config, origin = record.config, record.provenance
    memory, runtime = config.get("memory") or {}, config.get("runtime") or {}
    return {
        "status": record.status,
        "preset": config.get("preset", ""),
        "commit": (origin.commit or "") if origin else "",
        "uncommitted_changes": origin.uncommitted_changes if origin else None,
        "machine": origin.machine if origin else "",
        "packages": " ".join(f"{name}={version}" for name, version in origin.packages.items()) if origin else "",
        "data": " ".join(data_hashes(record)),
        "device": runtime.get("device", ""),
        "threads": runtime.get("threads"),
        "address": wandb_address(record),
        "reads": bool(memory) and memory.get("read_mode") != "none" and memory.get("warmup", 0.0) < 1.0,
        "chosen_epoch": record.chosen_epoch,
        "chosen_reading": record.chosen_reading,
        "steps": record.steps,
        "seconds": record.seconds,
        "peak_memory_mib": record.peak_memory_mib,
        "parameters": record.parameters,
    }


def wandb_address(record: RunRecord) -> str:
    """Where W&B shows the run; empty where it does not follow it, or the record does not say whose it is."""
    tracking = record.config.get("tracking") or {}
    if tracking.get("wandb") not in ("auto", "online") or not tracking.get("entity"):
        return ""
    return f"https://wandb.ai/{tracking['entity']}/{tracking['project']}/runs/{record.run_id}"


def data_hashes(record: RunRecord) -> Iterator[str]:
    """`train=<12 digits of the content hash>` for every file that the run read."""
    if record.provenance is None:
        return
    for part in ("train", "validation", "test", "types"):
        path = record.config.get("data", {}).get(part)
        if path in record.provenance.data:
            yield f"{part}={record.provenance.data[path][:12]}"


def checked_scores(record: RunRecord, split: str) -> dict[str, dict[str, float]]:
    """The scores of a finished run per task; a UserError where one is not there."""
    scores = record.metrics.get(split)
    if scores is None:
        has = ", ".join(record.metrics) or "none"
        raise UserError(
            f"run {record.run_id} is {record.status} but has no scores on split {split!r} (it has: {has}): "
            "give one of these with --split"
        )
    for task in TASKS:
        for name in SCORES:
            value = scores.get(task, {}).get(name)
            if not isinstance(value, int | float) or not math.isfinite(value):
                raise UserError(
                    f"run {record.run_id} is {record.status} but its {split} {name} of {task} is {value!r}: "
                    "its record was changed or is of another version; delete it and run the study again"
                )
    return {task: {name: float(scores[task][name]) for name in SCORES} for task in TASKS}


def reason(record: RunRecord) -> str:
    """Why a run has no scores: the last line of what it died of, which is the error's own."""
    lines = [line.strip() for line in (record.error or "").splitlines() if line.strip()]
    return f"{record.run_id} {record.status}{': ' + lines[-1] if lines else ''}"


def runs_of(frame: pd.DataFrame) -> pd.DataFrame:
    """One line per row and seed: the run behind it, without scores."""
    return frame.drop_duplicates(["row", "seed"]).drop(columns=["task", *SCORES]).reset_index(drop=True)
