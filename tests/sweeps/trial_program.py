"""The `engram` that W&B's agent starts in tests: its runs are records that are written and mirrored, not computed."""

import sys
from pathlib import Path

from core.config.presets import from_yaml
from core.config.signature import run_id
from core.records.record import CONFIG, RunRecord, write_record
from core.records.tracking import Tracker
from sweeps.trial_command import trial


def compute_run(folder: Path) -> str:
    """Write a record, and a W&B run as `core.run` does; the score depends on preset and seed."""
    config = from_yaml(folder / CONFIG)
    value = len(config.preset) + config.seed
    metrics = {"validation": {"relation_strict": {"f1": float(value)}}}
    settings = config.model_dump(mode="json")
    record = RunRecord(run_id=run_id(config), status="finished", config=settings, metrics=metrics, seconds=1.0)
    tracker = Tracker(config.tracking)
    tracker.start(record, folder)
    write_record(folder, record)
    tracker.finish(record)
    return record.status


if __name__ == "__main__":
    study, verb, *arguments = sys.argv[1:]
    assert (study, verb) == ("study", "trial")
    sys.exit(trial(arguments, compute_run=compute_run))
