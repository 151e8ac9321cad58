"""search.json: every trial of a search with its scores, as the search wrote it and reports read it."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from core.errors import UserError
from core.presets import Tree
from core.replacing import make_folder, replace_file
from studies.search import Search
from studies.search_rungs import Tried
from studies.statistics import summarize

RECORD = "search.json"
State = Literal["running", "finished", "stopped", "failed"]


class SearchTrial(msgspec.Struct, frozen=True):
    """One config that a search tried: what it is, its scores so far, and what became of it.

    `finished` has the seeds of the last rung, `stopped` was judged not worth more, `failed` has a run without a score.
    """

    number: int
    params: dict[str, str]
    """Axis -> label of its value; axes that make no difference beside the others are left out."""
    signature: str
    runs: dict[int, str]
    """Seed -> run id, of the seeds up to its rung."""
    rung: int
    """How many seeds it was given."""
    state: State = "running"
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

    def tried(self) -> Tried:
        """Its scores as the rule of the rungs reads them."""
        return Tried(self.number, tuple(self.scores.values()))

    def scored(self, scores: Mapping[int, float]) -> "SearchTrial":
        """The trial with scores, and what follows from them."""
        summary = summarize(scores.values())
        return msgspec.structs.replace(
            self,
            scores=dict(scores),
            value=summary.mean if summary.n else None,
            spread=summary.std if math.isfinite(summary.std) else None,
            n=summary.n,
        )

    def told(self) -> str:
        """Its value as `34.20 ± 0.51 (n 3)`."""
        if self.value is None:
            return "no score"
        spread = f" ± {self.spread:.2f}" if self.spread is not None else ""
        return f"{self.value:.2f}{spread} (n {self.n})"


class AxisTold(msgspec.Struct, frozen=True):
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
    axes: list[AxisTold]
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

    @property
    def best_trial(self) -> SearchTrial | None:
        """The best trial."""
        return next((trial for trial in self.trials if trial.number == self.best), None)


def write_search_record(folder: Path, record: SearchRecord) -> None:
    """Write search.json into a study folder, whole."""
    make_folder(folder, "give a folder that is yours (--runs DIR)")
    replace_file(folder / RECORD, msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n")


def read_search_record(folder: Path) -> SearchRecord | None:
    """The search record of a study folder, None where there is none; a damaged one is one clear line."""
    path = folder / RECORD
    try:
        return msgspec.json.decode(path.read_bytes(), type=SearchRecord)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise UserError(f"{path} is damaged: {error}; delete it, `engram study search` writes it again") from None
