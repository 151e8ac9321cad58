"""What a plan should be told before it is computed: comparisons that say more, or less, than they seem to."""

from collections import Counter
from collections.abc import Iterable

from core.provenance import Provenance
from studies.meaning import warnings
from studies.plan import Plan
from studies.standing import Standing

FEWEST = 5
"""Seeds from which a spread and a paired test begin to say something."""


def advice(plan: Plan, *, now: Provenance, standings: Iterable[Standing] = ()) -> list[str]:
    """What to say of a plan; `now` is this process, `standings` are those of its runs."""
    return [*few_seeds(plan), *warnings(plan), *checkout(now), *other_code(now, standings)]


def few_seeds(plan: Plan) -> list[str]:
    """A line where the plan has fewer than five seeds."""
    seeds = len({run.seed for run in plan.runs})
    if seeds >= FEWEST:
        return []
    return [
        f"{seeds} seed{'s' * (seeds > 1)} a row: give {FEWEST} or more (--seeds {FEWEST}) before a spread is believed"
    ]


def checkout(now: Provenance) -> list[str]:
    """A line where records could not say which code made them."""
    if now.commit is None:
        return ["this code is no git checkout: records cannot say which commit made them"]
    if now.uncommitted_changes:
        return [f"the checkout has uncommitted changes: records will name {now.commit[:12]}, which is not this code"]
    return []


def other_code(now: Provenance, standings: Iterable[Standing]) -> list[str]:
    """A line where finished records were made by another version of the code."""
    others = Counter(one.code for one in standings if one.is_done and one.is_other_code(now))
    if not others:
        return []
    count = others.total()
    return [
        f"{count} finished run{'s' * (count > 1)} of other code ({', '.join(sorted(others))}) kept: marked with * in "
        "`engram study plan`; `engram study run --rerun` computes them again"
    ]
