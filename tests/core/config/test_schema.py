"""The settings of a run: each explained, limited and valid by default; wrong ones named with their neighbours."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from core.config import presets
from core.config.memory import MemoryConfig
from core.config.schema import DataConfig, EncoderConfig, RunConfig, ScratchConfig
from core.config.section import Section
from core.errors import UserError
from tests.settings import Setting, changed, every_section, every_setting

SETTINGS = {setting.path: setting for setting in every_setting()}


def numeric(option: dict[str, Any]) -> bool:
    return option.get("type") in ("integer", "number")


@pytest.mark.parametrize("setting", list(SETTINGS.values()), ids=list(SETTINGS))
def test_every_setting_has_a_sentence(setting: Setting) -> None:
    description = setting.owner.model_fields[setting.name].description
    assert description, f"{setting.path} says nothing"
    assert re.match(r"[A-Za-z`]", description)
    assert description.endswith("."), description


def test_every_section_has_a_sentence_of_its_own() -> None:
    sections = list(every_section())
    assert {section.__name__ for section in sections} >= {"RunConfig", "DataConfig", "ScratchConfig", "MemoryConfig"}
    for section in sections:
        assert section.__doc__
        assert section.__doc__ != Section.__doc__


@pytest.mark.parametrize("section", list(every_section()), ids=lambda section: section.__name__)
def test_defaults_are_valid_and_nothing_is_required(section: type[Section]) -> None:
    assert section.model_validate(section().model_dump()) == section()


@pytest.mark.parametrize("setting", list(SETTINGS.values()), ids=list(SETTINGS))
def test_every_number_and_text_has_its_limits(setting: Setting) -> None:
    for option in setting.schema.get("anyOf", [setting.schema]):
        if numeric(option):
            assert "minimum" in option or "exclusiveMinimum" in option, f"{setting.path} may be anything below"
            assert "maximum" in option or "exclusiveMaximum" in option, f"{setting.path} may be anything above"
        elif option.get("type") == "string":
            limits = {"maxLength", "enum", "pattern", "const"}
            assert limits & option.keys(), f"{setting.path} may be of any length"


@pytest.mark.parametrize("setting", list(SETTINGS.values()), ids=list(SETTINGS))
def test_values_outside_the_limits_are_refused_with_the_settings_name(setting: Setting) -> None:
    config = presets.validate({"memory": {}})
    for option in filter(numeric, setting.schema.get("anyOf", [setting.schema])):
        low = option.get("minimum", option.get("exclusiveMinimum"))
        beyond = [low - 1] + [2 * option[limit] for limit in ("maximum", "exclusiveMaximum") if limit in option]
        for value in beyond:
            with pytest.raises(UserError) as caught:
                changed(config, setting.path, value)
            first = str(caught.value).splitlines()[0]
            assert first.startswith(f"{setting.path} is {value!r}: should be "), first


def test_a_config_is_immutable() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        RunConfig().seed = 1  # type: ignore[misc]


def test_infinite_and_undefined_numbers_are_refused() -> None:
    for value in ("nan", "inf"):
        with pytest.raises(UserError, match=r"training\.lr is"):
            presets.validate({"training": {"lr": value}})


def test_the_baseline_is_an_absence() -> None:
    assert RunConfig().memory is None
    assert presets.validate({"memory": {}}).memory == MemoryConfig()


IMPOSSIBLE = {
    "heads that do not divide": ({"encoder": {"scratch": {"width": 10, "heads": 4}}}, "(4)", "(10)"),
    "a name and a path": ({"data": {"name": "cdr", "train": "a.json"}}, "data.name", "not both"),
    "reading what is not written": (
        {"memory": {"classifies": "entity", "memories": "relation"}},
        "memory.memories (relation)",
        "set memory.memories to entity",
    ),
    "a ramp that does not end": ({"memory": {"warmup": 0.8, "ramp": 0.5}}, "memory.warmup (0.8)", "over 1"),
    "a learned matrix that nothing trains": (
        {"memory": {"reads": "learned", "read_grad": False}},
        "memory.read_grad (off)",
        "set memory.read_grad to true, or memory.reads to random",
    ),
    "a residual pooling of an inverse read": (
        {"memory": {"pooling": "residual", "read_mode": "inverse-normal"}},
        "memory.read_mode is inverse-normal",
        "set memory.read_mode to normal, or memory.pooling to mean",
    ),
    "a constant in place of a normal read": (
        {"memory": {"reads": "constant", "read_mode": "inverse-normal"}},
        "memory.read_mode is inverse-normal",
        "set memory.read_mode to inverse, or memory.reads to uniform",
    ),
}


@pytest.mark.parametrize(("tree", "named", "way_out"), list(IMPOSSIBLE.values()), ids=list(IMPOSSIBLE))
def test_settings_that_exclude_each_other_name_both_values(tree: dict[str, Any], named: str, way_out: str) -> None:
    with pytest.raises(UserError) as caught:
        presets.validate(tree)
    assert named in str(caught.value)
    assert way_out in str(caught.value)


def test_what_nothing_writes_may_stay_unread() -> None:
    config = MemoryConfig(classifies="entity", memories="relation", read_mode="none")
    assert config.memories == "relation"
    assert MemoryConfig(read_mode="none", reads="constant").reads == "constant"
    assert MemoryConfig(read_mode="none", pooling="residual").modes == ()
    assert not MemoryConfig(read_mode="none", reads="learned", read_grad=False).read_grad


@given(st.sampled_from(sorted(SETTINGS)), st.integers(0, 30))
def test_a_misspelt_setting_names_itself_its_neighbours_and_the_nearest(path: str, place: int) -> None:
    section, _, name = path.rpartition(".")
    place %= len(name)
    misspelt = f"{section}.{name[:place]}q{name[place:]}".lstrip(".")
    with pytest.raises(UserError) as caught:
        changed(presets.validate({"memory": {}}), misspelt, 1)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"unknown setting {misspelt}:")
    siblings = presets.setting_names(section.split(".") if section else [])
    assert all(sibling in message for sibling in siblings)
    if len(name) > 5:
        assert f"Did you mean {path}?" in message or any(
            f"Did you mean {section}.{near}?" in message for near in siblings
        )


def test_pooling_follows_the_mode_unless_it_is_given() -> None:
    assert [MemoryConfig().pooling_after(mode) for mode in ("inverse", "normal")] == ["mean", "concat"]
    assert [MemoryConfig(pooling="gated").pooling_after(mode) for mode in ("inverse", "normal")] == ["gated", "gated"]


def test_strings_of_flags_become_numbers_and_only_numbers() -> None:
    assert presets.validate({"training": {"epochs": "3", "lr": "1e-4"}}).training.lr == 1e-4
    assert presets.validate({"encoder": {"pretrained": "false"}}).encoder == EncoderConfig(pretrained=False)
    with pytest.raises(UserError, match=r"training\.epochs is 'three'"):
        presets.validate({"training": {"epochs": "three"}})


def test_several_mistakes_have_a_line_each() -> None:
    with pytest.raises(UserError) as caught:
        presets.validate({"training": {"epochs": 0, "lr": -1.0}, "sed": 1})
    lines = str(caught.value).splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("training.epochs is 0")
    assert "Did you mean seed?" in lines[2]


def test_sections_stand_alone() -> None:
    assert ScratchConfig(width=32, heads=4).width == 32
    assert DataConfig(train="a.json").name is None
