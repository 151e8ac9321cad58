"""Commands `engram study list | show | plan`: what a study asks, what it consists of, and what is left to compute."""

import shlex
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

import core
from core.commands.console import print_json
from core.config.presets import leaves
from core.records.provenance import Provenance, collect_provenance
from core.records.record import open_run_folder
from core.records.summary import RunSummary, read_summary
from studies.arguments import StudyParser, positive_int
from studies.checks import code_warnings, plan_notes, plan_warnings
from studies.cost_calibration import calibrate
from studies.estimate import Estimate, default_jobs, describe_estimate, estimate_plan, memory_warnings
from studies.plan import Plan, refuse_undeclared, undeclared_lines
from studies.record import add_earlier_seeds, study_folder, write_study_record
from studies.study import Study, find_study, shipped_studies

ROOT = Path(core.__file__).resolve().parent.parent
DESCRIPTION = """Print every run of a study, which are finished (*: by other code), what the rest takes, and warnings.

Time, memory and disk are estimated from earlier runs of the profile on the same documents. Where there are none,
--calibrate times a few optimiser steps of the slowest row and remembers them; it makes no run and no result.
"""


def list_studies(*, json: bool = False) -> None:
    """Print the studies that come with Engram: name, rows, runs at the study's own seeds, the question.

    Args:
        json: one JSON list instead of lines.
    """
    if json:
        print_json(list(shipped_studies().values()))
        return
    print(f"{'study':<13} rows  runs  question")
    for name, study in shipped_studies().items():
        rows, runs = len(study.rows), len(study.rows) * len(study.seeds)
        size = f"{len(study.axes)} axes" if study.search is not None else f"{rows:>4}  {runs:>4}"
        print(f"{name:<13} {size:>10}  {study.question}")
    print("\n`engram study show NAME` explains one, `engram study plan --help` shows how to write your own.")


def show(study: str, *, json: bool = False) -> None:
    """Print what a study asks, its axes, its rows with what makes each of them, and what it leaves out.

    Args:
        study: a study of `engram study list`, or a YAML file of your own.
        json: one JSON object instead of lines, in the form of a study's own file.
    """
    chosen = find_study(study)
    if json:
        print_json(chosen)
        return
    print(f"{chosen.name}: {chosen.question}\n")
    print(f"answered by {chosen.metric} F1, a row's mean over seeds {', '.join(map(str, chosen.seeds))}")
    print(f"rows are compared with {chosen.baseline}, seed by seed, where they name no other baseline")
    if chosen.varies:
        print(f"rows may differ from their baseline only in {', '.join(chosen.varies)}")
    for axis in chosen.declared_axes:
        print(f"\naxis {axis.name} ({axis.path}): {', '.join(axis.value_labels)}\n  {axis.sentence}")
    print()
    width = max(map(len, chosen.rows)) + 2
    for name, row in chosen.rows.items():
        baselines = chosen.row_baselines(name)
        compared = f"; compared with {' and '.join(baselines)}" if baselines not in ((), (chosen.baseline,)) else ""
        title = ", ".join(part for part in (row.group, chosen.row_title(name)) if part)
        settings = "".join(f", {path} {value}" for path, value in leaves(row.settings).items())
        source = f"external, {len(row.predictions)} prediction files" if row.predictions else f"preset {row.preset}"
        print(f"{name:<{width}}{title}: {source}{settings}{compared}")
    for line in describe_axes(chosen):
        print(line)
    size = f"{len(chosen.rows)} rows x {len(chosen.seeds)} seeds"
    print(f"\n{size}; time, memory and disk: `engram study plan {study} --profile P`")


def show_plan(arguments: Sequence[str]) -> None:
    """Print every run of a study, which of them are finished, what the rest takes, and warnings."""
    parser = StudyParser("engram study plan", DESCRIPTION)
    parser.add_argument(
        "--jobs", type=positive_int, metavar="N", help="estimate for so many runs at once, as in `study run`"
    )
    parser.add_argument("--calibrate", action="store_true", help="time a few steps of the slowest row first")
    commands = "make the run folders, and print one shell line per run that is not finished, for any scheduler"
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--commands", action="store_true", help=commands)
    output.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    options, planned = parser.parse_plan(arguments)
    summaries = {run.run_id: read_summary(run.folder) for run in planned.runs}
    now = collect_provenance({})
    warnings = [*undeclared_lines(planned), *plan_warnings(planned), *code_warnings(now, summaries.values())]
    for line in warnings:
        print(f"engram: warning: {line}", file=sys.stderr)
    if options.commands:
        print_commands(planned, summaries, options.runs)
        return
    if not options.json:
        print_runs(planned, summaries, now)
        for row, same in planned.record.shared.items():
            print(f"{row} has the same runs as {same}: computed once")
        for line in (*describe_external(planned.study), *describe_axes(planned.study)):
            print(line)
    if options.calibrate:
        calibrate(planned, options.runs)
    estimate = estimate_plan(planned, summaries, options.runs, jobs=options.jobs or default_jobs(planned))
    for line in memory_warnings(estimate):
        print(f"engram: warning: {line}", file=sys.stderr)
    if options.json:
        print_json(describe_plan(planned, summaries, now, estimate))
        return
    for line in plan_notes(planned):
        print(f"note: {line}")
    counts = Counter(summary.status for summary in summaries.values())
    print(f"{len(summaries)} runs: {', '.join(f'{count} {status}' for status, count in sorted(counts.items()))}")
    for line in describe_estimate(estimate, planned.record.profile, options.runs):
        print(line)


def describe_plan(
    planned: Plan, summaries: Mapping[str, RunSummary], now: Provenance, estimate: Estimate
) -> dict[str, Any]:
    """A plan as `--json` shows it; what the rest takes is None where it is not known."""
    runs: list[dict[str, Any]] = []
    for run in planned.runs:
        summary = summaries[run.run_id]
        other_code = summary.status == "finished" and summary.is_of_other_code(now)
        names = {"run": run.run_id, "row": run.row, "seed": run.seed, "status": summary.status}
        runs.append(names | {"other_code": other_code, "folder": str(run.folder)})
    known = None not in estimate.costs
    return {
        "study": planned.study.name,
        "profile": planned.record.profile,
        "runs": runs,
        "shared": planned.record.shared,
        "external": {row: [*map(str, files.values())] for row, files in planned.study.external.items()},
        "left_out": planned.study.left_out,
        "left": len(estimate.runs),
        "jobs": estimate.jobs,
        "seconds": estimate.seconds(estimate.jobs) if known else None,
        "memory_bytes": estimate.memory_bytes if known else None,
        "disk_bytes": estimate.disk_bytes if all(estimate.weight_bytes) else None,
    }


def print_commands(planned: Plan, summaries: Mapping[str, RunSummary], runs: Path) -> None:
    """Make the folders of the runs that are left, and print the shell line that computes each, wherever it is run."""
    refuse_undeclared(planned)
    write_study_record(runs, add_earlier_seeds(planned.record, study_folder(runs, planned.record.label)))
    for run in planned.runs:
        if not summaries[run.run_id].is_done:
            open_run_folder(run.folder, run.config)
            command = shlex.join([sys.executable, "-m", "core.run", str(run.folder.absolute())])
            print(f"cd {shlex.quote(str(ROOT))} && {command}")


def print_runs(planned: Plan, summaries: Mapping[str, RunSummary], now: Provenance) -> None:
    """Print a line per run: its id, row, seed and status."""
    ids = max(len(run.run_id) for run in planned.runs) + 2
    width = max(map(len, planned.study.rows)) + 2
    seeds = max(len(str(run.seed)) for run in planned.runs) + 2
    for run in planned.runs:
        summary = summaries[run.run_id]
        mark = " *" if summary.status == "finished" and summary.is_of_other_code(now) else ""
        print(f"{run.run_id:<{ids}}{run.row:<{width}}seed {run.seed:<{seeds}}{summary.status}{mark}")


def describe_external(study: Study) -> Iterator[str]:
    """A line per external row."""
    for row, files in study.external.items():
        yield f"{row} is external: scored from {len(files)} files, nothing to compute"


def describe_axes(study: Study) -> Iterator[str]:
    """The combinations of a study's axes that are no row; of a search its space, its rule and its number of runs."""
    yield from (f"left out: {name}: {reason}" for name, reason in study.left_out.items())
    search = study.search
    if search is None:
        return
    ranges = sum(axis.is_range for axis in study.declared_axes)
    space = f"{prod(len(axis.values) for axis in study.declared_axes):,} combinations of {len(study.axes)} axes"
    if ranges:
        space = f"{len(study.axes)} axes, {ranges} of them {'a range' if ranges == 1 else 'ranges'}"
    yield f"search: up to {search.trials} trials over {space}; the first {search.startup} at random, then by TPE"
    yield f"a trial gets seeds {', '.join(map(str, search.shared_seeds))} {search.rule}"
    yield (
        f"{search.trials * search.rungs[0]} to {search.trials * search.rungs[-1]} runs on the search's seeds; then the "
        f"best config and the rows on seeds {', '.join(map(str, study.seeds))}, which no trial uses"
    )
