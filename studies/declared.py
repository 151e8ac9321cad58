"""Whether rows differ from what they are compared with in more than their study says."""

from functools import cache
from typing import Any

from core.config import RunConfig
from core.errors import UserError
from core.presets import build, leaves
from core.signature import signature
from studies.plan import Plan, differences

Difference = dict[str, tuple[Any, Any]]


def undeclared(plan: Plan) -> dict[str, Difference]:
    """Row -> the settings, by path, in which it differs from its baseline though the study does not say so.

    A study says so by `varies`. Without that, its axes, the presets that rows start from, and a row's own settings say
    so; the settings of its baseline alone do not, nor do those of a product's base. A setting that another one switches
    off can change no number, and is no difference.
    """
    found: dict[str, Difference] = {}
    for name in plan.study.rows:
        baseline = plan.configs[plan.study.baseline_of(name)]
        config = plan.configs[name]
        if config is baseline:
            continue
        said = said_by(plan, name)
        rest = {
            path: values
            for path, values in differences(baseline, config).items()
            if not any(path == one or path.startswith(f"{one}.") for one in said)
            and changes_a_number(baseline, config, path)
        }
        if rest:
            found[name] = rest
    return found


def said_by(plan: Plan, name: str) -> tuple[str, ...]:
    """The settings and sections in which a study says that a row may differ from its baseline."""
    study = plan.study
    if study.varies:
        return study.varies
    row, baseline = study.rows[name], study.rows[study.baseline_of(name)]
    said = [axis.path for axis in study.declared_axes]
    said += _between_presets(baseline.preset, row.preset)
    if not study.is_product(name):
        said += leaves(row.settings)
    return tuple(said)


@cache
def _between_presets(one: str, other: str) -> tuple[str, ...]:
    return tuple(differences(build(one), build(other)))


def changes_a_number(one: RunConfig, other: RunConfig, path: str) -> bool:
    """Whether taking a setting over from the other config makes either config another run."""
    return any(
        signature(with_value(here, path, value_at(there, path))) != signature(here)
        for here, there in ((one, other), (other, one))
    )


def value_at(config: Any, path: str) -> Any:
    """The value of the setting or section at a path."""
    for step in path.split("."):
        config = getattr(config, step)
    return config


def with_value(config: Any, path: str, value: Any) -> Any:
    """The config with another value at a path, not validated: it is only held against others."""
    step, _, rest = path.partition(".")
    return config.model_copy(update={step: with_value(getattr(config, step), rest, value) if rest else value})


def undeclared_lines(plan: Plan) -> list[str]:
    """A line for every row that differs from its baseline in more than the study says."""
    return [
        f"row {name} differs from {plan.study.baseline_of(name)} in more than the study says: "
        + "; ".join(f"{path} {there!r}, not {here!r}" for path, (here, there) in rest.items())
        + ": make them equal, or name these settings in `varies`"
        for name, rest in undeclared(plan).items()
    ]


def refuse_undeclared(plan: Plan) -> None:
    """Raise a UserError where rows differ in more than the study says: they would answer another question."""
    lines = undeclared_lines(plan)
    if lines:
        raise UserError("\n".join(lines))
