"""Result of one run as a report needs it: facts, scores per task, breakdowns, and why it has no scores."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from core.errors import UserError
from core.files import content_hash
from core.records.memory_use import MemoryUse
from core.records.provenance import Provenance
from core.records.record import read_record
from core.records.summary import (
    DAMAGED,
    KILLED,
    WAITING,
    PartScores,
    RunSummary,
    TaskSummary,
    read_summary,
)
from core.scoring.metrics import TASKS, score
from reports.compare_inputs import read_prediction_file
from studies.record import RowRuns
from studies.study import EXTERNAL, Study

SCORES = TaskSummary.__struct_fields__
COSTS = ("chosen_epoch", "chosen_reading", "steps", "seconds", "peak_memory_mib", "parameters")
"""Fields of a record that are facts of a run under the same name."""
BREAKDOWNS = {"distance": "by_sentence_distance", "type": "by_relation_type"}
"""Kind of breakdown -> its name in the scores beyond the tasks."""
FILES = ("train", "validation", "test", "types")
WHOLE_NUMBERS = ("chosen_epoch", "parameters", "steps", "threads", "documents")


@dataclass(frozen=True)
class RunResult:
    """One run: facts, scores per task, breakdowns of strict relation scores, config, type names, and memory use."""

    facts: dict[str, Any]
    scores: dict[str, dict[str, float | None]] = field(default_factory=dict)
    breakdowns: dict[str, dict[str, PartScores]] = field(default_factory=dict)
    """Kind of breakdown (distance, type) -> name -> strict relation scores."""
    config: dict[str, Any] | None = None
    type_names: dict[str, dict[str, str]] = field(default_factory=dict)
    """As in the record; empty where the record was not read."""
    memory_use: MemoryUse | None = None


def read_run(row: RowRuns, seed: int, config: bool, *, runs: Path, split: str, types: bool) -> RunResult:
    """The result of a run from its folder; `types` and `config` are read only where they are asked for.

    `status` is that of its summary; `problem` says in a line why there are no scores.
    """
    run_id = row.runs[seed]
    folder = runs / row.signature / f"s{seed}"
    facts = unknown_facts(run_id, row.signature) | {"folder": str(folder)}
    summary = read_summary(folder)
    if summary.run_id not in ("", run_id):
        problem = f"{folder} holds the record of another run, {summary.run_id}"
        return RunResult(facts | {"status": DAMAGED, "problem": problem})
    if not summary.is_done:
        facts["problem"] = describe_problem(summary, run_id)
    if not summary.run_id:
        return RunResult(facts | {"status": summary.status})
    facts |= known_facts(summary)
    record = read_record(folder) if config or types else None
    settings = record.config if record is not None and config else None
    names = record.type_names if record is not None else {}
    if not summary.is_done:
        return RunResult(facts, config=settings, type_names=names)
    scores = check_scores(summary, split)
    extra = summary.metrics[split].extra
    breakdowns = {"distance": extra.by_sentence_distance}
    if record is not None and types:
        by_type = record.metrics[split].get("extra", {}).get(BREAKDOWNS["type"], {})
        breakdowns["type"] = msgspec.convert(by_type, dict[str, PartScores])
    facts |= {"documents": extra.documents}
    return RunResult(facts, scores, breakdowns, settings, names, summary.memory_use)


def read_external(study: Study, row: str, seed: int) -> RunResult:
    """The result of an external row's prediction file on the row's gold; a UserError names a file that does not fit."""
    path, gold = study.external[row][seed], Path(study.rows[row].gold)
    system = read_prediction_file(path, gold)
    scores, extra = score(system.counts[0]), system.extra[0]
    facts = unknown_facts(f"{row}: {path}", "") | {"status": EXTERNAL, "data": f"test={content_hash(gold)[:12]}"}
    breakdowns = {
        kind: msgspec.convert(extra.get(name, {}), dict[str, PartScores]) for kind, name in BREAKDOWNS.items()
    }
    by_task = {task: msgspec.structs.asdict(getattr(scores, task)) for task in TASKS}
    return RunResult(facts | {"documents": extra["documents"]}, by_task, breakdowns)


def describe_problem(run: RunSummary, run_id: str) -> str:
    """Why a run has no scores: its status, and the last line of its error, which is the error's own."""
    if run.status == DAMAGED:
        return run.error or ""
    if run.status == WAITING:
        return f"{run_id} was not started"
    if run.status == KILLED:
        return f"{run_id} was killed; the study resumes it when it is run again"
    last_line = (run.error or "").strip().rpartition("\n")[2].strip()
    return f"{run_id} {run.status}{last_line and f': {last_line}'}"


def check_scores(run: RunSummary, split: str) -> dict[str, dict[str, float | None]]:
    """The scores of a finished run per task; a UserError where a score is not there."""
    if split not in run.metrics:
        raise UserError(
            f"run {run.run_id} is {run.status} but has no scores on split {split!r} (it has: "
            f"{', '.join(run.metrics) or 'none'}): give one of these with --split"
        )
    scores = {task: msgspec.structs.asdict(getattr(run.metrics[split], task)) for task in TASKS}
    missing = [f"{name} of {task}" for task, of_task in scores.items() for name in SCORES if of_task[name] is None]
    if missing:
        raise UserError(
            f"run {run.run_id} is {run.status} but has no {split} {missing[0]}: its record was changed or is of "
            "another version; delete it and run the study again"
        )
    return scores


def unknown_facts(run_id: str, signature: str) -> dict[str, Any]:
    """The facts of a run of which nothing is known but its name."""
    texts = (
        "overlaps",
        "folder",
        "commit",
        "machine",
        "device",
        "data",
        "seed_means",
        "packages",
        "preset",
        "address",
        "problem",
    )
    others = (*WHOLE_NUMBERS, *COSTS, "knock_out_seconds", "reads", "uncommitted_changes")
    return {"run": run_id, "signature": signature} | dict.fromkeys(texts, "") | dict.fromkeys(others)


def known_facts(run: RunSummary) -> dict[str, Any]:
    """The facts in a run's record, its scores aside."""
    settings, origin = run.config, run.provenance
    data = " ".join(data_hashes(settings.data, origin))
    facts = {name: getattr(run, name) for name in ("status", *COSTS)} | {
        "preset": settings.preset,
        "data": data,
        "seed_means": describe_seed(settings.data, data),
        "device": settings.runtime.get("device", ""),
        "threads": settings.runtime.get("threads"),
        "overlaps": "\n".join(run.overlaps),
        "address": run.url or wandb_address(run.run_id, settings.tracking),
        "knock_out_seconds": run.memory_use.knock_out_seconds if run.memory_use is not None else None,
        "reads": settings.ever_reads,
    }
    if origin is not None:
        packages = " ".join(f"{name}={version}" for name, version in origin.packages.items())
        facts |= {"commit": origin.commit or "", "machine": origin.machine, "packages": packages}
        facts |= {"uncommitted_changes": origin.uncommitted_changes}
    return facts


def wandb_address(run_id: str, tracking: Mapping[str, Any]) -> str:
    """Where W&B shows the run; empty where it does not follow it, or the record does not name the entity."""
    if tracking.get("wandb") not in ("auto", "online") or not tracking.get("entity"):
        return ""
    return f"https://wandb.ai/{tracking['entity']}/{tracking['project'] or 'engram'}/runs/{run_id}"


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
    # Records of earlier versions know no limit: none is the same as not there.
    others = {name: value for name, value in data.items() if name not in idle and (name, value) != ("limit", None)}
    return f"{files} {json.dumps(others, sort_keys=True)}"
