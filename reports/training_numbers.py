"""Loss and validation scores over training, from the histories that runs keep."""

import math
from pathlib import Path
from typing import Any

import pandas as pd

from core.history import STEP, VALIDATION, read_history
from core.record import HISTORY, SCORED
from reports.captions import label
from reports.load import runs_of
from reports.tables import by_group
from studies.statistics import summarize
from studies.study_record import StudyRecord

BINS = 60
"""Parts of a run over whose steps the loss is averaged: single steps are of single documents."""
LOSS = "loss/total"


def training_curves(study: StudyRecord, frame: pd.DataFrame) -> pd.DataFrame:
    """A line per row, measure and step: mean, std (ddof 1; NaN at one seed) and n over the row's scored seeds.

    `measure` is `loss` (training loss, averaged over 60 equal parts of the steps and standing at the end of each) or
    `f1` (validation F1 of the study's metric). `begins` is the step at which the row's runs began to read memory, NaN
    where they never did. A run whose history is gone is left out, and so lowers n.
    """
    runs = runs_of(frame)
    scored = runs[runs["status"].isin(SCORED) & (runs["steps"] > 0) & (runs["folder"] != "")]
    found: dict[tuple[str, str, float], list[float]] = {}
    begins: dict[str, list[int]] = {}
    for row, folder, steps in zip(scored["row"], scored["folder"], scored["steps"], strict=True):
        history = read_history(Path(folder) / HISTORY)
        begins.setdefault(row, []).extend(first_reading(history))
        for step, loss in binned(history, int(steps)):
            found.setdefault((row, "loss", step), []).append(loss)
        for line in history:
            value = line.get(f"validation/{study.study.metric}/f1")
            if line["kind"] == VALIDATION and value is not None:
                found.setdefault((row, "f1", line["step"]), []).append(value)
    lines = []
    order = {row: place for place, row in enumerate(by_group(study))}
    for (row, measure, step), values in sorted(found.items(), key=lambda item: (order[item[0][0]], item[0][1:])):
        one = summarize(values)
        first = min(begins[row], default=math.nan)
        lines.append((row, label(study, row), measure, step, one.mean, one.std, one.n, first))
    return pd.DataFrame(lines, columns="row label measure step mean std n begins".split())


def first_reading(history: list[dict[str, Any]]) -> list[int]:
    """The first logged step at which memory was read; nothing where it never was."""
    return [line["step"] for line in history if line["kind"] == STEP and line["reading"] > 0][:1]


def binned(history: list[dict[str, Any]], steps: int) -> list[tuple[float, float]]:
    """(last step, mean loss) of every part of the steps that holds a logged and finite loss."""
    parts: dict[int, list[float]] = {}
    for line in history:
        if line["kind"] == STEP and math.isfinite(line.get(LOSS, math.nan)):
            parts.setdefault(min(BINS - 1, (line["step"] - 1) * BINS // steps), []).append(line[LOSS])
    return [((part + 1) * steps / BINS, sum(losses) / len(losses)) for part, losses in sorted(parts.items())]
