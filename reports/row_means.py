"""Row means: mean, its spread and n per row and task; which tasks and rows tables show, in which order and how."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from core.errors import UserError, did_you_mean
from core.scoring.metrics import TASKS
from studies.record import StudyRecord
from studies.statistics import Summary, summarize, t_test

TASK_HEADINGS = {"relation_strict": "Rel.", "entity": "Ent.", "coref": "Coref.", "mention": "Men."}
"""The four tasks of the poster's table, in its order, and what it calls them."""
TASK_NAMES = {
    "mention": "mention",
    "coref": "coreference",
    "entity": "entity",
    "relation": "relation",
    "relation_strict": "strict relation",
}
"""What text and figures call the tasks."""
ALL_HEADINGS = {**TASK_HEADINGS, "relation": "Rel. loose"}
MAX_DIGITS = 4
Spread = Literal["std", "ci"]
SPREADS: dict[Spread, str] = {
    "std": "sample standard deviation over seeds (ddof 1)",
    "ci": "half the width of the 95 % t-interval over seeds",
}
"""What stands behind ±."""


@dataclass(frozen=True)
class TableOptions:
    """How the tables of a report show its numbers: no option changes one, but a further task is a further test."""

    digits: int = 2
    """Decimals of F1 and of differences."""
    tasks: tuple[str, ...] = ()
    """Tasks that have a column, in this order; empty: those of `task_headings`."""
    rows: tuple[str, ...] = ()
    """Rows that are shown, in this order; empty: all."""
    spread: Spread = "std"
    marks: bool = True
    """Whether differences with a p below .05 after Holm are marked."""

    def check(self, study: StudyRecord) -> "TableOptions":
        """The options themselves; a UserError for digits, a task or a row of the study that cannot be shown."""
        if not 0 <= self.digits <= MAX_DIGITS:
            raise UserError(f"--digits {self.digits}: give 0 to {MAX_DIGITS} decimals")
        check_names("--tasks", self.tasks, TASKS)
        check_names(f"--rows of study {study.label}", self.rows, study.study.rows)
        return self


def check_names(option: str, names: Iterable[str], known: Iterable[str]) -> None:
    """Raise a UserError for the first of an option's names that is not known."""
    for name in names:
        if name not in known:
            raise UserError(f"{option}: {name!r} is none of {', '.join(known)}.{did_you_mean(name, known)}")


def task_headings(study: StudyRecord, options: TableOptions = TableOptions()) -> dict[str, str]:
    """The tasks of a study's tables and what their columns are called: the poster's four and the study's metric."""
    tasks = options.tasks or dict.fromkeys([*TASK_HEADINGS, study.study.metric])
    return {task: ALL_HEADINGS[task] for task in tasks}


def rows_by_group(study: StudyRecord, options: TableOptions = TableOptions()) -> list[str]:
    """The rows that are shown, those of a group together, groups and rows in the study's or the options' order."""
    rows = options.rows or tuple(study.study.rows)
    groups = list(dict.fromkeys(study.study.rows[row].group for row in rows))
    return sorted(rows, key=lambda row: groups.index(study.study.rows[row].group))


def compute_spread(summary: Summary, spread: Spread) -> float:
    """What stands behind the ± of a mean; NaN at one seed."""
    return summary.std if spread == "std" else t_test(summary).interval.high - summary.mean


def compute_row_means(study: StudyRecord, frame: pd.DataFrame) -> pd.DataFrame:
    """Mean, std (ddof 1), low, high (95 % t-interval over seeds), n, seeds and runs of F1 per row and task.

    Rows are in the study's order. One seed has no std and no interval: they are NaN.

    A row without any score has n = 0 and NaN.
    """
    # Plain lists: a frame per row and task would take most of the time of a large report.
    scored: dict[tuple[str, str], list[tuple[float, int, str]]] = {}
    columns = (frame[name].tolist() for name in ("row", "task", "f1", "seed", "run"))
    for row, task, f1, seed, run in zip(*columns, strict=True):
        scores = scored.setdefault((row, task), [])
        if math.isfinite(f1):
            scores.append((f1, seed, run))
    lines = []
    for (row, task), scores in scored.items():
        summary = summarize(f1 for f1, _, _ in scores)
        interval = t_test(summary).interval
        lines.append(
            {
                "row": row,
                "title": study.study.row_title(row),
                "group": study.study.rows[row].group,
                "task": task,
                "mean": summary.mean,
                "std": summary.std,
                "low": interval.low,
                "high": interval.high,
                "n": summary.n,
                "seeds": " ".join(str(seed) for _, seed, _ in scores),
                "runs": " ".join(run for _, _, run in scores),
            }
        )
    return pd.DataFrame(lines)
