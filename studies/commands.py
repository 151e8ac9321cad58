"""`engram study list | show | plan`: what a study asks, what it consists of, and what is left to compute."""

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from core.errors import UserError
from core.presets import leaves
from core.provenance import gather
from core.record import SCORED, open_run_folder, read_record, standing
from studies.advice import advice, is_other
from studies.arguments import parse, parser
from studies.search_told import search_lines, size_of, sweep_of
from studies.study import Study, find_study, shipped
from studies.study_record import write_study_record


def list_studies() -> None:
    """Print the studies that come with Engram: name, number of rows, the question."""
    for name, study in shipped().items():
        print(f"{name:<13} {size_of(study)}  {study.question}")


def show(study: tyro.conf.Positional[str], *, wandb_sweep: bool = False, profile: str = "quick") -> None:
    """Print what a study asks, its axes, its rows with what makes each of them, and what it leaves out.

    Args:
        study: a study of `engram study list`, or a YAML file of your own.
        wandb_sweep: print instead the YAML of a W&B sweep over its axes, whose agents run `engram train`.
        profile: on what the runs of such a sweep train.
    """
    found = find_study(study)
    if wandb_sweep:
        print(sweep_of(found, profile=profile), end="")
        return
    print(f"{found.name}: {found.question}")
    print(f"metric {found.metric} F1; baseline {found.baseline}; seeds {', '.join(map(str, found.seeds))}")
    for axis in found.declared_axes:
        print(f"\naxis {axis.name} ({axis.path}): {', '.join(axis.told())}\n  {axis.sentence}")
    for number, line in enumerate(search_lines(found)):
        print(f"\n{line}" if not number else line)
    if found.varies:
        print(f"\nrows may differ from their baseline in {', '.join(found.varies)} alone")
    print()
    width = max(map(len, found.rows)) + 2
    for name, row in found.rows.items():
        against = found.baseline_of(name)
        compared = f"; compared with {against}" if against not in (name, found.baseline) else ""
        title = ", ".join(part for part in (row.group, found.title_of(name)) if part)
        settings = "".join(f", {path} {value}" for path, value in leaves(row.settings).items())
        print(f"{name:<{width}}{title}: preset {row.preset}{settings}{compared}")
    _print_left_out(found)


def show_plan(arguments: Sequence[str]) -> None:
    """Print every run of a study, which of them are finished, how long the rest would take, and what to beware of."""
    wanted = parser("engram study plan", "Print every run of a study, which are finished, and how long the rest takes.")
    wanted.add_argument(
        "--commands",
        action="store_true",
        help="make the run folders, and print one shell line per run that is not finished, for any scheduler",
    )
    given, planned = parse(wanted, arguments)
    standings = {run.run_id: Standing.of(run.folder) for run in planned.runs}
    now = gather({})
    made_by = [standing.commit for standing in standings.values() if standing.status == "finished"]
    for line in advice(planned, now=now, made_by=made_by):
        print(f"engram: warning: {line}", file=sys.stderr)
    if given.commands:
        write_study_record(given.runs, planned.record())
        for run in planned.runs:
            if not standings[run.run_id].is_done:
                open_run_folder(run.folder, run.config)
                print(shlex.join([sys.executable, "-m", "core.run", str(run.folder)]))
        return
    ids = max(len(run.run_id) for run in planned.runs) + 2
    width = max(map(len, planned.study.rows)) + 2
    seeds = max(len(str(run.seed)) for run in planned.runs) + 2
    for run in planned.runs:
        standing = standings[run.run_id]
        mark = " *" if standing.status == "finished" and is_other(standing.commit, now) else ""
        print(f"{run.run_id:<{ids}}{run.row:<{width}}seed {run.seed:<{seeds}}{standing.status}{mark}")
    for row, same in planned.shared.items():
        print(f"{row} is the same cell as {same}: computed once")
    _print_left_out(planned.study)
    for line in search_lines(planned.study):
        print(line)
    done = [standing for standing in standings.values() if standing.is_done]
    print(f"{len(standings)} runs, {len(done)} finished" + _cost(done, len(standings) - len(done)))


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a run of a plan stands: what is kept of its record, which may be one of ten thousand."""

    status: str
    commit: str | None = None
    seconds: float = 0.0
    memory_mib: float = 0.0

    @property
    def is_done(self) -> bool:
        """Whether nothing of it is left to compute."""
        return self.status in SCORED

    @classmethod
    def of(cls, folder: Path) -> "Standing":
        """The standing of a run folder; one without a record waits."""
        try:
            record = read_record(folder)
        except UserError:
            return cls("damaged")
        if record is None:
            return cls("waiting")
        return cls(
            status=standing(folder, record),
            commit=record.provenance.commit if record.provenance is not None else None,
            seconds=record.seconds,
            memory_mib=record.peak_memory_mib or 0.0,
        )


def _print_left_out(study: Study) -> None:
    for name, reason in study.left_out.items():
        print(f"left out: {name}: {reason}")


def _cost(done: list[Standing], left: int) -> str:
    if not done or not left:
        return ""
    mean = sum(standing.seconds for standing in done) / len(done)
    memory = max(standing.memory_mib for standing in done)
    return (
        f"; the {left} others would take about {left * mean / 60:.0f} minutes one after another ({mean:.0f} s each, "
        f"{memory:.0f} MiB)"
    )
