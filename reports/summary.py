"""The tidy frame -> a line per row and task: mean, sample standard deviation, n, and which seeds they come from."""

import pandas as pd

from studies.statistics import summarize
from studies.study_record import StudyRecord

SHORT = {"relation_strict": "Rel.", "entity": "Ent.", "coref": "Coref.", "mention": "Men."}
"""The four tasks of the poster's table, in its order, and what it calls them."""
LONG = {"relation_strict": "strict relation", "relation": "relation", "entity": "entity", "coref": "coreference"}


def summary_of(study: StudyRecord, frame: pd.DataFrame, *, score: str = "f1") -> pd.DataFrame:
    """Mean, std (ddof 1; NaN at one seed), n, seeds and runs per row and task, rows in the study's order.

    A row without any score has n = 0 and NaN.
    """
    lines = []
    for (row, task), part in frame.groupby(["row", "task"], sort=False):
        scored = part[part[score].notna()]
        seeds, runs = " ".join(scored["seed"].astype(str)), " ".join(scored["run"])
        found = summarize(scored[score])
        titles = {"row": row, "title": study.study.title_of(row), "group": study.study.rows[row].group, "task": task}
        lines.append({**titles, "mean": found.mean, "std": found.std, "n": found.n, "seeds": seeds, "runs": runs})
    return pd.DataFrame(lines)


def best_of_groups(summary: pd.DataFrame, *, decimals: int = 2) -> set[tuple[str, str]]:
    """(row, task) of the highest mean of each group and task, as printed: equal ones are all best.

    A group with a single scored row has no best.
    """
    best = set()
    for (_, task), part in summary[summary["n"] > 0].groupby(["group", "task"]):
        printed = part["mean"].round(decimals)
        if len(part) > 1:
            best |= {(row, task) for row in part["row"][printed == printed.max()]}
    return best
