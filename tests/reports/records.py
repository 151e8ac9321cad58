"""Made records: a study folder and run folders as a run would have left them, with scores that a test chooses."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from core.config.presets import build
from core.records.provenance import Provenance
from core.records.record import RunRecord, Status, write_record
from core.scoring.metrics import TASKS
from reports.baseline_differences import compare_to_baselines
from reports.frame import ReportData, load_study
from reports.memory_use import compare_knock_outs
from reports.tables.layout import Table
from studies.record import RowRuns, StudyRecord, write_study_record
from studies.rows import Row
from studies.study import Study

SHIFT = {"relation_strict": 0.0, "relation": 1.0, "entity": 30.0, "coref": 35.0, "mention": 50.0}
"""What the other tasks of a made run score above its strict relation F1."""
ORIGIN = Provenance(
    commit="a" * 40,
    uncommitted_changes=False,
    packages={"torch": "2.13.0"},
    python="3.11.7",
    command=["engram.py"],
    machine="host Linux x86_64",
    processors=2,
    data={"/data/train.json": "1" * 64, "/data/test.json": "2" * 64},
)
PAPER = {
    "jerex-grc": Row("jerex-grc", title="JEREX", group="GRC"),
    "memory-grc": Row("memory-grc", title="JEREX + memory", group="GRC"),
    "jerex-mrc": Row("jerex-mrc", title="JEREX", group="MRC", baseline="jerex-mrc"),
    "memory-mrc": Row("memory-mrc", title="JEREX + memory", group="MRC", baseline="jerex-mrc"),
}


def make_study(
    runs: Path,
    seeds: Mapping[str, Mapping[int, float | None]],
    *,
    rows: Mapping[str, Row] = PAPER,
    profile: str = "paper",
    name: str = "made",
) -> StudyRecord:
    """Write a study and a finished run for every strict relation F1 given; None: a run that was never started."""
    used = {row: rows[row] for row in seeds}
    cells = []
    for number, (row, values) in enumerate(seeds.items()):
        signature = f"{number:012x}"
        cells.append(RowRuns(row, signature, {seed: f"{signature}-s{seed}" for seed in values}))
        for seed, value in values.items():
            if value is not None:
                make_run(runs, signature, seed, preset=used[row].preset, profile=profile, f1=value)
    study = Study(
        question="Does it help?",
        rows=used,
        baseline=next(iter(used)),
        seeds=tuple(next(iter(seeds.values()))),
        name=name,
    )
    record = StudyRecord(study=study, profile=profile, settings={}, row_runs=cells)
    write_study_record(runs, record)
    return record


def read_data(study: StudyRecord, runs: Path, *, resamples: int = 500) -> ReportData:
    """What a report of the study is made of."""
    data = load_study(study, runs)
    knock_outs = compare_knock_outs(data, resamples=resamples)
    return replace(data, compared=compare_to_baselines(study, data.frame, resamples=resamples), knock_outs=knock_outs)


def present(table: Table | None) -> Table:
    """A table that has something to show."""
    assert table is not None
    return table


def make_run(
    runs: Path,
    signature: str,
    seed: int,
    *,
    f1: float | None = None,
    status: Status = "finished",
    preset: str = "jerex-grc",
    profile: str = "paper",
    **changes: Any,
) -> Path:
    """Write the record of a run; its folder."""
    config = build(preset, profile=profile).model_dump(mode="json")
    config |= {"seed": seed, "data": {"train": "/data/train.json", "test": "/data/test.json"}}
    record = RunRecord(
        run_id=f"{signature}-s{seed}",
        status=status,
        config=config,
        provenance=ORIGIN,
        metrics={split: scores_of(f1) for split in ("validation", "test")} if f1 is not None else {},
        steps=100,
        chosen_epoch=5,
        chosen_reading=1.0 if config["memory"] else 0.0,
        seconds=60.0 + seed,
        peak_memory_mib=500.0,
        parameters=1_000_000,
    )
    folder = runs / signature / f"s{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    write_record(folder, msgspec.structs.replace(record, **changes))
    return folder


def scores_of(f1: float) -> dict[str, Any]:
    """Scores of all tasks around a strict relation F1."""
    names = ("precision", "recall", "f1", "macro_precision", "macro_recall", "macro_f1")
    distances = {"intra": part_of(f1 + 2, gold=30), "inter": part_of(f1 - 5, gold=10)}
    types = {"P17": part_of(f1 + 1, gold=25), "P_27 & 1%": part_of(0.0, gold=15)}
    extra = {"documents": 40, "by_sentence_distance": distances, "by_relation_type": types}
    return {task: dict.fromkeys(names, f1 + SHIFT[task]) for task in TASKS} | {"extra": extra}


def part_of(f1: float, *, gold: int) -> dict[str, float]:
    """A part of a breakdown."""
    return {"precision": f1, "recall": f1, "f1": f1, "tp": 0, "fp": 0, "fn": gold}
