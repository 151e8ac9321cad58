"""The search loop, with runs that only pretend: what it tries, stops, keeps, and how it survives being killed."""

import io
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from rich.console import Console

import sweeps.run_states
from core.config.schema import RunConfig
from core.errors import UserError
from core.progress import StopRequest
from core.records.summary import RunSummary, read_summary
from studies.search.trials import SearchTrial
from sweeps.display import live_display
from sweeps.engines.in_process import InProcessEngine
from sweeps.launch import Launcher
from sweeps.search_display import SearchScreen
from tests.sweeps.search.fake_search import AnyOrderEngine, FakeRun, SearchFolder, hill

WRITES = (
    "create_new_study",
    "set_study_user_attr",
    "create_new_trial",
    "set_trial_user_attr",
    "set_trial_intermediate_value",
    "set_trial_state_values",
)


class Killed(BaseException):
    """The driver dies."""


class Fate:
    """Counts events, and kills the driver at one of them."""

    def __init__(self, at: int | None = None) -> None:
        self.at, self.count = at, 0

    def event(self, what: str) -> None:
        self.count += 1
        if self.count == self.at:
            raise Killed(what)


class MortalStorage:
    """A storage whose every write is two events, one before and one after it took effect."""

    def __init__(self, backend: Any) -> None:
        self.backend, self.fate = backend, Fate()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.backend, name)
        if name not in WRITES:
            return found

        def write(*given: Any, **named: Any) -> Any:
            self.fate.event(f"before {name}")
            result = found(*given, **named)
            self.fate.event(f"after {name}")
            return result

        return write


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch) -> Callable[[], MortalStorage]:
    """A fresh storage in memory that outlives the stores that are opened on it."""
    from optuna.storages import InMemoryStorage

    def fresh() -> MortalStorage:
        made = MortalStorage(InMemoryStorage())
        monkeypatch.setattr("studies.search.storage.open_storage", lambda where: made)
        return made

    return fresh


def outcome(trials: list[SearchTrial]) -> list[tuple[Any, ...]]:
    return [
        (trial.number, trial.params, trial.signature, trial.scores, trial.state, trial.rung, trial.why)
        for trial in trials
    ]


def test_a_search_tries_judges_and_ends(tmp_path: Path) -> None:
    run = FakeRun()
    loop = SearchFolder(tmp_path).search(run)
    assert loop.is_ended
    assert len(loop.trials) == 8
    assert len({trial.signature for trial in loop.trials}) == 8, "no config is tried twice"
    assert loop.trials[0].params == {"slot-width": "H", "read-mode": "inverse", "warmup": "0.4"}, "the base comes first"
    assert sorted(run.computed) == sorted(run_id for trial in loop.trials for run_id in trial.runs.values())
    assert len(run.computed) < 8 * 3, "some are stopped early"
    for trial in loop.trials:
        assert trial.state == ("finished" if trial.n == 3 else "stopped")
        assert list(trial.scores) == list(trial.runs) == [100, 101, 102][: trial.n]
        assert trial.value == pytest.approx(np.mean(list(trial.scores.values())))
        if trial.n > 1:
            assert trial.spread == pytest.approx(np.std(list(trial.scores.values()), ddof=1))
        else:
            assert trial.spread is None
    assert loop.best is not None
    assert loop.best.value == max(trial.value for trial in loop.trials if trial.n == 3 and trial.value is not None)


def test_a_finished_search_computes_nothing_and_resumes_with_more_trials(tmp_path: Path) -> None:
    folder, run = SearchFolder(tmp_path), FakeRun()
    first = folder.search(run)
    computed = list(run.computed)
    again = folder.search(run)
    assert run.computed == computed
    assert outcome(again.trials) == outcome(first.trials)
    longer = folder.search(run, trials=12)
    assert outcome(longer.trials[:8]) == outcome(first.trials)
    assert len(longer.trials) == 12
    assert run.computed[: len(computed)] == computed
    whole = folder.search(FakeRun(), trials=12, runs="whole")
    assert outcome(whole.trials) == outcome(longer.trials), "as if asked at once"


def test_a_death_at_any_moment_changes_no_decision(
    tmp_path: Path, storage: Callable[[], MortalStorage], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = SearchFolder(tmp_path, search={"trials": 3, "rungs": [1, 2], "seeds": [100, 101], "startup": 2})
    backend, run = storage(), FakeRun()
    run.before = backend.fate.event
    whole = outcome(folder.search(run, runs="whole").trials)
    computed, events = run.computed, backend.fate.count
    assert events > 30
    # All of them were tried once; ten keep the test short.
    for at in sorted(random.Random(0).sample(range(1, events + 1), 10)):
        backend, run = storage(), FakeRun()
        backend.fate = Fate(at)
        run.before = backend.fate.event
        with pytest.raises(Killed):
            folder.search(run, runs=f"killed-{at}")
        assert outcome(folder.search(run, runs=f"killed-{at}").trials) == whole, at
        # A run is computed again only where it died before its record was written.
        assert sorted(set(run.computed)) == sorted(set(computed)), at
        assert len(run.computed) <= len(computed) + 1, at


def test_deaths_one_after_another_change_nothing_either(tmp_path: Path, storage: Callable[[], MortalStorage]) -> None:
    folder, generator = SearchFolder(tmp_path), random.Random(3)
    storage()
    whole = outcome(folder.search(FakeRun(), runs="whole").trials)
    backend, run, deaths = storage(), FakeRun(), 0
    while True:
        backend.fate = Fate(generator.randint(10, 45))
        run.before = backend.fate.event
        try:
            loop = folder.search(run, runs="killed")
            break
        except Killed:
            deaths += 1
    assert deaths > 3
    assert outcome(loop.trials) == whole


@pytest.mark.parametrize("slots", [2, 4])
def test_several_at_once_keep_every_slot_busy_and_propose_different_configs(tmp_path: Path, slots: int) -> None:
    folder, run = SearchFolder(tmp_path, search={"trials": 16}), FakeRun()
    engine = AnyOrderEngine(run, slots=slots, key=slots)
    loop = folder.search(run, engine)
    assert loop.is_ended
    assert len({trial.signature for trial in loop.trials}) == 16
    assert len(set(run.computed)) == len(run.computed), "no run twice"
    # Until the last trial has begun there is always something to do.
    last = run.computed.index(loop.trials[-1].runs[100])
    assert set(engine.busy[: last - slots]) == {slots}


def test_with_several_at_once_decisions_that_were_made_are_kept(
    tmp_path: Path, storage: Callable[[], MortalStorage]
) -> None:
    folder = SearchFolder(tmp_path, search={"trials": 10})
    for at in (25, 60, 110):
        backend, run = storage(), FakeRun()
        backend.fate = Fate(at)
        run.before = backend.fate.event
        where = f"killed-{at}"
        with pytest.raises(Killed):
            folder.search(run, AnyOrderEngine(run, slots=3, key=at), runs=where)
        before = folder.loops[-1].store.load()
        after = folder.search(run, AnyOrderEngine(run, slots=3, key=at + 1), runs=where).trials
        assert len(after) == 10
        for old, new in zip(before, after, strict=False):
            assert (old.number, old.params, old.signature) == (new.number, new.params, new.signature)
            assert new.rung >= old.rung
            if not old.is_open:
                assert new == old
        assert all(not trial.is_open for trial in after)


def test_a_failed_run_fails_its_trial_and_the_search_continues(tmp_path: Path) -> None:
    run = FakeRun(fails=lambda config: config.memory is not None and config.memory.read_mode == "inverse")
    loop = SearchFolder(tmp_path, search={"trials": 10}).search(run)
    failed = [trial for trial in loop.trials if trial.state == "failed"]
    assert {trial.params["read-mode"] for trial in failed} == {"inverse"}
    assert failed[0].why == "seed 100 failed: ValueError: as planted"
    assert failed[0].value is None
    assert len(loop.trials) == 10
    assert loop.best is not None
    assert loop.best.params["read-mode"] != "inverse"


def test_a_later_seed_that_fails_takes_its_trial_out(tmp_path: Path) -> None:
    run = FakeRun(fails=lambda config: config.seed == 101 and config.memory is not None and config.memory.warmup == 0.4)
    loop = SearchFolder(tmp_path).search(run)
    assert loop.trials[0].state == "failed"
    assert loop.trials[0].why.startswith("seed 101 failed")
    assert loop.best is not None
    assert loop.best.number != 0


def test_a_run_without_a_validation_score_fails_its_trial(tmp_path: Path) -> None:
    run = FakeRun()
    run.score = lambda config: float("nan") if config.seed == 101 else hill(config)
    loop = SearchFolder(tmp_path).search(run)
    assert loop.trials[0].why == "seed 101: its record has no validation score of relation_strict"
    assert loop.trials[0].state == "failed"


def test_a_small_space_is_tried_out(tmp_path: Path) -> None:
    axes = [{"name": "warmup", "values": [0.2, 0.4]}, {"name": "read-mode", "values": ["none", "inverse"]}]
    loop = SearchFolder(tmp_path, axes=axes, search={"trials": 30}).search(FakeRun())
    assert sorted(tuple(trial.params.values()) for trial in loop.trials) == [
        ("inverse", "0.2"),
        ("inverse", "0.4"),
        ("write-only",),
    ]
    assert loop.is_ended


def test_runs_that_another_study_computed_are_read_not_computed(tmp_path: Path) -> None:
    folder, run = SearchFolder(tmp_path), FakeRun()
    first = folder.search(run)
    (tmp_path / "runs.journal").unlink()
    again = FakeRun()
    assert outcome(folder.search(again).trials) == outcome(first.trials)
    assert again.computed == []


def test_other_documents_under_an_open_trial_are_refused(tmp_path: Path) -> None:
    folder, run = SearchFolder(tmp_path), FakeRun()

    def dies(what: str) -> None:
        if len(run.computed) == 2:
            raise Killed

    run.before = dies
    with pytest.raises(Killed):
        folder.search(run)
    documents = tmp_path / "documents.json"
    documents.write_text(documents.read_text() + "\n")
    with pytest.raises(UserError, match=r"trial \d was started with signature .* documents or code have changed"):
        folder.search(FakeRun())


class NoTest(dict[str, Any]):
    """Metrics of a record in which nobody may look at test, nor at everything."""

    def __getitem__(self, key: str) -> Any:
        assert key != "test", "a search looked at test"
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        assert key != "test", "a search looked at test"
        return super().get(key, default)

    def __contains__(self, key: object) -> bool:
        assert key != "test", "a search looked at test"
        return super().__contains__(key)

    def _all(self) -> Iterator[Any]:
        raise AssertionError("a search looked at every split")

    values = items = __iter__ = _all  # type: ignore[assignment]


def test_no_part_of_a_search_looks_at_test(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    looked = []

    def guarded(folder: Path) -> RunSummary:
        summary = read_summary(folder)
        looked.append(folder)
        return msgspec.structs.replace(summary, metrics=NoTest(summary.metrics))

    monkeypatch.setattr(sweeps.run_states, "read_summary", guarded)

    def upside_down(config: RunConfig, value: float) -> dict[str, Any]:
        return {"relation_strict": {"f1": 1000.0 - value}}

    folder = SearchFolder(tmp_path)
    loop = folder.loop(slots=1)
    shown = SearchScreen(loop, slots=1)
    with live_display(shown):
        engine = InProcessEngine(FakeRun(test=upside_down))
        launch = Launcher(loop.run_states, engine, folder.planned(), on_change=shown.show_run, feed=loop.feed)
        loop.on_trial = shown.show_trial
        launch.run(StopRequest())
        rendered = Console(file=io.StringIO())
        rendered.print(shown)
    assert loop.is_ended
    assert len(looked) >= 8
    monkeypatch.setattr(sweeps.run_states, "read_summary", read_summary)
    plain = folder.search(FakeRun(), runs="without")
    assert outcome(loop.trials) == outcome(plain.trials), "test scores that say the opposite change nothing"
    err = capsys.readouterr().err
    assert re.search(r"validation F1 \d\d\.\d\d\n", err)
    assert not re.search(r"9\d\d\.\d\d", err), "no score of test is shown"


def test_in_a_terminal_the_trials_are_a_table_and_what_failed_is_a_line(tmp_path: Path) -> None:
    folder, shown = SearchFolder(tmp_path), io.StringIO()
    loop = folder.loop()
    run = FakeRun(fails=lambda config: config.memory is not None and config.memory.read_mode == "normal")
    console = Console(file=shown, force_terminal=True, width=150)
    screen = SearchScreen(loop, slots=1)
    with live_display(screen, console=console):
        launch = Launcher(
            loop.run_states, InProcessEngine(run), folder.planned(), on_change=screen.show_run, feed=loop.feed
        )
        loop.on_trial = screen.show_trial
        launch.run(StopRequest())
    out = shown.getvalue()
    assert "trial 1 seed 100  failed  ValueError: as planted" in out
    assert "trial 0 starts" not in out, "that is a line where there is no terminal"
    assert loop.best is not None
    failed = sum(trial.state == "failed" for trial in loop.trials)
    assert f"8 of 8 trials ({failed} failed, " in out
    assert f"best: trial {loop.best.number}, {loop.best.score_text}; failed runs: {failed}" in out


def test_the_live_table_holds_the_best_the_open_and_the_last(tmp_path: Path) -> None:
    loop = SearchFolder(tmp_path).loop()
    ended = [SearchTrial(number, {}, str(number), {}, 1, state="stopped") for number in range(30)]
    ended[3] = ended[3].with_scores({100: 40.0})
    loop.trials = [SearchTrial(0, {}, "0", {}, 1), *ended[1:], SearchTrial(30, {}, "30", {}, 1)]
    shown = io.StringIO()
    Console(file=shown).print(SearchScreen(loop, slots=1))
    rows = [line.split()[0] for line in shown.getvalue().splitlines()[1:-1]]
    assert rows == ["0", "3*", *map(str, range(21, 31))]


def test_time_left_counts_what_trials_have_needed(tmp_path: Path) -> None:
    folder = SearchFolder(tmp_path)
    assert SearchScreen(folder.loop(runs="none"), slots=1).seconds_left() is None
    loop = folder.search(FakeRun())
    assert SearchScreen(loop, slots=1).seconds_left() == 0
    runs = sum(trial.n for trial in loop.trials)
    loop.search = msgspec.structs.replace(loop.search, trials=16)
    assert SearchScreen(loop, slots=2).seconds_left() == pytest.approx(8 * (runs / 8) * 2.0 / 2), (
        "pretended runs take two seconds"
    )
