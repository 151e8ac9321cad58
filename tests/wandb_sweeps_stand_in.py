"""Sweeps and views of the stand-in for W&B's server: a controller of grids, and views that are kept for tests to read.

Importing this lets `tests.wandb_stand_in` answer these operations too.
"""

import itertools
import json
from dataclasses import dataclass, field
from typing import Any

import yaml

from tests.wandb_stand_in import ANSWERS, PROJECT, Received, StandIn, answers

ACCOUNT = {
    "id": "1",
    "name": "team",
    "username": "team",
    "entity": "team",
    "email": "",
    "admin": False,
    "flags": "{}",
    "deletedAt": None,
    "apiKeys": {"edges": []},
    "teams": {"edges": []},
}


@dataclass
class Sweep:
    """A sweep that the server has, and the runs that its grid has started."""

    config: dict[str, Any]
    todo: list[dict[str, Any]]
    runs: list[str] = field(default_factory=list)


SWEEPS: dict[str, tuple[StandIn, Sweep]] = {}


def start_sweep(server: StandIn, config: dict[str, Any]) -> str:
    """Keep a sweep; its id."""
    parameters = {name: entry.get("values", [entry.get("value")]) for name, entry in config["parameters"].items()}
    combinations = itertools.product(*(parameters[name] for name in sorted(parameters)))
    todo = [{name: {"value": v} for name, v in zip(sorted(parameters), values, strict=True)} for values in combinations]
    sweep_id = f"sweep{len(SWEEPS)}"
    SWEEPS[sweep_id] = server, Sweep(config, todo)
    return sweep_id


def sweep_runs(sweep_id: str) -> dict[str, Received]:
    """What the server received of the runs of a sweep."""
    server, sweep = SWEEPS[sweep_id]
    return {run: server.runs[run] for run in sweep.runs}


@answers
def viewer(server: StandIn, variables: dict[str, Any]) -> dict[str, Any]:
    """Whoever has the key."""
    return {"viewer": ACCOUNT}


@answers
def upsert_sweep(server: StandIn, variables: dict[str, Any]) -> dict[str, Any]:
    """A sweep is created."""
    sweep_id = start_sweep(server, yaml.safe_load(variables["config"]))
    return {"upsertSweep": {"sweep": {"name": sweep_id, "project": PROJECT}, "configValidationWarnings": []}}


@answers
def sweep_with_runs(server: StandIn, variables: dict[str, Any]) -> dict[str, Any]:
    """A sweep, for an agent that starts."""
    _, sweep = SWEEPS[variables["sweep"]]
    unknown = "description createdAt heartbeatAt updatedAt earlyStopJobRunning bestLoss controller scheduler".split()
    known = {"id": variables["sweep"], "name": variables["sweep"], "method": "grid", "state": "RUNNING"}
    config = {"config": yaml.safe_dump(sweep.config), "runs": {"edges": []}}
    return {"project": {"sweep": dict.fromkeys(unknown) | known | config}}


@answers
def create_agent(server: StandIn, variables: dict[str, Any]) -> dict[str, Any]:
    """An agent starts."""
    return {"createAgent": {"agent": {"id": variables["sweep"]}}}


@answers
def heartbeat(server: StandIn, variables: dict[str, Any]) -> dict[str, Any]:
    """What an agent is to do: the next of the grid, nothing while it is busy, to end when nothing is left."""
    _, sweep = SWEEPS[variables["id"]]
    command: dict[str, Any] = {"type": "exit"}
    if json.loads(variables["runState"] or "{}"):
        commands = []
    else:
        if sweep.todo:
            run = f"{variables['id']}run{len(sweep.runs)}"
            sweep.runs.append(run)
            command = {"type": "run", "run_id": run, "program": None, "args": sweep.todo.pop(0)}
        commands = [command]
    return {"agentHeartbeat": {"agent": {"id": variables["id"]}, "commands": json.dumps(commands)}}


@answers
def projects(server: StandIn, variables: dict[str, Any]) -> dict[str, Any]:
    """The one project."""
    owner = ACCOUNT | {"id": "1"}
    node = PROJECT | {"entityName": "team", "createdAt": "2026-01-01T00:00:00Z", "isBenchmark": False, "user": owner}
    edges = [{"node": node, "cursor": "0"}]
    return {"models": {"edges": edges, "pageInfo": {"endCursor": None, "hasNextPage": False}}}


ANSWERS["GetProjects"] = projects


@answers
def project_internal_id(server: StandIn, variables: dict[str, Any]) -> dict[str, Any]:
    """The id of the one project."""
    return {"project": {"id": "p", "internalId": "77"}}


@answers
def upsert_view_2(server: StandIn, variables: dict[str, Any]) -> dict[str, Any]:
    """A workspace or report is made, or changed where it has an id."""
    known = {key: variables.get(key) for key in ("name", "displayName", "spec", "type", "description")}
    view_id = variables.get("id") or f"view-of-{known['name']}"
    project = PROJECT | {"entityName": "team"}
    return {"upsertView": {"view": known | {"id": view_id, "project": project, "updatedAt": None}, "inserted": True}}


ANSWERS["upsertView"] = upsert_view_2
