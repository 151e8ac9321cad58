"""Axes as Optuna's distributions and as a W&B sweep whose parameters `engram train` reads."""

from pathlib import Path

import pytest
import yaml

from core.commands.train import parse
from engram import main
from studies.axes import AXES, Axis
from studies.search.space import optuna_distributions, wandb_parameters
from studies.study import find_study


def test_a_distribution_has_the_labels_of_its_axis() -> None:
    from optuna.distributions import CategoricalDistribution, check_distribution_compatibility

    made = optuna_distributions(AXES)
    assert list(made) == [axis.name for axis in AXES]
    assert made["slot-width"] == CategoricalDistribution(("32", "128", "256", "H", "768", "1536"))
    for axis in AXES:
        check_distribution_compatibility(made[axis.name], CategoricalDistribution(axis.value_labels))


@pytest.mark.parametrize("axis", AXES, ids=lambda axis: axis.name)
def test_every_value_of_a_sweep_is_read_by_train(axis: Axis) -> None:
    values = wandb_parameters([axis])[axis.path]["values"]
    read = [parse(["memory-grc", "--profile", "quick", f"--{axis.path}={value}"])[0] for value in values]
    assert [axis.value_in(config) for config in read] == list(axis.values)


def test_a_sweep_is_printed_whose_command_train_understands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "show", "search", "--wandb-sweep", "--profile", "minilm"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("# wandb sweep FILE")
    sweep = yaml.safe_load(out)
    assert sweep["metric"] == {"name": "validation/relation_strict/f1", "goal": "maximize"}
    # As an agent fills it in: the environment, then every parameter as --name=value.
    first, *command, last = sweep["command"]
    assert (first, last, command[:2]) == ("${env}", "${args}", ["engram", "train"])
    for pick in (0, -1):
        chosen = [f"--{name}={told['values'][pick]}" for name, told in sweep["parameters"].items()]
        config, _, _ = parse([*command[2:], *chosen])
        assert config.profile == "minilm"
        axes = find_study("search").declared_axes
        assert [axis.value_in(config) for axis in axes] == [axis.values[pick] for axis in axes]


def test_settings_of_the_base_are_in_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.yaml").write_text(
        "{question: '?', baseline: base, base: {preset: memory-mrc, settings: {training: {epochs: 3}}}, "
        "axes: [warmup], search: {}}"
    )
    assert main(["study", "show", str(tmp_path / "mine.yaml"), "--wandb-sweep"]) == 0
    command = yaml.safe_load(capsys.readouterr().out)["command"]
    assert command[1:-1] == ["engram", "train", "memory-mrc", "--profile", "quick", "--training.epochs=3"]
    assert main(["study", "show", "paper", "--wandb-sweep"]) == 2
    assert "study paper has no axes" in capsys.readouterr().err
