"""Axes as other tools' search spaces: Optuna's distributions, and the parameters of a W&B sweep."""

import shlex
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import yaml

from core.presets import leaves
from studies.product import Base
from studies.space import Axis, Value

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


def optuna_distributions(axes: Iterable[Axis]) -> dict[str, "BaseDistribution"]:
    """Name -> categorical distribution over the labels of an axis: a value has one name in tables and dashboards."""
    from optuna.distributions import CategoricalDistribution

    return {axis.name: CategoricalDistribution(tuple(axis.told())) for axis in axes}


def wandb_parameters(axes: Iterable[Axis]) -> dict[str, dict[str, list[Any]]]:
    """Setting -> its values as `engram train` reads them behind `--<setting>=`."""
    return {axis.path: {"values": [_flag_value(value) for value in axis.values]} for axis in axes}


def wandb_sweep(base: Base, axes: Iterable[Axis], *, name: str, metric: str, profile: str) -> str:
    """The YAML that `wandb sweep` takes: over the axes, for validation F1, by agents that run `engram train`."""
    settings = [f"--{path}={_flag_value(value)}" for path, value in leaves(base.settings).items()]
    command = ["engram", "train", base.preset, "--profile", profile, *settings]
    sweep = {
        "name": f"{name}@{profile}",
        "method": "bayes",
        "metric": {"name": f"validation/{metric}/f1", "goal": "maximize"},
        "parameters": wandb_parameters(axes),
        "command": ["${env}", *command, "${args}"],
    }
    opening = f"# wandb sweep FILE; its agents run: {shlex.join(command)} --SETTING=VALUE ...\n"
    return opening + yaml.safe_dump(sweep, sort_keys=False, allow_unicode=True)


def _flag_value(value: Value) -> Any:
    # W&B puts a value into the command by Python's str(): a bare None would depend on how a sweep is stored.
    return "none" if value is None else value
