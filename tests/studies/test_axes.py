import msgspec
import pytest

from core.config.presets import build, merge
from core.config.signature import signature
from core.errors import UserError
from studies.axes import AXES, Axis, find_axis


def at_path(config: object, path: str) -> object:
    for step in path.split("."):
        config = getattr(config, step)
    return config


@pytest.mark.parametrize("axis", AXES, ids=lambda axis: axis.name)
def test_every_value_builds_on_the_memory_preset_and_is_a_run_of_its_own(axis: Axis) -> None:
    axis.check("memory-grc")
    # Residual pooling is for the normal read alone, which the preset does not have.
    base = {"memory": {"read_mode": "normal"}} if axis.name == "pooling" else {}
    configs = [build("memory-grc", row=merge(base, axis.setting(value))) for value in axis.values]
    assert [at_path(config, axis.path) for config in configs] == list(axis.values)
    signatures = [signature(config) for config in configs]
    assert len(set(signatures)) == len(axis.values)
    assert signatures.count(signature(build("memory-grc", row=base))) == 1, "one value is the preset's own"


def test_the_axes_have_their_own_names_paths_and_words() -> None:
    for part in ("name", "path", "title", "sentence"):
        assert len({getattr(axis, part) for axis in AXES}) == len(AXES)


def test_values_are_called_as_tables_call_them() -> None:
    assert list(find_axis("slot-width").value_labels) == ["32", "128", "256", "H", "768", "1536"]
    assert list(find_axis("warmup").value_labels) == ["0", "0.1", "0.2", "0.4", "0.6", "0.8", "1"]
    assert list(find_axis("read-gradient").value_labels) == ["off", "on"]
    assert find_axis("slots-per-type").label(16) == "16"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"values": ()}, "axis warmup: 0 values"),
        ({"labels": ("early",)}, "axis warmup: 7 values and 1 labels"),
        ({"values": (0, 0.0)}, "axis warmup: two of its values have one label: 0, 0"),
    ],
)
def test_an_axis_without_values_or_clear_names_is_one_line(change: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        msgspec.structs.replace(find_axis("warmup"), **change).check("memory-grc")


def test_a_memory_axis_needs_a_memory_and_others_do_not() -> None:
    with pytest.raises(UserError, match=r"axis warmup.*jerex-grc has no memory, start from memory-grc"):
        find_axis("warmup").check("jerex-grc")
    find_axis("relation-head").check("jerex-grc")


def test_an_unknown_axis_names_its_neighbour() -> None:
    with pytest.raises(UserError, match=r"unknown axis 'warm-up': the axes are slot-width, .*Did you mean warmup"):
        find_axis("warm-up")
