"""Trials of a search, and search.json, which reports read: the export of its storage (`studies.search.storage`)."""

import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from core.config.presets import Tree
from core.errors import shorten
from core.files import make_folder, write_json
from core.input_files import read_json
from core.scoring.metrics import TASKS
from studies.search.spec import Search
from studies.statistics import Summary, summarize

RECORD = "search.json"
TrialState = Literal["running", "finished", "stopped", "failed"]


class SearchTrial(msgspec.Struct, frozen=True):
    """One config that a search tried: what it is, its scores so far, and what became of it.

    `finished` has the seeds of the last rung, `stopped` was judged not worth more, `failed` has a run without a score.
    """

    number: int
    params: dict[str, str]
    """Axis -> label of its value, without the axes that make no difference next to the others."""
    signature: str
    runs: dict[int, str]
    """Seed -> run id, of the seeds up to its rung."""
    rung: int
    """How many seeds it was given."""
    state: TrialState = "running"
    scores: dict[int, float] = {}
    """Seed -> validation F1 in percent, of the rungs that are complete."""
    value: float | None = None
    """Mean of the scores."""
    spread: float | None = None
    """Sample standard deviation of the scores (ddof 1)."""
    n: int = 0
    why: str = ""
    """The last decision with its numbers, or the error of a failed trial."""

    @property
    def is_open(self) -> bool:
        """Whether it waits for a score or a decision."""
        return self.state == "running"

    @property
    def summary(self) -> Summary:
        """Mean, standard deviation and number of its scores; NaN where there is none."""
        return summarize(self.scores.values())

    @property
    def score_text(self) -> str:
        """Its value as `34.20 ± 0.51 (n 3)`."""
        return f"{self.summary} (n {self.n})" if self.n else "no score"

    @property
    def params_text(self) -> str:
        """Its config as `slot-width=H, warmup=0.4`."""
        return ", ".join(f"{name}={label}" for name, label in self.params.items())

    @property
    def decision_text(self) -> str:
        """What was decided last, or what it waits for."""
        return f"failed: {self.why}" if self.state == "failed" else self.why or self.state

    def with_scores(self, scores: Mapping[int, float]) -> "SearchTrial":
        """The trial with scores, and what follows from them."""
        summary = summarize(scores.values())
        return msgspec.structs.replace(
            self,
            scores=dict(scores),
            value=summary.mean if summary.n else None,
            spread=summary.std if math.isfinite(summary.std) else None,
            n=summary.n,
        )


class AxisLabels(msgspec.Struct, frozen=True):
    """An axis of the search, as its trials name it."""

    name: str
    title: str
    values: list[str]


class SearchRecord(msgspec.Struct, frozen=True):
    """What a search asked, how, and every trial; no number in it was read from test."""

    label: str
    question: str
    metric: str
    search: Search
    profile: str
    settings: Tree
    axes: list[AxisLabels]
    storage: str
    """Where Optuna keeps the trials, without a password."""
    own: dict[str, str] = {}
    """The base as it stands: axis -> label, where every axis has its value."""
    trials: list[SearchTrial] = []
    best: int | None = None
    """Number of the best trial."""
    ended: bool = False
    """Whether nothing is left to try."""
    importance: dict[str, float] = {}
    """Axis -> its share of what sets good trials apart (PED-ANOVA); empty before enough trials have ended."""

    def __post_init__(self) -> None:
        named = [*self.own, *self.importance, *(name for trial in self.trials for name in trial.params)]
        if unknown := set(named) - {axis.name for axis in self.axes}:
            raise ValueError(f"there is no axis {shorten(min(unknown))}")
        if self.metric not in TASKS:
            raise ValueError(f"there is no metric {shorten(self.metric)}")

    @property
    def best_trial(self) -> SearchTrial | None:
        """The best trial."""
        return next((trial for trial in self.trials if trial.number == self.best), None)

    @property
    def ranking(self) -> list[SearchTrial]:
        """The trials with a score, best first: more seeds before a higher mean, as the best one is chosen."""
        scored = [trial for trial in self.trials if trial.n and trial.state != "failed"]
        return sorted(scored, key=lambda trial: (-trial.n, -trial.summary.mean, trial.number))

    @property
    def progress(self) -> str:
        """How far it is, in a line."""
        states = Counter(trial.state for trial in self.trials)
        counts = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
        best = f"; best: trial {self.best}, {self.best_trial.score_text}" if self.best_trial else ""
        return f"{len(self.trials)} of {self.search.trials} trials{f' ({counts})' if counts else ''}{best}"


def write_search_record(folder: Path, record: SearchRecord) -> None:
    """Write search.json into a study folder, whole."""
    make_folder(folder, "give a folder that is yours (--runs DIR)")
    write_json(folder / RECORD, record)


def read_search_record(folder: Path) -> SearchRecord | None:
    """The search record of a study folder, None where there is none; a damaged one is one clear line."""
    return read_json(folder / RECORD, SearchRecord, "delete it, `engram study search` writes it again")
