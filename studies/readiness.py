"""Whether a plan may start: what is refused, what is warned of, and which finished runs are to be computed again."""

from dataclasses import dataclass
from pathlib import Path

from core.provenance import gather
from studies.advice import advice
from studies.declared import refuse_undeclared
from studies.estimate import estimate_of, refuse_full_disk, too_little_memory
from studies.plan import Plan
from studies.rerun import to_rerun
from studies.standing import standing_of


@dataclass(frozen=True)
class Ready:
    """A plan that may start."""

    warnings: list[str]
    again: frozenset[str]
    """The ids of finished runs that are to be computed again."""


def made_ready(planned: Plan, runs: Path, *, jobs: int, rerun: bool = False) -> Ready:
    """Look a plan over before anything of it starts; nothing is written.

    Raises a UserError where rows differ in more than the study says, and where the disk cannot hold what is left.
    """
    refuse_undeclared(planned)
    now = gather({})
    standings = {run.run_id: standing_of(run.folder) for run in planned.runs}
    again = to_rerun(standings.values(), now) if rerun else []
    estimate = estimate_of(planned, standings, runs, jobs=jobs, again=again)
    refuse_full_disk(estimate, runs)
    folders = {standing.folder for standing in again}
    kept = [standing for standing in standings.values() if standing.folder not in folders]
    return Ready(
        warnings=[*advice(planned, now=now, standings=kept), *too_little_memory(estimate)],
        again=frozenset(run.run_id for run in planned.runs if run.folder in folders),
    )
