"""Optuna storage of a search's trials: the only truth about them; search.json (`studies.search.trials`) is its export.

It is a journal file, or any database that Optuna reaches by a URL. A trial is added whole, with its parameters, so that
a process that dies leaves no half of one behind; scores and decisions are trial attributes that `optuna-dashboard`
shows. Only the search's own process writes.
"""

import json
import os
import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from core.errors import UserError, first_line
from studies.axes import Axis
from studies.search.space import optuna_distributions, optuna_params, quiet_optuna
from studies.search.trials import SearchTrial

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial
    from sqlalchemy import URL

JOURNAL = "optuna.journal"
IDENTITY = "engram"
"""The study attribute that says of which search it is."""
HIDDEN = "..."
SECRET = re.compile("pass|pwd|secret|token|key|odbc", re.IGNORECASE)
"""Names of a URL's parts that are not shown."""
URL_WAY_OUT = (
    "give sqlite:///FILE, postgresql+psycopg://USER@HOST/NAME (with pip install 'engram[postgresql]'), or the path of "
    "a journal file"
)


class StorageLost(UserError):
    """The storage does not answer: nothing is lost, as runs are in their folders and are entered when it does."""


class TrialStore:
    """The trials of one search in an Optuna storage; `storage` is a URL, or the path of a journal file.

    `identity` is what must be equal for a search to resume; a UserError where the storage has another of that name.
    """

    def __init__(self, storage: str, *, name: str, axes: Sequence[Axis], identity: Mapping[str, Any]) -> None:
        self.storage, self.name = storage, name
        self.shown = without_password(storage)
        self._axes = {axis.name: axis for axis in axes}
        self._distributions = optuna_distributions(axes)
        with plain_errors(storage):
            self._backend = open_storage(storage)
        try:
            self._open_study(identity)
        except BaseException:
            self.close()
            raise

    def _open_study(self, identity: Mapping[str, Any]) -> None:
        """Make the study, or take up the one that is there."""
        import optuna

        # As a storage gives it back: what is a tuple here is a list there.
        asked: dict[str, Any] = json.loads(json.dumps(dict(identity)))
        with plain_errors(self.storage):
            try:
                self._study = self._backend.create_new_study([optuna.study.StudyDirection.MAXIMIZE], self.name)
            except optuna.exceptions.DuplicatedStudyError:
                self._study = self._backend.get_study_id_from_name(self.name)
            stored = self._backend.get_study_user_attrs(self._study).get(IDENTITY)
            if stored is None and not self._backend.get_all_trials(self._study, deepcopy=False):
                self._backend.set_study_user_attr(self._study, IDENTITY, asked)
                return
        if stored is None:
            raise UserError(f"{self.shown} has a study {self.name} that is not a search of Engram: give another --name")
        for setting in asked:
            if stored.get(setting) != asked[setting]:
                raise UserError(
                    f"search {self.name} in {self.shown} was started with {setting} {stored.get(setting)}, this time "
                    f"it is {asked[setting]}: give the same, or keep this search apart (--name NAME)"
                )

    def load(self) -> list[SearchTrial]:
        """Every trial, in the order of their numbers."""
        with plain_errors(self.storage):
            stored = self._backend.get_all_trials(self._study, deepcopy=False)
        return [self._read(trial) for trial in stored]

    def add(self, trial: SearchTrial) -> None:
        """Add a trial that begins; its number must be the next one."""
        from optuna.trial import TrialState, create_trial

        new = create_trial(
            state=TrialState.RUNNING,
            params=optuna_params(self._axes.values(), trial.params),
            distributions={name: self._distributions[name] for name in trial.params},
            user_attrs=attributes(trial),
        )
        with plain_errors(self.storage):
            number = self._backend.get_trial_number_from_id(
                self._backend.create_new_trial(self._study, template_trial=new)
            )
        if number != trial.number:
            raise UserError(
                f"{self.shown}: another process adds trials to search {self.name} (its trial {trial.number}): a search "
                "has one driver; give this one another --name"
            )

    def update(self, trial: SearchTrial) -> None:
        """Write what has changed of a trial, its state last."""
        from optuna.trial import TrialState

        with plain_errors(self.storage):
            trial_id = self._backend.get_trial_id_from_study_id_trial_number(self._study, trial.number)
            stored = self._backend.get_trial(trial_id)
            for name, value in attributes(trial).items():
                if value != stored.user_attrs.get(name):
                    self._backend.set_trial_user_attr(trial_id, name, value)
            if trial.value is not None and trial.n not in stored.intermediate_values:
                self._backend.set_trial_intermediate_value(trial_id, trial.n, trial.value)
            if trial.is_open:
                return
            if trial.state == "failed" or trial.value is None:
                self._backend.set_trial_state_values(trial_id, TrialState.FAIL)
            else:
                # A stopped one has its mean so far as its value: as a pruned one TPE would rank it below all others.
                self._backend.set_trial_state_values(trial_id, TrialState.COMPLETE, [trial.value])

    def close(self) -> None:
        """Close the connection to a database."""
        engine = getattr(self._backend, "engine", None)
        if engine is not None:
            self._backend.remove_session()
            engine.dispose()

    def _read(self, stored: "FrozenTrial") -> SearchTrial:
        ranges = {name: self._axes[name] for name in stored.params if name in self._axes and self._axes[name].is_range}
        labels = {name: axis.label(stored.params[name]) for name, axis in ranges.items()}
        fields: dict[str, Any] = {"number": stored.number, "params": stored.params | labels, **stored.user_attrs}
        if not stored.state.is_finished():
            fields["state"] = "running"
        try:
            # As JSON, so that text which search.json could not hold is found here.
            trial = msgspec.json.decode(msgspec.json.encode(fields), type=SearchTrial)
        except (msgspec.ValidationError, UnicodeEncodeError) as error:
            raise UserError(
                f"{self.shown}: trial {stored.number} of {self.name} was not written by Engram ({error}): give another "
                "--name"
            ) from None
        return trial.with_scores(trial.scores)


def attributes(trial: SearchTrial) -> dict[str, Any]:
    """The attributes of a trial in the storage; `mean`, `sd` and `seeds` are for the dashboard."""
    fields = msgspec.to_builtins(trial, str_keys=True)
    for derived in ("number", "params", "value", "spread"):
        del fields[derived]
    return fields | {"mean": trial.value, "sd": trial.spread, "seeds": list(trial.scores)}


def open_storage(storage: str) -> "BaseStorage":
    """The storage of a URL, or of a journal file by its path; a UserError for a damaged journal."""
    from optuna.storages import JournalStorage, RDBStorage

    quiet_optuna()
    if "://" in storage:
        parse_url(storage)
        # Asked before each use, so that a database that went and came back is found again.
        return RDBStorage(storage, engine_kwargs={"pool_pre_ping": True})
    journal = Path(storage)
    if not journal.exists() and not journal.parent.is_dir():
        raise StorageLost(f"the trials in {storage} cannot be reached: there is no folder {journal.parent}")
    backend, content = journal_backend(journal), b""
    if journal.exists():
        if not journal.is_file():
            raise UserError(f"--storage {storage} is no file: give the path of a journal file, or a database's URL")
        content = journal.read_bytes()
        content = content[: content.rfind(b"\n") + 1]
        # A killed process may have left its last line half written: the next one would be written behind it.
        os.truncate(journal, len(content))
    try:
        opened = JournalStorage(backend)
        # Optuna ignores a damaged last line, until another one is written behind it.
        json.loads(content[:-1].rpartition(b"\n")[2] or "{}")
        return opened
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001 - Optuna trusts a journal, so that damage raises whatever it hits upon
        raise UserError(
            f"{journal}: line {backend.line} is damaged ({type(error).__name__}: {first_line(error)}): restore the "
            "file, or start the search anew with --name NAME; runs that it finished are not computed again"
        ) from None


def journal_backend(journal: Path) -> Any:
    """Optuna's journal file, which counts in `line` the lines that were read."""
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    class Counted(JournalFileBackend):
        line = 0

        def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
            self.line = log_number_from + 1
            for entry in super().read_logs(log_number_from):
                yield entry
                self.line += 1

    # By open(O_EXCL) and not by a symbolic link, which not every disk that hosts share has; both exclude each other.
    return Counted(str(journal), lock_obj=JournalFileOpenLock(str(journal)))


@contextmanager
def plain_errors(storage: str) -> Iterator[None]:
    """Turn what Optuna, SQLAlchemy and database drivers raise into one line of ours, without a password."""
    import optuna
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

    shown = without_password(storage)
    try:
        yield
    except UserError:
        raise
    except (ArgumentError, NoSuchModuleError, ImportError, RuntimeError) as error:
        raise UserError(
            f"--storage {shown} cannot be used ({hide(first_line(error), storage)}): {URL_WAY_OUT}"
        ) from None
    except (optuna.exceptions.StorageInternalError, SQLAlchemyError, OSError, ValueError) as error:
        cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
        raise StorageLost(f"the trials in {shown} cannot be reached: {hide(first_line(cause), storage)}") from None


def parse_url(storage: str) -> "URL":
    """The URL of a database; a UserError, which shows nothing of what may be a password, for what is none."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    scheme = storage.partition("://")[0]
    try:
        url = make_url(storage)
    except (ArgumentError, ValueError):
        raise UserError(f"--storage {scheme}://{HIDDEN} is no URL of a database: {URL_WAY_OUT}") from None
    if "@" in (url.host or "") or (url.host and "@" in (url.database or "")):
        raise UserError(f"--storage {scheme}://{HIDDEN} has more than one @: write the one in the password as %40")
    return url


def without_password(storage: str) -> str:
    """A storage as it may be shown and kept: a URL without its password, which may also stand in its query."""
    if "://" not in storage:
        return storage
    try:
        url = parse_url(storage)
    except UserError:
        return f"{storage.partition('://')[0]}://{HIDDEN}"
    query = {name: HIDDEN if SECRET.search(name) else value for name, value in url.query.items()}
    if url.password is None and query == dict(url.query):
        return storage
    hidden = url.create(url.drivername, url.username, None, url.host, url.port, url.database, query)
    return hidden.render_as_string()


def hide(text: str, storage: str) -> str:
    """A library's message without the passwords of a storage's URL."""
    url = parse_url(storage) if "://" in storage else None
    for name, value in (("password", url.password), *url.query.items()) if url is not None else ():
        for secret in (value,) if isinstance(value, str) else value or ():
            if SECRET.search(name) and secret:
                text = text.replace(secret, HIDDEN)
    return text
