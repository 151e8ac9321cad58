"""`engram study list | show | plan`: what a study asks, what it consists of, and what is left to compute."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import tyro

from core.errors import UserError
from core.lock import is_held
from core.record import RunRecord, open_run_folder, read_record
from studies.arguments import parse, parser
from studies.study import find_study, shipped
from studies.study_record import write_study_record


def list_studies() -> None:
    """Print the studies that come with Engram: name, number of rows, the question."""
    for name, study in shipped().items():
        print(f"{name:<14}{len(study.rows):>3} rows  {study.question}")


def show(study: tyro.conf.Positional[str]) -> None:
    """Print what a study asks, and its rows with what makes each of them.

    Args:
        study: a study of `engram study list`, or a YAML file of your own.
    """
    found = find_study(study)
    print(f"{found.name}: {found.question}")
    print(f"metric {found.metric} F1; baseline {found.baseline}; seeds {', '.join(map(str, found.seeds))}\n")
    for name, row in found.rows.items():
        against = found.baseline_of(name)
        compared = f"  compared with {against}" if against != name else ""
        group = f"{row.group}  " if row.group else ""
        print(f"{name:<16}{group}{found.title_of(name)}: preset {row.preset} {row.settings or ''}{compared}")


def show_plan(arguments: Sequence[str]) -> None:
    """Print every run of a study, which of them are finished, and how long the rest would take."""
    wanted = parser("engram study plan", "Print every run of a study, which are finished, and how long the rest takes.")
    wanted.add_argument(
        "--commands",
        action="store_true",
        help="make the run folders, and print one shell line per run that is not finished, for any scheduler",
    )
    given, planned = parse(wanted, arguments)
    records = {run.run_id: _record(run.folder) for run in planned.runs}
    if given.commands:
        write_study_record(given.runs, planned.record())
        for run in planned.runs:
            record = records[run.run_id]
            if record is None or record.status not in ("finished", "imported"):
                open_run_folder(run.folder, run.config)
                print(shlex.join([sys.executable, "-m", "core.run", str(run.folder)]))
        return
    for run in planned.runs:
        record = records[run.run_id]
        status: str = record.status if record is not None else "waiting"
        if status == "running" and not is_held(run.folder):
            status = "cut off"
        print(f"{run.run_id:<18}{run.row:<16}seed {run.seed:<4}{status}")
    for row, same in planned.shared.items():
        print(f"{row} is the same cell as {same}: computed once")
    done = [record for record in records.values() if record is not None and record.status in ("finished", "imported")]
    print(f"{len(records)} runs, {len(done)} finished" + _cost(done, len(records) - len(done)))


def _record(folder: Path) -> RunRecord | None:
    try:
        return read_record(folder)
    except UserError:
        return None


def _cost(done: list[RunRecord], left: int) -> str:
    if not done or not left:
        return ""
    mean = sum(record.seconds for record in done) / len(done)
    memory = max((record.peak_memory_mib or 0.0) for record in done)
    return (
        f"; the {left} others would take about {left * mean / 60:.0f} minutes one after another ({mean:.0f} s each, "
        f"{memory:.0f} MiB)"
    )
