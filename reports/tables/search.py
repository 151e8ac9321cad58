"""Table of a search: its best trials; and the tidy frame of all trials that its CSV file and its figure hold."""

import math
from typing import Any

import pandas as pd

from reports.captions import format_ranges
from reports.frame import ReportData
from reports.row_means import TASK_NAMES
from reports.tables.layout import Column, Line, Table, Value
from studies.search.racing import incumbent, mean_score
from studies.search.trials import SearchRecord, SearchTrial

PRINTED_TRIALS = 10
"""Trials in the printed table; its CSV file has all."""


def trials_frame(search: SearchRecord) -> pd.DataFrame:
    """A line per trial, unrounded, with a column per axis; an axis that is empty made no difference there.

    `best` and `best_trial` are mean and number of the best one by then (NaN and -1 where there is none). It is chosen
    as the search chooses it, more seeds before a higher mean, so its mean may fall.
    """
    lines: list[dict[str, Any]] = []
    scored: list[SearchTrial] = []
    for trial in search.trials:
        if trial.state != "failed":
            scored.append(trial)
        best = incumbent(scored)
        lines.append(
            {
                "trial": trial.number,
                "state": trial.state,
                "mean": trial.summary.mean,
                "std": trial.summary.std,
                "n": trial.n,
                "seeds": " ".join(map(str, trial.scores)),
                "runs": " ".join(trial.runs.values()),
                **{axis.name: trial.params.get(axis.name, "") for axis in search.axes},
                "why": trial.why,
                "best": mean_score(best) if best is not None else math.nan,
                "best_trial": best.number if best is not None else -1,
            }
        )
    return pd.DataFrame(lines)


def search_table(data: ReportData) -> Table | None:
    """The best trials of a search, more seeds before a higher mean, each by what it changes of the base."""
    search = data.search
    if search is None or not search.trials:
        return None
    lines = []
    for trial in search.ranking[:PRINTED_TRIALS]:
        value = Value(trial.summary.mean, trial.summary.std, bold=trial.number == search.best)
        lines.append(Line([str(trial.number), value, str(trial.n), describe_changes(search, trial)]))
    notes = []
    if not search.ended:
        notes.append(f"The search has not ended: {len(search.trials)} of {search.search.trials} trials were started.")
    failed = [trial.number for trial in search.trials if trial.state == "failed"]
    if failed:
        notes.append(f"Without a score: trial{'s' * (len(failed) > 1)} {format_ranges(failed)} failed.")
    return Table(
        name="search",
        title=f"{search.label}: the best of {len(search.trials)} trials",
        columns=[
            Column("trial", "Trial"),
            Column("f1", "Validation F1", "mean"),
            Column("n", "n"),
            Column("config", "Config"),
        ],
        lines=lines,
        caption=[
            f"The best of {len(search.trials)} trials: {TASK_NAMES[search.metric]} F1 (%) on validation documents, "
            "mean ± sample standard deviation over n seeds.",
            f"n: of the search's seeds {format_ranges(search.search.shared_seeds)}, given {search.search.rule}; no "
            "test score was read.",
            "Trials with more seeds come first, then higher means; bold: the best. Config: what differs from the base.",
            "The best of many trials scores too high on the seeds that chose it: compare it on other seeds.",
        ],
        notes=notes,
        data=trials_frame(search),
    )


def describe_changes(search: SearchRecord, trial: SearchTrial) -> str:
    """What a trial changes of the base, in the words of the axes."""
    titles = {axis.name: axis.title for axis in search.axes}
    changes = [f"{titles[name]} {label}" for name, label in trial.params.items() if search.own.get(name) != label]
    return ", ".join(changes) or "the base as it is"
