"""Trials in a storage: every backend keeps them whole, refuses what is not its search, and says when it is away."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import msgspec
import optuna
import pytest

from core.errors import UserError
from studies.axes import find_axis
from studies.search.storage import JOURNAL, StorageLost, TrialStore, without_password
from studies.search.trials import SearchTrial

AXES = [find_axis("slot-width"), find_axis("warmup")]
IDENTITY = {"profile": "quick", "rungs": (1, 2), "axes": {"memory.warmup": ["0", "1"]}}
BEGUN = SearchTrial(0, {"slot-width": "H"}, "a" * 12, {100: f"{'a' * 12}-s100"}, 1)
RUNS = {100: f"{'a' * 12}-s100", 101: f"{'a' * 12}-s101"}


class StoreContract(ABC):
    """Every promise of a store; inherit, and define `location`."""

    @abstractmethod
    def location(self, folder: Path) -> str:
        """The storage of a test."""

    def store(self, folder: Path, identity: dict[str, Any] = IDENTITY, name: str = "mine@quick") -> TrialStore:
        return TrialStore(self.location(folder), name=name, axes=AXES, identity=identity)

    def test_a_trial_comes_back_as_it_was_kept(self, tmp_path: Path) -> None:
        store = self.store(tmp_path)
        assert store.load() == []
        store.add(BEGUN)
        onward = msgspec.structs.replace(BEGUN.with_scores({100: 0.1 + 0.2}), rung=2, runs=RUNS, why="the best so far")
        store.update(onward)
        store.close()
        again = self.store(tmp_path)
        assert again.load() == [onward]
        finished = msgspec.structs.replace(
            onward.with_scores({100: 0.1 + 0.2, 101: 1 / 3}), state="finished", why="finished: it has all 2 seeds"
        )
        again.update(finished)
        again.close()
        last = self.store(tmp_path)
        assert last.load() == [finished], "not a digit is lost"
        last.close()

    def test_optuna_and_its_dashboard_see_value_spread_and_seeds(self, tmp_path: Path) -> None:
        store = self.store(tmp_path)
        store.add(BEGUN)
        store.update(msgspec.structs.replace(BEGUN.with_scores({100: 30.0}), rung=2, runs=RUNS, why="the best so far"))
        store.update(
            msgspec.structs.replace(
                BEGUN.with_scores({100: 30.0, 101: 34.0}), rung=2, runs=RUNS, state="stopped", why="stopped: -3"
            )
        )
        store.add(msgspec.structs.replace(BEGUN, number=1, params={"slot-width": "32", "warmup": "1"}))
        store.update(msgspec.structs.replace(BEGUN, number=1, state="failed", why="seed 100 failed: boom"))
        store.add(msgspec.structs.replace(BEGUN, number=2))
        study = optuna.load_study(study_name="mine@quick", storage=store._backend)
        first, second, third = study.trials
        assert (first.state.name, first.value, first.params) == ("COMPLETE", 32.0, {"slot-width": "H"})
        assert first.intermediate_values == {1: 30.0, 2: 32.0}
        attributes = first.user_attrs
        assert attributes["sd"] == pytest.approx(8**0.5)
        assert [attributes[name] for name in ("mean", "n", "seeds", "rung")] == [32.0, 2, [100, 101], 2]
        assert attributes["why"] == "stopped: -3"
        assert list(attributes["runs"].values()) == list(RUNS.values())
        assert (second.state.name, second.user_attrs["why"]) == ("FAIL", "seed 100 failed: boom")
        assert third.state.name == "RUNNING"
        assert study.best_trial.number == 0
        store.close()

    def test_another_search_of_the_same_name_is_refused(self, tmp_path: Path) -> None:
        self.store(tmp_path).close()
        with pytest.raises(UserError, match=r"was started with rungs \[1, 2\], this time it is \[1, 3\].*--name NAME"):
            self.store(tmp_path, IDENTITY | {"rungs": (1, 3)})
        other = self.store(tmp_path, IDENTITY | {"rungs": (1, 3)}, name="other@quick")
        assert other.load() == []
        other.close()

    def test_a_study_of_something_else_is_left_alone(self, tmp_path: Path) -> None:
        store = self.store(tmp_path, name="mine@quick")
        foreign = optuna.create_study(storage=store._backend, study_name="theirs")
        foreign.add_trial(optuna.create_trial(value=1.0))
        with pytest.raises(UserError, match="is not a search of Engram"):
            self.store(tmp_path, name="theirs")
        assert len(foreign.trials) == 1
        store.close()

    def test_a_second_driver_is_noticed(self, tmp_path: Path) -> None:
        one, other = self.store(tmp_path), self.store(tmp_path)
        one.load()
        other.load()
        one.add(BEGUN)
        with pytest.raises(UserError, match="a search has one driver"):
            other.add(BEGUN)
        one.close()
        other.close()


class TestJournal(StoreContract):
    def location(self, folder: Path) -> str:
        return str(folder / JOURNAL)

    def test_a_half_written_last_line_is_removed(self, tmp_path: Path) -> None:
        store = self.store(tmp_path)
        store.add(BEGUN)
        path = tmp_path / JOURNAL
        whole = path.read_bytes()
        store.update(msgspec.structs.replace(BEGUN.with_scores({100: 30.0}), state="stopped"))
        for cut in (1, 9):
            path.write_bytes(whole + path.read_bytes()[len(whole) : len(whole) + cut])
            again = self.store(tmp_path)
            assert again.load() == [BEGUN]
            again.update(msgspec.structs.replace(BEGUN.with_scores({100: 30.0}), state="stopped"))
            assert [trial.state for trial in self.store(tmp_path).load()] == ["stopped"]

    def test_a_folder_that_is_not_there_is_one_line(self, tmp_path: Path) -> None:
        with pytest.raises(StorageLost, match=r"the trials in .*nowhere/optuna.journal cannot be reached: "):
            TrialStore(str(tmp_path / "nowhere" / JOURNAL), name="mine", axes=AXES, identity=IDENTITY)


class TestSqlite(StoreContract):
    def location(self, folder: Path) -> str:
        return f"sqlite:///{folder / 'trials.db'}"


@pytest.mark.parametrize(
    ("storage", "message"),
    [
        ("foo://somewhere", "--storage foo://somewhere cannot be used"),
        ("postgresql+nodriver://me:secret@host/db", r"--storage postgresql\+nodriver://me@host/db cannot be used"),
        ("mysql+mysqldb://me:secret@host/db", r"--storage mysql\+mysqldb://me@host/db cannot be used"),
        ("postgresql+psycopg://me:secret@127.0.0.1:1/db", r"postgresql\+psycopg://me@127.0.0.1:1/db cannot be reached"),
    ],
)
def test_a_storage_that_cannot_be_is_one_line_without_the_password(storage: str, message: str) -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(UserError, match=message) as caught:
        TrialStore(storage, name="mine", axes=AXES, identity=IDENTITY)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("storage", "shown"),
    [
        ("postgresql+psycopg://me:se:c%40ret@host:5432/db", "postgresql+psycopg://me@host:5432/db"),
        ("postgresql://host/db?password=secret", "postgresql://host/db?password=..."),
        (
            "postgresql://host/db?user=me&password=a&password=secret&x=1",
            "postgresql://host/db?password=...&user=me&x=1",
        ),
        ("postgresql:///db?user=me&PassWord=secret", "postgresql:///db?PassWord=...&user=me"),
        ("mysql+pyodbc://?odbc_connect=DRIVER%3D%3BPWD%3Dsecret", "mysql+pyodbc://?odbc_connect=..."),
        # What is no URL, or has an @ in its password, shows nothing of itself.
        ("postgresql://me:se@secret@host/db", "postgresql://..."),
        ("postgresql://me:secret/db", "postgresql://..."),
        ("sqlite:////tmp/a@b.db", "sqlite:////tmp/a@b.db"),
        ("/home/me/trials.journal", "/home/me/trials.journal"),
    ],
)
def test_passwords_are_not_shown(storage: str, shown: str) -> None:
    assert without_password(storage) == shown
    assert without_password(shown) == shown


@pytest.mark.parametrize(
    "line", ["{", "[]", '{"op_code": 4, "worker_id": "x"}', "\udcff\udcfe", "null", '{"op_code": 99}']
)
def test_a_damaged_line_of_a_journal_is_named(tmp_path: Path, line: str) -> None:
    store = TestJournal().store(tmp_path)
    store.add(BEGUN)
    path = tmp_path / JOURNAL
    lines = path.read_bytes().splitlines(keepends=True)
    lines[2] = line.encode(errors="surrogateescape") + b"\n"
    path.write_bytes(b"".join(lines))
    with pytest.raises(UserError, match=rf"{path}: line 3 is damaged .*: restore the file, or .* --name NAME"):
        TestJournal().store(tmp_path)
