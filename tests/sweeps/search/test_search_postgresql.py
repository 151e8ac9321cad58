"""A search whose trials are in a real PostgreSQL, which dies in the middle and comes back."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.progress import StopRequest
from sweeps.display import live_display
from sweeps.engines.in_process import InProcessEngine
from sweeps.launch import Launcher
from sweeps.search_display import SearchScreen
from tests.studies.search.test_storage import StoreContract
from tests.sweeps.search.fake_search import FakeRun, SearchFolder
from tests.sweeps.search.postgresql import Server, server


@pytest.fixture(scope="module")
def postgresql() -> Iterator[Server]:
    with server() as running:
        yield running


class TestPostgresql(StoreContract):
    @pytest.fixture(autouse=True)
    def _fresh(self, postgresql: Server) -> None:
        import psycopg

        self.url = postgresql.url
        with psycopg.connect(self.url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute("DROP SCHEMA public CASCADE")
            connection.execute("CREATE SCHEMA public")

    def location(self, folder: Path) -> str:
        return self.url


def test_a_database_that_dies_loses_nothing(
    tmp_path: Path, postgresql: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, run = (
        SearchFolder(tmp_path, name="dies", search={"trials": 5, "rungs": [1, 2], "seeds": [100, 101]}),
        FakeRun(),
    )
    whole = folder.search(FakeRun(), runs="whole").trials
    loop = folder.loop(storage=postgresql.url)

    def dies(what: str) -> None:
        if len(run.computed) == 3 and what.startswith("start"):
            postgresql.kill()

    run.before = dies
    try:
        shown = SearchScreen(loop, slots=1)
        with live_display(shown):
            launch = Launcher(
                loop.run_states, InProcessEngine(run), folder.planned(), on_change=shown.show_run, feed=loop.feed
            )
            loop.on_trial = shown.show_trial
            launch.run(StopRequest())
    finally:
        loop.store.close()
    assert loop.lost is not None
    assert str(loop.lost).startswith(f"the trials in {postgresql.url} cannot be reached: ")
    assert not loop.is_ended
    computed = list(run.computed)
    assert len(computed) == 4, "the run that was going on has its record"
    assert "cannot be reached" in capsys.readouterr().err
    postgresql.start()
    run.before = lambda what: None
    again = folder.search(run, storage=postgresql.url)
    assert again.is_ended
    assert len(set(run.computed)) == len(run.computed), "nothing is computed again"
    assert again.trials == whole


def test_a_search_continues_when_its_database_comes_back_in_time(tmp_path: Path, postgresql: Server) -> None:
    folder, run = (
        SearchFolder(tmp_path, name="short", search={"trials": 5, "rungs": [1, 2], "seeds": [100, 101]}),
        FakeRun(),
    )

    def hiccups(what: str) -> None:
        if len(run.computed) == 2 and what.startswith("start"):
            postgresql.kill()
            postgresql.start()

    run.before = hiccups
    loop = folder.search(run, storage=postgresql.url)
    assert loop.is_ended
    assert loop.lost is None
    assert len(set(run.computed)) == len(run.computed)
