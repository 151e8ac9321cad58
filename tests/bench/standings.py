"""`python -m tests.bench.standings [--runs N]`: listings of many finished runs, in seconds and MiB.

The records are made from one template of the size that a run on DocRED leaves: 96 relation types, six entity types.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from core.config.presets import build
from core.data.formats.docred import write_docred
from core.data.synthetic import generate
from core.records.provenance import collect_provenance
from core.records.record import RunRecord, open_run_folder, write_record
from core.scoring.metrics import TASKS
from studies.arguments import StudyParser
from studies.record import write_study_record

ROOT = Path(__file__).resolve().parents[2]
SEEDS, LIMIT_SECONDS, LIMIT_MIB = 5, 3.0, 500.0
TYPES = 96
"""Relation types of DocRED."""


def template(config: dict[str, Any]) -> RunRecord:
    """A finished record with scores as a run on DocRED has them."""
    prf = dict.fromkeys(("precision", "recall", "f1", "macro_precision", "macro_recall", "macro_f1"), 41.234567890123)
    tasks: dict[str, Any] = dict.fromkeys(TASKS, prf)
    types = {f"P{number}": {"tp": 12, "fp": 34, "fn": 56, "f1": 21.0526315789} for number in range(TYPES)}
    split = tasks | {"extra": {"by_relation_type": types, "on_gold": tasks, "ranking": {"average_precision": 12.3}}}
    return RunRecord(
        run_id="",
        status="finished",
        config=config,
        provenance=collect_provenance({"/data/train.json": "0" * 64, "/data/dev.json": "1" * 64}),
        metrics={"validation": split, "test": split},
        steps=30_080,
        chosen_epoch=17,
        chosen_reading=1.0,
        seconds=5_400.0,
        peak_memory_mib=11_000.0,
        parameters=110_000_000,
        repairs={"train": {"duplicate_span": 12}},
    )


def make(folder: Path, count: int) -> list[str]:
    """Write a study of so many finished runs; the arguments of `study` that ask for it."""
    write_docred(generate(3), folder / "documents.json")
    study = {
        "question": "How long does it take to look?",
        "baseline": "clip=1",
        "base": {"preset": "memory-grc"},
        "axes": [
            {
                "name": "clip",
                "path": "training.clip",
                "values": [1.0 + number / 1000 for number in range(count // SEEDS)],
            }
        ],
        "seeds": list(range(SEEDS)),
    }
    (folder / "many.yaml").write_text(json.dumps(study))
    documents = ["--data.name", "none", "--data.train", str(folder / "documents.json"), "--wandb", "disabled"]
    arguments = [str(folder / "many.yaml"), "--runs", str(folder / "runs"), *documents]
    _, planned = StudyParser("bench", "").parse_plan(arguments)
    write_study_record(folder / "runs", planned.record)
    one = template(build("memory-grc", profile="quick").model_dump(mode="json"))
    for run in planned.runs:
        open_run_folder(run.folder, run.config)
        write_record(run.folder, msgspec.structs.replace(one, run_id=run.run_id))
    return arguments


def measured(arguments: list[str]) -> tuple[float, float]:
    """Processor seconds and peak resident MiB of `engram ...`, in a process of its own."""
    with open(os.devnull, "w") as nowhere:
        process = subprocess.Popen([sys.executable, "-m", "engram", *arguments], cwd=ROOT, stdout=nowhere)
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments[:2])} ended with {process.returncode}")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def main() -> int:
    """Make the records, measure the commands, and say whether they hold the limits."""
    given = argparse.ArgumentParser(prog="python -m tests.bench.standings", description=__doc__)
    given.add_argument("--runs", type=int, default=10_000)
    count = given.parse_args().runs
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        arguments = make(folder, count)
        size = next((folder / "runs").glob("*/s0/record.json")).stat().st_size
        print(f"{count} finished records of {size / 1024:.1f} KiB")
        worst = 0
        where = ["--runs", str(folder / "runs")]
        for words in (
            ["study", "status", "many", *where],
            ["study", "plan", *arguments],
            ["runs", "list", "--sort", "score", *where],
        ):
            name = " ".join(words[:2])
            seconds, mib = measured(words)
            held = seconds < LIMIT_SECONDS and mib < LIMIT_MIB
            worst = max(worst, not held)
            print(f"{name}: {seconds:.2f} s of processor time, {mib:.0f} MiB: {'held' if held else 'NOT HELD'}")
    return worst


if __name__ == "__main__":
    sys.exit(main())
