"""Every promise of `sweeps.engines.engine.Engine`; a test class per engine inherits it and gives `build`."""

import os
import signal
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from sweeps.engines.engine import EndedRun, Engine
from tests.sweeps.engines.fake_worker import DONE, JOB, LINGER, SAVED, STARTED
from tests.sweeps.real_study import wait_until


class EngineContract(ABC):
    """Inherit, and define `build`."""

    @abstractmethod
    def build(self) -> Engine:
        """A fresh engine whose runs are `fake_run`'s."""

    @pytest.fixture
    def engine(self) -> Iterator[Engine]:
        engine = self.build()
        yield engine
        engine.close()

    @staticmethod
    def folder(parent: Path, name: str, job: str = "finish") -> Path:
        folder = parent / name
        folder.mkdir()
        (folder / JOB).write_text(job)
        return folder

    @staticmethod
    def first(engine: Engine, count: int) -> list[EndedRun]:
        """The first runs that end, while others still run."""
        ended: list[EndedRun] = []
        until = time.monotonic() + 90.0
        while len(ended) < count and time.monotonic() < until:
            ended += engine.wait(0.2)
        assert len(ended) == count, ended
        return ended

    @staticmethod
    def wait_for_start(engine: Engine, *folders: Path) -> None:
        """Wait until runs have started, and none has ended."""

        def has_started() -> bool:
            assert engine.wait(0.02) == []
            return all((folder / STARTED).exists() for folder in folders)

        wait_until(has_started)

    def all_of(self, engine: Engine, count: int) -> list[EndedRun]:
        """All the runs that the engine has, and no more."""
        ended = self.first(engine, count)
        assert engine.wait(0.0) == []
        return ended

    def test_is_an_engine(self, engine: Engine) -> None:
        assert isinstance(engine, Engine)
        assert engine.slots >= 1

    def test_every_folder_ends_once_and_is_computed_once(self, engine: Engine, tmp_path: Path) -> None:
        folders = [self.folder(tmp_path, str(number)) for number in range(5)]
        for folder in folders:
            engine.submit(folder)
        ended = self.all_of(engine, 5)
        assert {run.folder for run in ended} == set(folders)
        assert {run.status for run in ended} == {"finished"}
        assert all(len((folder / DONE).read_text().splitlines()) == 1 for folder in folders)

    def test_folders_start_in_the_order_of_submission(self, engine: Engine, tmp_path: Path) -> None:
        folders = [self.folder(tmp_path, name) for name in ("c", "a", "e", "b", "d")]
        for folder in folders:
            engine.submit(folder)
        ended = [run.folder for run in self.all_of(engine, 5)]
        # With more slots the later may overtake the earlier.
        assert ended == folders or engine.slots > 1

    @pytest.mark.parametrize(
        ("job", "status", "reason"),
        [("refuse", "refused", "as asked"), ("fail", "failed", None), ("raise", "failed", "OSError: No space left")],
    )
    def test_a_bad_run_ends_and_the_others_continue(
        self, engine: Engine, tmp_path: Path, job: str, status: str, reason: str | None
    ) -> None:
        engine.submit(self.folder(tmp_path, "bad", job))
        engine.submit(self.folder(tmp_path, "good"))
        engine.submit(self.folder(tmp_path, "better"))
        ended = {run.folder.name: run for run in self.all_of(engine, 3)}
        assert ended["bad"].status == status
        assert reason is None or reason in (ended["bad"].error or "")
        assert ended["good"].status == ended["better"].status == "finished"

    def test_after_an_end_the_same_folder_and_others_may_be_submitted(self, engine: Engine, tmp_path: Path) -> None:
        folder = self.folder(tmp_path, "again", "fail")
        engine.submit(folder)
        assert [run.status for run in self.all_of(engine, 1)] == ["failed"]
        (folder / JOB).write_text("finish")
        engine.submit(folder)
        engine.submit(self.folder(tmp_path, "other"))
        assert [run.status for run in self.all_of(engine, 2)] == ["finished", "finished"]

    def test_what_waits_is_cancelled_and_never_starts(self, engine: Engine, tmp_path: Path) -> None:
        folders = [self.folder(tmp_path, str(number)) for number in range(4)]
        for folder in folders:
            engine.submit(folder)
        engine.cancel()
        late = self.folder(tmp_path, "late")
        engine.submit(late)
        ended = {run.folder: run.status for run in self.all_of(engine, 5)}
        assert ended[folders[3]] == ended[late] == "cancelled"
        assert not any((folder / STARTED).exists() for folder in (folders[3], late))

    def test_a_run_that_is_asked_to_stop_saves_and_ends(self, engine: Engine, tmp_path: Path) -> None:
        folder = self.folder(tmp_path, "slow", "slow")
        engine.submit(folder)
        ended: list[EndedRun] = []
        with self.when(folder / STARTED, lambda: self.stop(engine)):
            while not ended:
                try:
                    ended = engine.wait(20.0)
                except KeyboardInterrupt:
                    # The signal was for this process too: so a driver that computes in it learns of the stop.
                    assert engine.in_process
        assert [(run.folder, run.status) for run in ended] == [(folder, "interrupted")]
        assert (folder / SAVED).exists()

    def test_waiting_ends_with_the_first_run_and_at_the_latest_when_its_time_is_over(
        self, engine: Engine, tmp_path: Path
    ) -> None:
        start = time.monotonic()
        assert engine.wait(20.0) == []
        assert time.monotonic() - start < 5.0, "there was nothing to wait for"
        engine.submit(self.folder(tmp_path, "quick"))
        assert len(engine.wait(60.0)) == 1
        assert time.monotonic() - start < 40.0
        if not engine.in_process:
            folder = self.folder(tmp_path, "slow", "slow")
            engine.submit(folder)
            self.wait_for_start(engine, folder)
            start = time.monotonic()
            assert engine.wait(0.3) == []
            assert 0.25 < time.monotonic() - start < 5.0

    def test_submitting_does_not_wait(self, engine: Engine, tmp_path: Path) -> None:
        folders = [self.folder(tmp_path, str(number), "nap") for number in range(4)]
        start = time.monotonic()
        for folder in folders:
            engine.submit(folder)
        assert time.monotonic() - start < 1.0
        assert len(self.all_of(engine, 4)) == 4

    def test_closing_leaves_nothing_that_starts_and_may_be_done_twice(self, engine: Engine, tmp_path: Path) -> None:
        folders = [self.folder(tmp_path, str(number)) for number in range(engine.slots + 2)]
        for folder in folders:
            engine.submit(folder)
        engine.close()
        engine.close()
        before = [(folder / STARTED).exists() for folder in folders]
        time.sleep(0.2)
        assert before == [(folder / STARTED).exists() for folder in folders]
        assert not before[-1]

    def stop(self, engine: Engine) -> None:
        """Ask what runs to save and stop."""
        if engine.in_process:
            os.kill(os.getpid(), signal.SIGTERM)
        else:
            engine.cancel()

    @staticmethod
    @contextmanager
    def when(path: Path, then: Callable[[], None]) -> Iterator[None]:
        """Do something in a thread as soon as a file is there; the thread has ended when the block is left."""

        def wait() -> None:
            wait_until(path.exists)
            then()

        thread = threading.Thread(target=wait, daemon=True)
        thread.start()
        yield
        thread.join()


class EngineOfProcessesContract(EngineContract):
    """What else an engine promises whose runs are processes of their own; `two` slots in it, at least."""

    @pytest.fixture
    def two(self) -> Iterator[Engine]:
        engine = self.build_two()
        yield engine
        engine.close()

    @abstractmethod
    def build_two(self) -> Engine:
        """A fresh engine with two slots."""

    def test_a_process_that_dies_ends_its_folder_alone(self, engine: Engine, tmp_path: Path) -> None:
        for name, job in (("dies", "die"), ("one", "finish"), ("two", "finish"), ("chokes", "choke"), ("three", "nap")):
            engine.submit(self.folder(tmp_path, name, job))
        ended = {run.folder.name: run for run in self.all_of(engine, 5)}
        assert ended["dies"].status == ended["chokes"].status == "killed"
        assert "SIGKILL" in (ended["dies"].error or "")
        assert {ended[name].status for name in ("one", "two", "three")} == {"finished"}

    def test_what_a_run_prints_is_no_answer(self, engine: Engine, tmp_path: Path) -> None:
        engine.submit(self.folder(tmp_path, "chatty", "chat"))
        engine.submit(self.folder(tmp_path, "next"))
        assert [run.status for run in self.all_of(engine, 2)] == ["finished", "finished"]

    def test_what_is_submitted_last_waits_longest(self, two: Engine, tmp_path: Path) -> None:
        folders = [self.folder(tmp_path, str(number), "slow") for number in range(4)]
        for folder in folders:
            two.submit(folder)
        self.wait_for_start(two, *folders[:2])
        assert two.wait(0.1) == []
        assert not any((folder / STARTED).exists() for folder in folders[2:])

    def test_a_slow_run_does_not_idle_the_other_slots(self, two: Engine, tmp_path: Path) -> None:
        slow = self.folder(tmp_path, "slow", "slow")
        two.submit(slow)
        self.wait_for_start(two, slow)
        for number in range(4):
            two.submit(self.folder(tmp_path, str(number)))
        assert {run.folder.name for run in self.first(two, 4)} == {"0", "1", "2", "3"}
        two.cancel()
        assert [run.status for run in self.all_of(two, 1)] == ["interrupted"]

    def test_a_process_that_takes_its_time_to_end_holds_nobody_up(self, two: Engine, tmp_path: Path) -> None:
        lingers = self.folder(tmp_path, "lingers", LINGER)
        two.submit(lingers)
        assert [run.status for run in self.first(two, 1)] == ["failed"]
        for number in range(3):
            two.submit(self.folder(tmp_path, str(number)))
        assert {run.status for run in self.first(two, 3)} == {"finished"}
        # Where an engine lets it linger, the test does not wait for it either.
        with suppress(ProcessLookupError):
            os.kill(int((lingers / STARTED).read_text()), signal.SIGKILL)

    def test_cancel_lets_all_save_and_cancel_now_kills(self, two: Engine, tmp_path: Path) -> None:
        folders = [self.folder(tmp_path, name, job) for name, job in (("0", "slow"), ("1", "stuck"), ("2", "slow"))]
        for folder in folders:
            two.submit(folder)
        self.wait_for_start(two, *folders[:2])
        two.cancel()
        ended = {run.folder: run.status for run in self.first(two, 2)}
        assert ended == {folders[0]: "interrupted", folders[2]: "cancelled"}
        assert [(folder / SAVED).exists() for folder in folders] == [True, False, False]
        two.cancel(now=True)
        assert [(run.folder, run.status) for run in self.all_of(two, 1)] == [(folders[1], "killed")]
