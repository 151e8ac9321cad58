"""search.json: every trial of a search with its scores, as the search wrote it and reports read it.

Trials in an Optuna storage: a journal file, or any database that Optuna reaches by a URL.

A trial is added whole, with its parameters, so that a process that dies leaves no half of one behind; scores and
decisions are trial attributes that `optuna-dashboard` shows. Only the search's own process writes.
"""

import contextlib
import json
import math
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from core.config.presets import Tree
from core.errors import UserError
from core.files import atomic_write, make_folder
from studies.axes import Axis
from studies.search.racing import Tried
from studies.search.space import optuna_distributions
from studies.search.spec import Search
from studies.statistics import summarize

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial


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

    @property
    def best_trial(self) -> SearchTrial | None:
        """The best trial."""
        return next((trial for trial in self.trials if trial.number == self.best), None)


def write_search_record(folder: Path, record: SearchRecord) -> None:
    """Write search.json into a study folder, whole."""
    make_folder(folder, "give a folder that is yours (--runs DIR)")
    atomic_write(folder / RECORD, msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n")


def read_search_record(folder: Path) -> SearchRecord | None:
    """The search record of a study folder, None where there is none; a damaged one is one clear line."""
    path = folder / RECORD
    try:
        return msgspec.json.decode(path.read_bytes(), type=SearchRecord)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise UserError(f"{path} is damaged: {error}; delete it, `engram study search` writes it again") from None


JOURNAL = "optuna.journal"
ABOUT = "engram"
"""The study attribute that says of which search it is."""
ATTRIBUTES = {"mean": "value", "sd": "spread", "n": "n", "rung": "rung", "why": "why", "signature": "signature"}
"""Trial attribute -> field of a trial; seeds, scores and runs are written by seed."""


class StorageLost(UserError):
    """The storage does not answer: nothing is lost, as runs lie in their folders and are told when it does."""


class TrialStore:
    """The trials of one search in an Optuna storage; `storage` is a URL, or the path of a journal file.

    `about` is what must be equal for a search to go on; a UserError where the storage has another of that name.
    """

    def __init__(self, storage: str, *, name: str, axes: Sequence[Axis], about: Mapping[str, Any]) -> None:
        self.storage, self.name = storage, name
        self.shown = without_password(storage)
        self._known = optuna_distributions(axes)
        self._kept: dict[int, SearchTrial] = {}
        self._ids: dict[int, int] = {}
        with self._reached():
            self._backend = opened(storage)
        try:
            self._begin(about)
        except BaseException:
            self.close()
            raise

    def _begin(self, about: Mapping[str, Any]) -> None:
        """Make the study, or take up the one that is there."""
        import optuna

        # As a storage gives it back: what is a tuple here is a list there.
        now: dict[str, Any] = json.loads(json.dumps(dict(about)))
        with self._reached():
            try:
                self._study = self._backend.create_new_study([optuna.study.StudyDirection.MAXIMIZE], self.name)
            except optuna.exceptions.DuplicatedStudyError:
                self._study = self._backend.get_study_id_from_name(self.name)
            kept = self._backend.get_study_user_attrs(self._study).get(ABOUT)
            if kept is None and not self._backend.get_all_trials(self._study, deepcopy=False):
                self._backend.set_study_user_attr(self._study, ABOUT, now)
                return
        if kept is None:
            raise UserError(f"{self.shown} holds a study {self.name} that is no search of Engram: give another --name")
        for part in now:
            if kept.get(part) != now[part]:
                raise UserError(
                    f"search {self.name} in {self.shown} was begun with {part} {kept.get(part)}, this time it is "
                    f"{now[part]}: give the same, or keep this search apart (--name NAME)"
                )

    def load(self) -> list[SearchTrial]:
        """Every trial, in the order of their numbers."""
        with self._reached():
            kept = self._backend.get_all_trials(self._study, deepcopy=False)
        self._ids = {one.number: one._trial_id for one in kept}
        self._kept = {one.number: self._trial(one) for one in kept}
        return list(self._kept.values())

    def add(self, trial: SearchTrial) -> None:
        """Add a trial that begins; its number must be the next one."""
        from optuna.trial import TrialState, create_trial

        new = create_trial(
            state=TrialState.RUNNING,
            params=trial.params,
            distributions={name: self._known[name] for name in trial.params},
            user_attrs=attributes(trial),
        )
        with self._reached():
            kept = self._backend.create_new_trial(self._study, template_trial=new)
            number = self._backend.get_trial_number_from_id(kept)
        if number != trial.number:
            raise UserError(
                f"{self.shown}: another process adds trials to search {self.name} (its trial {trial.number}): a search "
                "has one driver; give this one another --name"
            )
        self._ids[number], self._kept[number] = kept, trial

    def keep(self, trial: SearchTrial) -> None:
        """Write what has changed of a trial, its state last."""
        from optuna.trial import TrialState

        trial_id, before = self._ids[trial.number], self._kept[trial.number]
        old = attributes(before)
        with self._reached():
            for name, value in attributes(trial).items():
                if value != old.get(name):
                    self._backend.set_trial_user_attr(trial_id, name, value)
            if trial.value is not None and trial.n > before.n:
                self._backend.set_trial_intermediate_value(trial_id, trial.n, trial.value)
            if not trial.is_open:
                if trial.state == "failed" or trial.value is None:
                    self._backend.set_trial_state_values(trial_id, TrialState.FAIL)
                else:
                    # One that was stopped tells its mean so far: as a pruned one TPE would rank it below all others.
                    self._backend.set_trial_state_values(trial_id, TrialState.COMPLETE, [trial.value])
        self._kept[trial.number] = trial

    def close(self) -> None:
        """Let go of the database."""
        engine = getattr(self._backend, "engine", None)
        if engine is not None:
            self._backend.remove_session()
            engine.dispose()

    def _trial(self, kept: "FrozenTrial") -> SearchTrial:
        told = kept.user_attrs
        try:
            scores = {int(seed): float(score) for seed, score in told["scores"].items()}
            runs = {int(seed): str(run) for seed, run in told["runs"].items()}
            trial = SearchTrial(
                number=kept.number,
                params=dict(kept.params),
                signature=told["signature"],
                runs=runs,
                rung=told["rung"],
                state="running" if not kept.state.is_finished() else told["state"],
                why=told["why"],
            )
        except (KeyError, AttributeError, ValueError) as error:
            raise UserError(
                f"{self.shown}: trial {kept.number} of {self.name} was not written by Engram ({error}): give another "
                "--name"
            ) from None
        return trial.scored(scores) if scores else trial

    @contextlib.contextmanager
    def _reached(self) -> Iterator[None]:
        """Turn what a storage raises when it cannot be reached into one line."""
        import optuna
        from sqlalchemy.exc import SQLAlchemyError

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                yield
        except (optuna.exceptions.StorageInternalError, SQLAlchemyError, OSError, ValueError) as error:
            reason = str(error.__cause__ or error).strip().splitlines()
            raise StorageLost(f"the trials in {self.shown} cannot be reached: {(reason or ['no answer'])[0]}") from None


def attributes(trial: SearchTrial) -> dict[str, Any]:
    """What a trial says of itself in the storage, and in the dashboard."""
    told = {name: getattr(trial, field) for name, field in ATTRIBUTES.items()}
    by_seed = {
        "seeds": list(trial.scores),
        "scores": {str(seed): score for seed, score in trial.scores.items()},
        "runs": {str(seed): run for seed, run in trial.runs.items()},
    }
    return told | by_seed | {"state": trial.state}


def opened(storage: str) -> "BaseStorage":
    """The storage of a URL, or of a journal file by its path; an unusable URL is one line."""
    import optuna
    from optuna.storages import JournalStorage, RDBStorage
    from optuna.storages.journal import JournalFileBackend
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if "://" not in storage:
        drop_half_written_line(Path(storage))
        return JournalStorage(JournalFileBackend(storage))
    try:
        # Asked before each use, so that a database that went and came back is found again.
        return RDBStorage(storage, engine_kwargs={"pool_pre_ping": True})
    except (ArgumentError, NoSuchModuleError) as error:
        raise UserError(
            f"--storage {without_password(storage)} is no URL of a database ({error}): give sqlite:///FILE, "
            "postgresql+psycopg://USER@HOST/NAME, or the path of a journal file"
        ) from None
    except ImportError as error:
        raise UserError(
            f"--storage {without_password(storage)} needs a driver that is not installed ({error}): for PostgreSQL "
            "pip install 'engram[postgresql]'"
        ) from None
    except RuntimeError as error:
        raise UserError(f"--storage {without_password(storage)}: {error}") from None


def drop_half_written_line(path: Path) -> None:
    """Cut off a last line that a killed process left half written; else the next one would be written behind it."""
    if not path.is_file():
        return
    with path.open("rb+") as file:
        content = file.read()
        if content and not content.endswith(b"\n"):
            file.truncate(content.rfind(b"\n") + 1)
            os.fsync(file.fileno())


def without_password(storage: str) -> str:
    """A storage as it may be shown."""
    scheme, found, rest = storage.partition("://")
    user, at, host = rest.rpartition("@")
    return f"{scheme}{found}{user.partition(':')[0]}{at}{host}" if found else storage
