"""The tidy frame -> a line per row and task: mean, sample standard deviation, n, and which seeds they come from."""

import math

import pandas as pd

from studies.record import StudyRecord
from studies.statistics import summarize

TASK_HEADINGS = {"relation_strict": "Rel.", "entity": "Ent.", "coref": "Coref.", "mention": "Men."}
"""The four tasks of the poster's table, in its order, and what it calls them."""
LOOSE = "Rel. loose"
LONG = {
    "mention": "mention",
    "coref": "coreference",
    "entity": "entity",
    "relation": "relation",
    "relation_strict": "strict relation",
}
"""What text and figures call the tasks."""


def task_headings(study: StudyRecord) -> dict[str, str]:
    """The tasks of a study's tables and what their columns are called: the poster's four and the study's metric."""
    return TASK_HEADINGS if study.study.metric in TASK_HEADINGS else {**TASK_HEADINGS, study.study.metric: LOOSE}


def summary_of(study: StudyRecord, frame: pd.DataFrame, *, score: str = "f1") -> pd.DataFrame:
    """Mean, std (ddof 1; NaN at one seed), n, seeds and runs per row and task, rows in the study's order.

    A row without any score has n = 0 and NaN.
    """
    # Plain lists: a frame per row and task would take most of the time of a large report.
    found: dict[tuple[str, str], list[tuple[float, int, str]]] = {}
    columns = zip(*(frame[name].tolist() for name in ("row", "task", score, "seed", "run")), strict=True)
    for row, task, value, seed, run in columns:
        scored = found.setdefault((row, task), [])
        if math.isfinite(value):
            scored.append((value, seed, run))
    lines = []
    for (row, task), scored in found.items():
        one = summarize(value for value, _, _ in scored)
        titles = {"row": row, "title": study.study.row_title(row), "group": study.study.rows[row].group, "task": task}
        names = {"seeds": " ".join(str(seed) for _, seed, _ in scored), "runs": " ".join(run for _, _, run in scored)}
        lines.append({**titles, "mean": one.mean, "std": one.std, "n": one.n, **names})
    return pd.DataFrame(lines)


def find_best_of_groups(summary: pd.DataFrame, *, decimals: int = 2) -> set[tuple[str, str]]:
    """(row, task) of the highest mean of each group and task, as printed: equal ones are all best.

    A group with a single scored row has no best.
    """
    best = set()
    for (_, task), part in summary[summary["n"] > 0].groupby(["group", "task"]):
        printed = part["mean"].round(decimals)
        if len(part) > 1:
            best |= {(row, task) for row in part["row"][printed == printed.max()]}
    return best
