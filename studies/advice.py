"""What a plan should be told before it is computed: comparisons that say more, or less, than they seem to."""

from collections.abc import Iterable
from typing import Any

from core.config import RunConfig
from core.presets import build, leaves
from core.provenance import Provenance
from studies.plan import Plan, differences

FEWEST = 5
"""Seeds from which a spread and a paired test begin to say something."""

Difference = dict[str, tuple[Any, Any]]


def advice(plan: Plan, *, now: Provenance, made_by: Iterable[str | None] = ()) -> list[str]:
    """What to say of a plan; `now` is this process, `made_by` has the commit of every finished record."""
    found = [*few_seeds(plan), *undeclared_lines(plan), *normalisation(plan)]
    if now.commit is None:
        found.append("this code is no git checkout: records cannot say which commit made them")
    elif now.uncommitted_changes:
        found.append(
            f"the checkout has uncommitted changes: records will name {now.commit[:12]}, which is not this code"
        )
    return found + other_code(now, made_by)


def few_seeds(plan: Plan) -> list[str]:
    """A line where the plan has fewer than five seeds."""
    seeds = len({run.seed for run in plan.runs})
    if seeds >= FEWEST:
        return []
    return [
        f"{seeds} seed{'s' * (seeds > 1)} a row: give {FEWEST} or more (--seeds {FEWEST}) before a spread is believed"
    ]


def undeclared(plan: Plan) -> dict[str, Difference]:
    """Row -> the settings, by path, in which it differs from its baseline though the study does not say so.

    A study says so by `varies`. Without that, its axes, the presets that rows start from, and a row's own settings say
    so; the settings of its baseline alone do not, nor do those of a product's base.
    """
    found: dict[str, Difference] = {}
    for name in plan.study.rows:
        baseline = plan.study.baseline_of(name)
        said = said_by(plan, name)
        rest = {
            path: values
            for path, values in differences(plan.configs[baseline], plan.configs[name]).items()
            if not any(path == one or path.startswith(f"{one}.") for one in said)
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
    said += differences(build(baseline.preset), build(row.preset))
    if not study.is_product(name):
        said += leaves(row.settings)
    return tuple(said)


def undeclared_lines(plan: Plan) -> list[str]:
    """A line for every row that differs from its baseline in more than the study says."""
    return [
        f"row {name} differs from {plan.study.baseline_of(name)} in more than the study says: "
        + "; ".join(f"{path} {there!r}, not {here!r}" for path, (here, there) in rest.items())
        + ": make them equal, or name these settings in `varies`"
        for name, rest in undeclared(plan).items()
    ]


def normalisation(plan: Plan) -> list[str]:
    """A line where rows differ in the number of spans that an inverse read at mentions normalises over."""
    draws = sorted({config.samples.neg_mentions for config in plan.configs.values()})
    reading = [name for name, config in plan.configs.items() if sums_over_spans(config)]
    if len(draws) < 2 or not reading:
        return []
    return [
        f"rows differ in samples.neg_mentions ({', '.join(map(str, draws))}): under memory.inverse_scale sum this also "
        f"changes over how many spans the inverse read at mentions normalises in training ({', '.join(reading)}): "
        "set memory.inverse_scale to mean, or read at tokens, to vary the sampling alone"
    ]


def sums_over_spans(config: RunConfig) -> bool:
    """Whether a run reads inversely at mentions, with weights that fall with the number of spans."""
    memory = config.memory
    return (
        memory is not None
        and "inverse" in memory.read_mode
        and memory.places != "tokens"
        and memory.inverse_scale == "sum"
        and memory.warmup < 1.0
    )


def other_code(now: Provenance, made_by: Iterable[str | None]) -> list[str]:
    """A line where finished records were made by another commit than this one."""
    others = [commit for commit in made_by if is_other(commit, now)]
    if not others:
        return []
    told = ", ".join(sorted({commit[:12] if commit else "no commit" for commit in others}))
    return [
        f"{len(others)} finished run{'s' * (len(others) > 1)} of other code ({told}) kept: marked with *; to "
        "compute them again, delete their folders or give another --runs"
    ]


def is_other(commit: str | None, now: Provenance) -> bool:
    """Whether a record of this commit is other code than this process."""
    return now.commit is not None and commit != now.commit
