"""`--section.setting VALUE` flags: both spellings, what clears a setting, and what a wrong one is answered."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.commands.train import parse
from core.config import presets
from core.config.overrides import parse_overrides
from core.errors import UserError
from tests.settings import every_setting

LABELS = {"preset", "profile"}  # given in their own way: engram train PRESET --profile P
PATHS = [setting.path for setting in every_setting() if setting.path not in LABELS]


@given(st.sampled_from(PATHS), st.text(min_size=1).filter(lambda text: not text.startswith("-")))
def test_every_setting_has_a_flag_in_both_spellings(path: str, value: str) -> None:
    expected: object = value
    if value.lower() in ("none", "null"):
        return
    for step in reversed(path.split(".")):
        expected = {step: expected}
    flag = "--" + path.replace("_", "-")
    assert parse_overrides([flag, value]) == expected
    assert parse_overrides([f"{flag}={value}"]) == expected
    assert parse_overrides([f"--{path}", value]) == expected


def test_flags_merge_and_the_last_one_wins() -> None:
    flags = ["--memory.slot-width", "256", "--memory.warmup=0", "--seed", "3", "--memory.slot-width=8"]
    assert parse_overrides(flags) == {"memory": {"slot_width": "8", "warmup": "0"}, "seed": "3"}


def test_none_clears_an_optional_setting_and_only_that() -> None:
    assert parse_overrides(["--memory.slot-width", "none"]) == {"memory": {"slot_width": None}}
    assert parse_overrides(["--memory.read-mode", "none"]) == {"memory": {"read_mode": "none"}}
    config = presets.validate({"memory": {"slot_width": 3}})
    cleared = presets.merge(config.model_dump(), parse_overrides(["--memory.slot-width=none"]))
    assert presets.validate(cleared) == presets.validate({"memory": {}})


def test_values_may_be_negative_or_hold_an_equals_sign() -> None:
    assert parse_overrides(["--training.lr", "-1"]) == {"training": {"lr": "-1"}}
    assert parse_overrides(["--data.train=a=b.json"]) == {"data": {"train": "a=b.json"}}
    with pytest.raises(UserError, match=r"training\.lr is '-1'"):
        presets.validate(parse_overrides(["--training.lr", "-1"]))


WRONG = {
    "misspelt": (["--memory.slot-widht", "3"], "unknown setting --memory.slot-widht: Did you mean --memory.slot-width"),
    "misspelt section": (["--memroy.slot-width", "3"], "Did you mean --memory.slot-width"),
    "in the wrong section": (["--training.warmup", "3"], "unknown setting --training.warmup:"),
    "misspelt and no value": (["--sed"], "unknown setting --sed: Did you mean --seed"),
    "a section": (["--memory", "3"], "unknown setting --memory:"),
    "below a setting": (["--seed.more", "3"], "unknown setting --seed.more:"),
    "no value at the end": (["--seed"], "--seed has no value: give --seed VALUE"),
    "a flag for a value": (["--seed", "--training.lr", "3"], "--seed has no value"),
    "a label": (["--preset", "jerex-grc"], "--preset cannot be set twice: the preset is the first word"),
    "no flag": (["seed", "3"], "unexpected argument 'seed'"),
}


@pytest.mark.parametrize(("flags", "message"), list(WRONG.values()), ids=list(WRONG))
def test_a_wrong_flag_is_answered_in_one_line(flags: list[str], message: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_overrides(flags)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_misspelt_flag_lists_its_neighbours() -> None:
    with pytest.raises(UserError) as caught:
        parse_overrides(["--loss.realtion", "1"])
    assert str(caught.value).endswith("loss has mention, coref, entity, relation")


@pytest.mark.parametrize(("preset", "with_memory"), [("jerex-grc", "memory-grc"), ("jerex-mrc", "memory-mrc")])
@pytest.mark.parametrize("flags", [["--memory.slot-width", "8"], ["--memory.slot-width=8"]])
def test_memory_flags_on_a_system_without_memory_name_the_one_to_start_from(
    preset: str, with_memory: str, flags: list[str]
) -> None:
    with pytest.raises(UserError, match=f"preset {preset} has no memory.*start from {with_memory}"):
        parse([preset, *flags])
    config, _, _ = parse([with_memory, *flags])
    assert config.memory is not None
    assert config.memory.slot_width == 8
