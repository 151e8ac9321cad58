"""Every promise of `sweeps.engine.Engine`; a test class per engine inherits it and gives `build`."""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

import pytest

from sweeps.engine import Ended, Engine
from tests.sweeps.fake_worker import DONE, JOB


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
    def all_of(engine: Engine, count: int, seconds: float = 30.0) -> list[Ended]:
        ended: list[Ended] = []
        until = time.monotonic() + seconds
        while len(ended) < count and time.monotonic() < until:
            ended += engine.wait(0.2)
        assert len(ended) == count, ended
        assert engine.wait(0.0) == []
        return ended

    def test_is_an_engine(self, engine: Engine) -> None:
        assert isinstance(engine, Engine)
        assert engine.slots >= 1

    def test_every_folder_ends_once_in_order_of_submission(self, engine: Engine, tmp_path: Path) -> None:
        folders = [self.folder(tmp_path, str(number)) for number in range(5)]
        for folder in folders:
            engine.submit(folder)
        ended = self.all_of(engine, 5)
        assert {one.folder for one in ended} == set(folders)
        assert {one.status for one in ended} == {"finished"}
        assert all(len((folder / DONE).read_text().splitlines()) == 1 for folder in folders)
        if engine.slots == 1:
            assert [one.folder for one in ended] == folders

    @pytest.mark.parametrize(("job", "status", "reason"), [("refuse", "refused", "as asked"), ("fail", "failed", None)])
    def test_a_bad_run_ends_and_the_others_go_on(
        self, engine: Engine, tmp_path: Path, job: str, status: str, reason: str | None
    ) -> None:
        engine.submit(self.folder(tmp_path, "bad", job))
        engine.submit(self.folder(tmp_path, "good"))
        engine.submit(self.folder(tmp_path, "better"))
        ended = {one.folder.name: one for one in self.all_of(engine, 3)}
        assert ended["bad"].status == status
        assert reason is None or reason in (ended["bad"].error or "")
        assert ended["good"].status == ended["better"].status == "finished"

    def test_a_run_that_raises_ends_with_its_reason(self, engine: Engine, tmp_path: Path) -> None:
        engine.submit(self.folder(tmp_path, "full", "raise"))
        (ended,) = self.all_of(engine, 1)
        assert ended.status in ("failed", "refused")
        assert "No space left" in (ended.error or "")

    def test_what_waits_is_cancelled_and_never_starts(self, engine: Engine, tmp_path: Path) -> None:
        folders = [self.folder(tmp_path, str(number)) for number in range(4)]
        for folder in folders:
            engine.submit(folder)
        engine.cancel()
        ended = {one.folder: one.status for one in self.all_of(engine, 4)}
        assert ended[folders[3]] == "cancelled"
        assert not (folders[3] / DONE).exists()

    def test_waiting_with_nothing_to_wait_for_returns_at_once(self, engine: Engine) -> None:
        start = time.monotonic()
        assert engine.wait(20.0) == []
        assert time.monotonic() - start < 5.0
