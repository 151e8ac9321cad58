"""Ranges of numbers as axes of a search: what is refused, what is proposed and stored, and that it leads back."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from optuna.distributions import FloatDistribution, IntDistribution

from core.errors import UserError
from engram import main
from reports.tables.search import describe_changes
from studies.axes import Axis, find_axis
from studies.record import find_study_record
from studies.rows import Base, complete_axis
from studies.search.proposals import importances, propose
from studies.search.ranges import is_in_range, number_at, round_to_range, value_from_label
from studies.search.space import SearchSpace, optuna_distributions
from studies.search.spec import Search
from studies.search.storage import JOURNAL, TrialStore
from studies.search.trials import SearchTrial, read_search_record
from studies.study import read_study
from sweeps.engines.in_process import InProcessEngine
from tests.sweeps.search.fake_search import FakeRun, SearchFolder, noise

LR = Axis("lr", title="Rate", path="training.lr", low=1e-5, high=1e-3, log=True)
WIDTH = Axis("width", title="Width", path="memory.slot_width", low=32, high=128, step=32)
WARMUP = complete_axis(Axis("warmup", low=0, high=1))
SPACE = SearchSpace(Base("memory-grc"), [WARMUP, LR, WIDTH, find_axis("read-mode")])
SEARCH = Search(trials=40, startup=5)


@pytest.mark.parametrize(
    ("axis", "message"),
    [
        ({"low": 1e-3, "high": 1e-5}, r"axis lr: low 0.001 must be below high 1e-05"),
        ({"low": 1e-5, "high": 1e-5}, r"axis lr: low 1e-05 must be below high 1e-05"),
        ({"low": 1e-5}, r"axis lr: `high` is missing"),
        ({"log": True}, r"axis lr: `low` is missing"),
        ({"low": 1e-5, "high": 1e-3, "values": [1e-4]}, r"axis lr: .*give a range or values"),
        ({"low": 0, "high": 1e-3, "log": True}, r"axis lr: low 0 must be above 0 with log"),
        ({"low": 1e-5, "high": 1e-3, "log": True, "step": 1e-5}, r"axis lr: log and step 1e-05 do not go together"),
        ({"low": 0.1, "high": 0.5, "step": -0.1}, r"axis lr: step -0.1 must be above 0 and at most 0.4"),
        ({"low": 0.1, "high": 0.5, "step": 1e-320}, r"axis lr: step 9.99989e-321 must be above 0"),
        ({"low": 0.1, "high": 0.5, "step": 1}, r"axis lr: step 1 must be above 0 and at most 0.4"),
        ({"low": 0.1, "high": 0.5, "step": 0.3}, r"steps of 0.3 from 0.1 do not reach 0.5: give high 0.4, say"),
        ({"low": 0, "high": 1e-3}, r"axis lr: training.lr is 0.0: should be greater than 0"),
        ({"low": 0.1, "high": 0.5, "path": "training.lr_warmupp"}, r"axis lr: unknown setting training.lr_warmupp"),
        ({"low": 0.5, "high": 1.5, "path": "training.lr_warmup"}, r"axis lr: training.lr_warmup is 1.5"),
        ({"low": 0, "high": 1, "path": "memory.read_grad"}, r"axis lr: memory.read_grad is no number: give `values`"),
        ({"low": 1.5, "high": 4, "path": "training.epochs"}, r"axis lr: training.epochs is a whole number"),
        ({"low": "wide", "high": 1}, r"axis lr: Expected `int \| float \| null`, got `str` - at `\$?.?low`"),
    ],
)
def test_a_range_that_cannot_be_is_refused_when_the_study_is_read(
    tmp_path: Path, axis: dict[str, Any], message: str
) -> None:
    study = {"question": "?", "base": {"preset": "memory-grc"}, "baseline": "base", "search": {}}
    path = tmp_path / "mine.yaml"
    path.write_bytes(msgspec.yaml.encode(study | {"axes": [{"name": "lr", "path": "training.lr"} | axis]}))
    with pytest.raises(UserError, match=message):
        read_study(path)


def test_a_range_makes_no_rows_and_says_what_would(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.yaml"
    text = (
        "{question: '?', baseline: base, base: {preset: memory-grc}, axes: [{name: lr, path: training.lr, low: 1e-5, "
    )
    path.write_text(text + "high: 1e-3, log: true}]}")
    assert main(["study", "show", str(path)]) == 2
    assert "axis lr is a range (1e-05 to 0.001, log), and every row needs a value: give `values`, or a `search`" in (
        capsys.readouterr().err
    )
    path.write_text(text + "high: 1e-3, log: true}], search: {}}")
    assert main(["study", "show", str(path)]) == 0
    out = capsys.readouterr().out
    assert "axis lr (training.lr): 1e-05 to 0.001, log" in out
    assert "up to 50 trials over 1 axes, 1 of them a range" in out


def test_numbers_are_in_the_range_on_its_steps_and_their_labels_lead_back() -> None:
    for axis in (LR, WIDTH, WARMUP):
        numbers = [number_at(axis, share / 20) for share in range(21)]
        assert numbers == sorted(numbers)
        assert (numbers[0], numbers[-1]) == (axis.low, axis.high)
        assert all(is_in_range(axis, number) for number in numbers)
        assert [value_from_label(axis, axis.label(number)) for number in numbers] == numbers
    assert number_at(LR, 0.5) == 1e-4, "the middle of the orders of magnitude"
    assert {number_at(WIDTH, share / 20) for share in range(21)} == {32, 64, 96, 128}
    assert [type(number_at(axis, 0.3)) for axis in (LR, WIDTH)] == [float, int]
    assert round_to_range(LR, 0.000123456789) == 0.0001235
    for label in ("33", "256", "64.5", "x"):
        with pytest.raises(UserError, match=f"axis width has no '{label}': it is 32 to 128 in steps of 32"):
            value_from_label(WIDTH, label)


def test_optuna_gets_the_numbers() -> None:
    distributions = optuna_distributions(SPACE.axes)
    assert distributions["lr"] == FloatDistribution(1e-5, 1e-3, log=True)
    assert distributions["width"] == IntDistribution(32, 128, step=32)
    assert distributions["warmup"] == FloatDistribution(0.0, 1.0)


def test_the_base_is_a_point_where_the_ranges_hold_its_values() -> None:
    own = SearchSpace(Base("memory-grc", {"memory": {"slot_width": 64}}), SPACE.axes).base_point()
    assert own is not None
    assert own.params == {"read-mode": "inverse", "warmup": "0.4", "lr": "5e-05", "width": "64"}
    assert SPACE.base_point() is None, "its width is the encoder's"


def test_a_range_is_idle_and_gives_way_like_other_axes() -> None:
    names = [axis.name for axis in SPACE.axes]
    assert names.index("read-mode") < names.index("warmup"), "declared the other way round"
    unread = SPACE.point(lambda axis, possible: possible[0])
    assert set(unread.params) == {"read-mode", "lr", "width"}
    ramp = Axis("ramp", title="Ramp", path="memory.ramp", low=0.0, high=0.5)
    space = SearchSpace(Base("memory-grc"), [find_axis("warmup"), ramp])

    def at(warmup: str, ramp: str) -> dict[str, object]:
        return dict(space.point(lambda axis, possible: {"warmup": warmup, "ramp": ramp}[axis.name]).at)

    assert at("0.8", "0.17") == {"warmup": 0.8, "ramp": 0.17}, "valid though the high end is not"
    assert at("0.8", "0.4") == {"warmup": 0.8, "ramp": 0.0}


def score(params: dict[str, str]) -> float:
    return 40 - 10 * abs(float(params.get("warmup", "1")) - 0.3)


def tried(count: int, startup: int) -> list[SearchTrial]:
    trials: list[SearchTrial] = []
    for number in range(count):
        point = propose(SPACE, trials, Search(trials=count, startup=startup), lambda point: repr(point.params))
        assert point is not None
        trial = SearchTrial(number, point.params, repr(point.params), {}, 1, state="stopped")
        trials.append(trial.with_scores({100: score(point.params)}))
    return trials


def test_proposals_learn_where_in_a_range_it_is_good() -> None:
    trials = tried(16, startup=5)
    assert all(SPACE.point_from_params(trial.params).params == trial.params for trial in trials)
    space = SearchSpace(Base("memory-grc", {"memory": {"slot_width": 64}}), SPACE.axes)
    assert next(iter(importances(space, trials))) == "warmup"
    assert max(score(trial.params) for trial in trials[5:]) > 39.5
    assert len({trial.params["lr"] for trial in trials}) > 10, "not only the ends"


def test_a_number_comes_back_from_the_storage_as_its_label(tmp_path: Path) -> None:
    params = {"lr": "0.0001235", "width": "96", "read-mode": "normal"}
    trial = SearchTrial(0, params, "a" * 12, {100: f"{'a' * 12}-s100"}, 1)
    store = TrialStore(str(tmp_path / JOURNAL), name="mine", axes=SPACE.axes, identity={})
    store.add(trial)
    again = TrialStore(str(tmp_path / JOURNAL), name="mine", axes=SPACE.axes, identity={})
    assert again.load() == [trial]
    (stored,) = again._backend.get_all_trials(again._study)
    assert stored.params == {"lr": 0.0001235, "width": 96, "read-mode": "normal"}, "numbers for Optuna's dashboard"


def test_a_search_over_a_range_resumes_and_ends_with_the_best_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    axes = [{"name": "lr", "path": "training.lr", "low": 1e-5, "high": 1e-3, "log": True}, "read-mode"]
    run = FakeRun(lambda config: 40 - abs(config.training.lr - 2e-4) * 5e3 + noise(config, 0.1))
    folder = SearchFolder(tmp_path, seeds=[0], axes=axes, search={"trials": 5, "rungs": [1, 2], "startup": 3})
    whole = folder.search(run, runs="whole").trials
    folder.search(run, trials=4)
    monkeypatch.setattr("sweeps.engines.local.LocalEngine.from_options", lambda options: InProcessEngine(run))
    data = [word for name in ("train", "test") for word in (f"--data.{name}", str(tmp_path / "documents.json"))]
    runs = ["--runs", str(tmp_path / "runs"), "--storage", str(tmp_path / "runs.journal")]
    command = ["study", "search", str(folder.file), *runs, "--jobs", "1", "--wandb", "disabled", "--data.name", "none"]
    assert main([*command, *data]) == 0
    record = read_search_record(tmp_path / "runs" / "studies" / "mine@quick")
    assert record is not None
    assert [(trial.params, trial.why) for trial in record.trials] == [(trial.params, trial.why) for trial in whole]
    best = record.best_trial
    assert best is not None
    number = float(best.params["lr"])
    assert 1e-5 < number < 1e-3
    assert f"lr {best.params['lr']}" in describe_changes(record, best)
    row = find_study_record("mine", tmp_path / "runs").study.rows["best"]
    assert row.settings["training"] == {"lr": number}
