"""W&B sweep of a study (`engram study sweep`): its YAML, printed, or created on W&B's server.

A trial of it is one row with all its seeds: W&B's agent starts `engram study trial` (`sweeps.trial_command`).
"""

import argparse
import io
import re
import warnings
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from typing import Any

import yaml

from core.config.schema import TrackingConfig
from core.errors import UserError, first_line
from core.records.wandb_run import entity_name, project_name
from core.records.wandb_upload import check_reachable
from studies.arguments import StudyParser
from studies.axes import Axis
from studies.plan import Plan
from studies.search.ranges import is_integer, range_ends

METHODS = ("bayes", "random")
DESCRIPTION = """Print a study as the YAML of a W&B sweep, or create the sweep on W&B's server.

A trial of it is one row with all its seeds (`engram study trial`), so that W&B compares means over seeds. Rows are a
grid; the axes of a search, ranges too, are tried by W&B's own search, on the search's seeds. The rows of a search's
table, its best config among them, are the matter of `engram study search`.
"""
EPILOG = """Settings of every run come last, and agents give them to every trial.

  {prog} warmup --profile minilm --data.train FILE > sweep.yaml
  {prog} search --create --method random
  wandb agent --project engram SWEEP

Start agents in this folder, or give whole paths (--runs DIR, --data.train FILE).
"""


def sweep(arguments: Sequence[str]) -> int:
    """Print the YAML of a study's sweep, or create the sweep and print how to start agents."""
    parser = StudyParser("engram study sweep", DESCRIPTION, epilog=EPILOG)
    parser.add_argument("--method", choices=METHODS, help="how W&B searches, for a search only (default: bayes)")
    parser.add_argument("--create", action="store_true", help="create it on W&B's server, and print its address")
    options, planned = parser.parse_plan(arguments)
    own = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    own.add_argument("--method")
    own.add_argument("--create", action="store_true")
    built = build_sweep(planned, own.parse_known_args(arguments)[1], method=options.method)
    if options.create:
        print(create_sweep(built, planned.runs[0].config.tracking))
    else:
        print(yaml.safe_dump(built, sort_keys=False, allow_unicode=True), end="")
    return 0


def build_sweep(planned: Plan, arguments: Sequence[str], *, method: str | None = None) -> dict[str, Any]:
    """The sweep of a plan, whose agents run `engram study trial` with the arguments of the plan.

    Axes are parameters under their dotted paths. As W&B's grid knows no conditions, a study with rows besides its axes,
    or with combinations that are left out, has its rows as the one parameter.
    """
    study, search = planned.study, planned.study.search
    rows = [row for row in planned.configs if row not in planned.record.shared]
    axes = study.declared_axes
    parameters: dict[str, Any] = {axis.path: describe_axis(axis) for axis in axes}
    if search is None:
        if method is not None:
            raise UserError(f"--method {method}: study {study.name} has rows, which are a grid: leave it out")
        is_product = not study.left_out and len(rows) == len(study.rows) and all(map(study.is_from_axes, rows))
        parameters = parameters if is_product else {"row": {"values": rows}}
    return {
        "name": planned.record.label,
        "description": study.question,
        "method": "grid" if search is None else method or METHODS[0],
        "metric": {"name": f"validation/{study.metric}/f1", "goal": "maximize"},
        **({} if search is None else {"run_cap": search.trials}),
        "parameters": parameters,
        "command": ["${env}", "engram", "study", "trial", *arguments, "${args}"],
    }


def describe_axis(axis: Axis) -> dict[str, Any]:
    """An axis as a parameter of a sweep."""
    if not axis.is_range:
        # W&B puts a value into the command by Python's str(): a bare None would depend on how a sweep is stored.
        return {"values": ["none" if value is None else value for value in axis.values]}
    low, high = range_ends(axis)
    if is_integer(axis) and axis.step is not None:
        return {"values": list(range(int(low), int(high) + 1, int(axis.step)))}
    ends = {"min": low, "max": high}
    if is_integer(axis):
        return ends | (
            {"distribution": "q_log_uniform_values", "q": 1} if axis.log else {"distribution": "int_uniform"}
        )
    if axis.step is not None:
        return ends | {"distribution": "q_uniform", "q": axis.step}
    return ends | {"distribution": "log_uniform_values" if axis.log else "uniform"}


def create_sweep(built: Mapping[str, Any], tracking: TrackingConfig) -> str:
    """Create a sweep on W&B's server; its address, and the command of its agents."""
    check_reachable()
    import wandb

    entity, project = entity_name(tracking), project_name(tracking)
    # W&B's client prints what is returned here, and calls its own deprecated functions.
    with redirect_stdout(io.StringIO()) as output, warnings.catch_warnings(action="ignore"):
        try:
            sweep_id = wandb.sweep(dict(built), entity=entity, project=project)
        except Exception as error:  # noqa: BLE001 - whatever W&B's client raises is one line here
            raise UserError(f"W&B did not take the sweep: {first_line(error)}") from None
    addresses = re.findall(r"Sweep URL: (\S+)", output.getvalue())
    agent = f"wandb agent {f'--entity {entity} ' if entity else ''}--project {project} {sweep_id}"
    return "\n".join([f"sweep {sweep_id}", *addresses, agent])
