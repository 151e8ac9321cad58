"""What training in bf16 does to F1: the study beside this file, its ten runs on the embedded corpus computed anew."""

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reports.frame import load_study
from studies.record import find_study_record
from studies.statistics import paired_difference, summarize

STUDY = Path(__file__).with_name("precision.yaml")
TASK = "relation_strict"


def measure_precision() -> dict[str, Any]:
    """Strict relation F1 in both formats, and their difference; the study's progress goes to stderr."""
    with tempfile.TemporaryDirectory() as place:
        command = [sys.executable, "engram.py", "study", "run", str(STUDY), "--profile", "quick", "--runs", place]
        subprocess.run([*command, "--wandb", "disabled", "--jobs", "1"], check=True, stdout=sys.stderr)
        frame = load_study(find_study_record(STUDY.stem, Path(place)), Path(place)).frame
    scores = frame[frame["task"] == TASK].set_index("seed").groupby("row")["f1"]
    return difference({row: values.to_dict() for row, values in scores})


def difference(scores: Mapping[str, Mapping[int, float]]) -> dict[str, Any]:
    """Of each format mean, sample standard deviation and number of seeds; bf16 less fp32 paired by seed, its 95 %
    interval with it."""
    told: dict[str, Any] = {"task": TASK}
    for row, values in scores.items():
        summary = summarize(values.values())
        told[row] = {"mean": summary.mean, "std": summary.std, "seeds": summary.n}
    paired = paired_difference(scores["bf16"], scores["fp32"])
    told["difference"] = {"mean": paired.mean, "low": paired.interval.low, "high": paired.interval.high}
    return told
