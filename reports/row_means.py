"""Row means: mean, sample standard deviation and n per row and task; names of the tasks, order of the rows."""

import math

import pandas as pd

from studies.record import StudyRecord
from studies.statistics import summarize

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


def task_headings(study: StudyRecord) -> dict[str, str]:
    """The tasks of a study's tables and what their columns are called: the poster's four and the study's metric."""
    return TASK_HEADINGS if study.study.metric in TASK_HEADINGS else {**TASK_HEADINGS, study.study.metric: "Rel. loose"}


def rows_by_group(study: StudyRecord) -> list[str]:
    """The rows, those of a group together, groups and rows in the study's order."""
    groups = list(dict.fromkeys(row.group for row in study.study.rows.values()))
    return sorted(study.study.rows, key=lambda row: groups.index(study.study.rows[row].group))


def compute_row_means(study: StudyRecord, frame: pd.DataFrame) -> pd.DataFrame:
    """Mean, std (ddof 1; NaN at one seed), n, seeds and runs of F1 per row and task, rows in the study's order.

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
        lines.append(
            {
                "row": row,
                "title": study.study.row_title(row),
                "group": study.study.rows[row].group,
                "task": task,
                "mean": summary.mean,
                "std": summary.std,
                "n": summary.n,
                "seeds": " ".join(str(seed) for _, seed, _ in scores),
                "runs": " ".join(run for _, _, run in scores),
            }
        )
    return pd.DataFrame(lines)
