"""Named configs: what the shipped ones differ in, the order of merging, YAML there and back, messages."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.commands.train import parse
from core.config import presets
from core.config.presets import from_yaml
from core.config.schema import RunConfig
from core.errors import UserError
from tests.settings import Setting, candidates, changed, every_setting, value_at

SYSTEMS = ("jerex-grc", "jerex-mrc", "memory-grc", "memory-mrc", "memory-residual-grc", "memory-residual-mrc")
SETTINGS = list(every_setting())


def flat(config: RunConfig) -> dict[str, Any]:
    """Path -> value of every setting; `memory` itself where there is none."""
    tree = config.model_dump()
    rows = {}
    for setting in SETTINGS:
        section = setting.path.partition(".")[0]
        rows[section if tree[section] is None else setting.path] = (
            None if tree[section] is None else value_at(config, setting.path)
        )
    return rows


def difference(one: RunConfig, two: RunConfig) -> dict[str, tuple[Any, Any]]:
    """The settings in which two configs differ, labels aside."""
    left, right = flat(one), flat(two)
    paths = sorted({*left, *right} - {"preset", "profile"})
    found = {path: (left.get(path), right.get(path)) for path in paths if left.get(path) != right.get(path)}
    print(f"{one.preset} -> {two.preset} ({one.profile}): {found}")
    return found


def test_the_shipped_presets_are_the_six_systems_and_say_what_they_are() -> None:
    assert tuple(presets.names()) == SYSTEMS
    assert set(presets.names("profiles")) >= {"minilm", "paper"}
    for kind in ("presets", "profiles"):
        assert all(len(text) > 20 for text in presets.names(kind).values())


@pytest.mark.parametrize("profile", [None, *presets.names("profiles")])
@pytest.mark.parametrize("system", SYSTEMS)
def test_every_preset_builds_under_every_profile(system: str, profile: str | None) -> None:
    config = presets.build(system, profile=profile)
    assert (config.preset, config.profile) == (system, profile or "none")
    assert config.model.relation_head == system[-3:]


@pytest.mark.parametrize("profile", [None, *presets.names("profiles")])
def test_systems_differ_in_nothing_but_what_their_row_says(profile: str | None) -> None:
    built = [presets.build(name, profile=profile) for name in SYSTEMS]
    head = {"model.relation_head": ("grc", "mrc")}
    assert all(difference(grc, mrc) == head for grc, mrc in zip(built[::2], built[1::2], strict=True))
    assert difference(built[2], built[4]) == {
        "memory.pooling": (None, "residual"),
        "memory.read_mode": ("inverse", "normal"),
        "memory.slot_init": ("normal", "fan-in"),
    }
    for baseline, ours in zip(built[:2] * 2, built[2:], strict=True):
        assert {path.partition(".")[0] for path in difference(baseline, ours)} == {"memory"}
        assert ours.memory is not None
        assert baseline == ours.model_copy(update={"memory": None, "preset": baseline.preset})


def test_the_paper_profile_has_the_references_numbers() -> None:
    config = presets.build("memory-grc", profile="paper")
    training, samples, model, memory = config.training, config.samples, config.model, config.memory
    assert memory is not None
    assert (training.epochs, training.batch_size, training.lr, training.lr_warmup) == (20, 2, 5e-5, 0.1)
    assert (training.weight_decay, training.eps, training.clip, training.bias_correction) == (0.01, 1e-6, 1.0, False)
    assert (samples.neg_mentions, samples.neg_corefs, samples.neg_relations, samples.max_span_tokens) == (200,) * 3 + (
        10,
    )
    assert (model.mention_threshold, model.coref_threshold, model.relation_threshold) == (0.85, 0.85, 0.6)
    assert (config.loss.mention, config.loss.coref, config.loss.entity, config.loss.relation) == (1.0, 1.0, 0.25, 1.0)
    assert (memory.read_mode, memory.places, memory.warmup, memory.inverse_scale) == ("inverse", "both", 0.4, "sum")
    assert (config.encoder.source, config.data.name) == ("bert-base-cased", "docred-joint")


def test_an_unknown_preset_or_profile_lists_the_known_ones() -> None:
    with pytest.raises(UserError) as caught:
        presets.build("memory-grk")
    assert str(caught.value).startswith("unknown preset 'memory-grk'")
    assert all(name in str(caught.value) for name in SYSTEMS)
    assert "Did you mean memory-grc?" in str(caught.value)
    with pytest.raises(UserError, match=r"unknown profile 'papre'.*Did you mean paper"):
        presets.build("memory-grc", profile="papre")


def test_the_order_is_defaults_profile_preset_row_file_flags(tmp_path: Path) -> None:
    assert RunConfig().training.epochs == 20
    assert presets.build("jerex-grc", profile="minilm").training.epochs == 3
    row = {"training": {"epochs": 4, "batch_size": 5}, "model": {"relation_head": "mrc"}}
    config = presets.build("jerex-grc", profile="minilm", row=row)
    assert (config.training.epochs, config.training.batch_size, config.model.relation_head) == (4, 5, "mrc")
    assert config.training.head_lr == 5e-4  # the profile's, which nothing above speaks about
    (tmp_path / "row.yaml").write_text("training: {epochs: 4, batch_size: 5}")
    arguments = ["jerex-grc", "--profile", "minilm", "--config", str(tmp_path / "row.yaml"), "--training.epochs", "6"]
    config, _, _ = parse(arguments)
    assert (config.training.epochs, config.training.batch_size, config.training.lr) == (6, 5, 1e-4)


def test_merging_leaves_its_inputs_alone_and_none_closes_a_section() -> None:
    lower, upper = {"a": {"b": 1, "c": {"d": 2}}, "m": {}}, {"a": {"c": {"e": 3}}, "m": None}
    assert presets.merge(lower, upper) == {"a": {"b": 1, "c": {"d": 2, "e": 3}}, "m": None}
    assert lower == {"a": {"b": 1, "c": {"d": 2}}, "m": {}}
    assert presets.merge({"memory": None}, {"memory": {}}) == {"memory": {}}
    assert presets.build("memory-grc", row={"memory": None}).memory is None


def with_choice(config: RunConfig, setting: Setting, choice: int) -> RunConfig:
    """The config with another value of one setting; unchanged where another setting forbids it."""
    if setting.path.startswith("memory.") and config.memory is None:
        return config
    values = [*candidates(setting.schema, value_at(config, setting.path))]
    if any(option.get("type") == "string" for option in setting.schema.get("anyOf", [setting.schema])):
        values += ["ü: # \n'\"", "1e-4", "no", "0123", " "]
    try:
        return changed(config, setting.path, values[choice % len(values)])
    except UserError:
        return config


@settings(max_examples=40)
@given(st.booleans(), st.lists(st.tuples(st.sampled_from(SETTINGS), st.integers(0, 20)), max_size=12))
def test_a_config_round_trips_through_yaml(
    tmp_path_factory: pytest.TempPathFactory, memory: bool, choices: list[tuple[Setting, int]]
) -> None:
    config = presets.validate({"memory": {}} if memory else {})
    for setting, choice in choices:
        config = with_choice(config, setting, choice)
    path = tmp_path_factory.mktemp("yaml") / "config.yaml"
    path.write_text(presets.to_yaml(config), encoding="utf-8")
    assert presets.from_yaml(path) == config


def test_a_yaml_file_gives_what_it_says_and_defaults_else(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("training: {lr: 1.0e-4}\nmemory: {}\n")
    assert presets.from_yaml(path) == presets.validate({"training": {"lr": 1e-4}, "memory": {}})


BROKEN = {
    "not yaml": ("a: [", "is not readable YAML"),
    "a list": ("- 1", "holds list, not settings"),
    "empty": ("", "holds NoneType, not settings"),
    "misspelt": ("trainig: {lr: 1}", "unknown setting trainig: Did you mean training?"),
    "impossible": ("memory: {slot_width: -5}", "memory.slot_width is -5: should be greater than or equal to 1"),
    "a section that is a value": ("memory: 3", "memory is 3"),
}


@pytest.mark.parametrize(("text", "message"), list(BROKEN.values()), ids=list(BROKEN))
def test_a_broken_yaml_file_is_named_with_its_fault(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        presets.from_yaml(path)
    first = str(caught.value).splitlines()[0]
    assert str(path) in first
    assert message in first
    assert "pydantic" not in str(caught.value).lower()


def test_a_missing_config_file_or_a_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nothing\.yaml: .*[Nn]o such file"):
        presets.from_yaml(tmp_path / "nothing.yaml")
    with pytest.raises(UserError, match=r"folder|directory"):
        presets.from_yaml(tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"preset: caf\xe9")
    with pytest.raises(UserError, match=r"UTF-8|utf-8"):
        presets.from_yaml(tmp_path / "latin.yaml")


def test_a_config_with_a_setting_given_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("training: {epochs: 2, epochs: 3}")
    with pytest.raises(UserError, match=r"config.yaml is not readable YAML: line 1: 'epochs' is given twice"):
        from_yaml(path)
