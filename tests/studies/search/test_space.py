"""Search space: idle axes, values that do not go together, params that lead back to their point."""

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution

from core.config.presets import build
from core.config.signature import READING, signature
from core.errors import UserError
from studies.axes import AXES, Axis, Value, find_axis
from studies.rows import Base
from studies.search.space import Point, SearchSpace, optuna_distributions

BASE = Base("memory-grc")
SPACE = SearchSpace(BASE, AXES)


def drawn(space: SearchSpace, key: int) -> Point:
    generator = random.Random(key)
    return space.point(lambda axis, possible: generator.choice(possible))


def key(point: Point) -> str:
    return signature(build("memory-grc", row=point.settings))


def chosen(space: SearchSpace, **values: Value) -> Point:
    """The point of some values, the others the first that can be."""

    def choose(axis: Axis, possible: Sequence[str]) -> str:
        name = axis.name.replace("-", "_")
        return axis.label(values[name]) if name in values else possible[0]

    return space.point(choose)


def ramps(*warmups: float, ramps: Sequence[float]) -> SearchSpace:
    ramp = Axis(name="ramp", title="Ramp", path="memory.ramp", values=tuple(ramps), sentence="")
    warmup = Axis(name="warmup", title="Warm-up", path="memory.warmup", values=warmups, sentence="")
    return SearchSpace(BASE, (warmup, ramp))


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_two_proposals_are_one_cell_only_where_they_are_one(one: int, other: int) -> None:
    mine, its = drawn(SPACE, one), drawn(SPACE, other)
    assert (key(mine) == key(its)) == (mine.params == its.params)


@settings(max_examples=40)
@given(st.integers(0, 10**6))
def test_params_lead_back_to_their_point(key: int) -> None:
    point = drawn(SPACE, key)
    assert SPACE.point_from_params(point.params) == point
    config = build("memory-grc", row=point.settings)
    assert {name: find_axis(name).value_in(config) for name in point.at} == point.at


def test_an_axis_that_decides_over_others_comes_first_and_silences_them() -> None:
    names = [axis.name for axis in SPACE.axes]
    assert sorted(names) == sorted(axis.name for axis in AXES)
    assert names.index("read-mode") < names.index("warmup"), "declared the other way round"
    unread = set(chosen(SPACE, read_mode="none").params)
    assert unread >= {"slot-width", "slots-per-type", "read-mode", "relation-head"}
    assert not unread & {axis.name for axis in AXES if axis.path.removeprefix("memory.") in READING}
    assert "inverse-scale" not in chosen(SPACE, read_mode="normal").params
    assert "inverse-scale" in chosen(SPACE, read_mode="inverse").params


def test_the_base_is_a_point_where_the_axes_have_its_values() -> None:
    own = SPACE.base_point()
    assert own is not None
    assert key(own) == signature(build("memory-grc"))
    assert own.params["slot-width"] == "H"
    assert own.params["pooling"] == "mean", "what the inverse read does without the axis"
    assert ramps(0.1, 0.2, ramps=[0.0, 0.1]).base_point() is None


def test_what_cannot_be_is_its_nearest_neighbour_that_can() -> None:
    # Both axes limit each other, and warm-up has two values beside each ramp: none decides over the other.
    space = ramps(0.3, 0.4, 0.9, ramps=[0.0, 0.05, 0.5])
    assert chosen(space, warmup=0.4, ramp=0.5).at == {"warmup": 0.4, "ramp": 0.5}
    mended = chosen(space, warmup=0.9, ramp=0.5)
    assert mended.at == {"warmup": 0.9, "ramp": 0.05}
    assert mended.params["ramp"] == "0.5", "what was chosen is kept, so that it leads here again"
    assert space.point_from_params(mended.params) == mended


def test_an_axis_with_one_value_that_can_be_is_idle() -> None:
    space = ramps(0.4, 0.95, ramps=[0.1, 0.0])
    assert [axis.name for axis in space.axes] == ["warmup", "ramp"]
    point = chosen(space, warmup=0.95)
    assert point.params == {"warmup": "0.95"}
    memory = build("memory-grc", row=point.settings).memory
    assert memory is not None
    assert (memory.warmup, memory.ramp) == (0.95, 0.0)


@pytest.mark.parametrize(
    ("axis", "message"),
    [
        (
            Axis(name="a", title="A", path="memory.warmup", values=(0.1, 1.5), sentence=""),
            "axis a: memory.warmup is 1.5",
        ),
        (Axis(name="a", title="A", path="memory.warmip", values=(0.1, 0.2), sentence=""), "axis a: unknown setting"),
        (Axis(name="a", title="A", path="memory.warmup", values=(), sentence=""), "axis a: 0 values"),
    ],
)
def test_a_mistake_in_an_axis_is_told_before_anything_starts(axis: Axis, message: str) -> None:
    with pytest.raises(UserError, match=message):
        SearchSpace(BASE, (find_axis("slot-width"), axis))


def test_a_value_that_can_be_only_beside_another_is_no_mistake() -> None:
    base = Base("memory-grc", {"memory": {"warmup": 0.9}})
    axes = (find_axis("ramp"), find_axis("warmup"))
    assert SearchSpace(base, axes).axes == axes


def test_params_of_other_axes_are_one_line() -> None:
    with pytest.raises(UserError, match=r"slot-width '77', which is none of 32, 128.*--name NAME"):
        SPACE.point_from_params({"slot-width": "77"})


def test_a_distribution_has_the_labels_of_its_axis() -> None:
    distributions = optuna_distributions(AXES)
    assert list(distributions) == [axis.name for axis in AXES]
    assert distributions["slot-width"] == CategoricalDistribution(("32", "128", "256", "H", "768", "1536"))
