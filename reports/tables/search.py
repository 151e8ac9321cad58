"""The numbers behind what a report says of a search: trials, the best so far, what mattered; from search.json alone."""

import math
from typing import Any

import pandas as pd

from reports.captions import format_ranges
from reports.row_means import TASK_NAMES
from reports.tables.layout import Column, Line, Table, Value
from studies.search.racing import incumbent
from studies.search.trials import SearchRecord, SearchTrial

SHOWN = 10
"""Trials in the printed table; its CSV file has all."""


def history(search: SearchRecord) -> pd.DataFrame:
    """A line per trial: number, state, n, mean, std (NaN at one seed), and mean and number of the best one by then.

    The best one is chosen as the search chooses it, more seeds before a higher mean, so its mean may fall.
    """
    lines: list[dict[str, Any]] = []
    tried = []
    for trial in search.trials:
        if trial.state != "failed":
            tried.append(trial.tried())
        best = incumbent(tried)
        lines.append(
            {
                "trial": trial.number,
                "state": trial.state,
                "n": trial.n,
                "mean": _number(trial.value),
                "std": _number(trial.spread),
                "best": best.mean if best is not None else math.nan,
                "best_trial": best.number if best is not None else -1,
            }
        )
    return pd.DataFrame(lines, columns="trial state n mean std best best_trial".split())


def importance(search: SearchRecord) -> pd.DataFrame:
    """A line per axis: its title and importance, the most important first; none before enough trials have ended."""
    titles = {axis.name: axis.title for axis in search.axes}
    lines = [{"axis": name, "title": titles[name], "importance": share} for name, share in search.importance.items()]
    return pd.DataFrame(lines, columns="axis title importance".split())


def trials_table(search: SearchRecord) -> Table:
    """The best trials of a search, more seeds before a higher mean, each by what it changes of the base."""
    scored = [trial for trial in search.trials if trial.value is not None and trial.state != "failed"]
    scored.sort(key=lambda trial: (-trial.n, -(trial.value or 0.0), trial.number))
    lines = [
        Line(
            [
                str(trial.number),
                Value(_number(trial.value), _number(trial.spread), bold=trial.number == search.best),
                str(trial.n),
                changes(search, trial),
            ]
        )
        for trial in scored[:SHOWN]
    ]
    return Table(
        name="search",
        title=f"{search.label}: the best of {len(search.trials)} trials",
        columns=[
            Column("trial", "Trial"),
            Column("f1", "Validation F1", "mean"),
            Column("n", "n"),
            Column("config", "Config", wraps=True),
        ],
        lines=lines,
        caption=caption_of(search),
        notes=notes_of(search),
        data=frame_of(search),
    )


def caption_of(search: SearchRecord) -> list[str]:
    """How the trials were scored and judged."""
    rungs = ", ".join(map(str, search.search.rungs))
    return [
        f"Mean ± sample standard deviation of {TASK_NAMES[search.metric]} F1 on the validation split over n of the "
        f"search's seeds {format_ranges(search.search.shared_seeds)}; test was not looked at.",
        f"Trials get seeds in rungs of {rungs}: the better half goes on after the first, then those that are "
        f"not more than {search.search.threshold:g} pooled standard errors below the best, paired by seed.",
        "More seeds stand before a higher mean; bold: the best. Config: what differs from the base.",
        "The best of many trials scores too high on the seeds that chose it: compare it on other seeds.",
    ]


def notes_of(search: SearchRecord) -> list[str]:
    """What limits a search: that it is not at its end, and what failed."""
    notes = []
    if not search.ended:
        notes.append(f"The search is not at its end: {len(search.trials)} of {search.search.trials} trials were begun.")
    failed = [trial.number for trial in search.trials if trial.state == "failed"]
    if failed:
        notes.append(f"Without a score: trial{'s' * (len(failed) > 1)} {format_ranges(failed)} failed.")
    return notes


def frame_of(search: SearchRecord) -> pd.DataFrame:
    """Every trial, unrounded, with a column per axis; an axis that is empty made no difference there."""
    lines = [
        {
            "trial": trial.number,
            "state": trial.state,
            "mean": trial.value,
            "std": trial.spread,
            "n": trial.n,
            "seeds": " ".join(map(str, trial.scores)),
            "runs": " ".join(trial.runs.values()),
            **{axis.name: trial.params.get(axis.name, "") for axis in search.axes},
            "why": trial.why,
        }
        for trial in search.trials
    ]
    return pd.DataFrame(lines)


def changes(search: SearchRecord, trial: SearchTrial) -> str:
    """What a trial changes of the base, in the words of the axes."""
    titles = {axis.name: axis.title for axis in search.axes}
    found = [f"{titles[name]} {label}" for name, label in trial.params.items() if search.own.get(name) != label]
    return ", ".join(found) or "the base as it is"


def _number(value: float | None) -> float:
    return math.nan if value is None else value
