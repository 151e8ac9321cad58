"""Cost calibration: a few optimiser steps of a plan's slowest row, timed in a process of their own and remembered.

It writes no run folder and no record, so nothing can take it for a result; what it measured is kept next to the
studies' records, and `studies.estimate` reads it.
"""

import json
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import msgspec

from core.config.model_source import encoder_width, estimate_parameter_count
from core.config.presets import to_yaml
from core.config.schema import RunConfig
from core.errors import UserError
from core.files import content_hash, make_folder, write_json
from core.input_files import read_json
from core.progress import say
from core.records.summary import Settings
from core.records.timings import StepCosts
from studies.plan import Plan
from studies.record import STUDIES

FILE = "calibrations.json"
STEPS = 8
"""Optimiser steps that are timed."""

Setup = tuple[str, str, str]
"""Profile, documents and encoder: the costs of runs that differ in one of them do not compare."""
System = tuple[str, bool, int]
"""What decides most about a run's cost within a setup: relation head, memory or none, documents in a batch."""


class Calibration(msgspec.Struct, frozen=True):
    """A few steps that were measured, and what they are steps of."""

    setup: Setup = msgspec.field(name="ground")
    system: System = msgspec.field(name="kind")
    row: str
    machine: str = msgspec.field(name="host")
    costs: StepCosts


def find_setup(config: RunConfig) -> Setup:
    """The setup of a config whose documents are files."""
    assert config.data.train is not None
    encoder = json.dumps(config.encoder.model_dump(mode="json"), sort_keys=True)
    return config.profile, name_documents(content_hash(Path(config.data.train)), config.data.limit), encoder


def name_documents(train: str, limit: int | None) -> str:
    """What names the documents of a setup: the hash of the training file, and how many of it are used."""
    return f"{train} {limit}" if limit else train


def find_system(config: RunConfig | Settings) -> System:
    """The system of a config, or of the settings in a run's summary."""
    return config.model.relation_head, config.memory is not None, config.training.batch_size


def calibrate(plan: Plan, runs: Path) -> None:
    """Measure the slowest row of every setup that the plan has, and remember it."""
    slowest_last = sorted(plan.configs.items(), key=lambda item: cost_order(item[1]))
    for row, config in {find_setup(config): (row, config) for row, config in slowest_last}.values():
        say(f"calibration: {STEPS} steps of row {row}, the slowest; nothing of them is kept as a result")
        costs = measure_steps(config)
        save_calibrations([Calibration(find_setup(config), find_system(config), row, platform.node(), costs)], runs)


def cost_order(config: RunConfig) -> tuple[float, ...]:
    """A sort key from fast to slow: what makes a run take long, the weightiest first."""
    memory, reads, slots = config.memory, 0, 0
    if memory is not None:
        slots = memory.slots_per_type * (memory.slot_width or encoder_width(config.encoder) or 0)
        reads = len(memory.modes) * memory.ever_reads
        reads *= (1 + (memory.places == "both")) * (1 + (memory.memories == "both"))
    head = config.model.relation_head == "mrc"
    return config.training.batch_size, estimate_parameter_count(config) or 0, head, reads, slots


def measure_steps(config: RunConfig) -> StepCosts:
    """What a few steps of a config cost, measured by `core.run.timing` in a process that loads torch."""
    with tempfile.TemporaryDirectory(prefix="engram-calibration-") as folder:
        config_file, costs_file = Path(folder) / "config.yaml", Path(folder) / "costs.json"
        config_file.write_text(to_yaml(config), encoding="utf-8")
        command = [sys.executable, "-m", "core.run.timing", str(config_file), str(costs_file), str(STEPS)]
        code = subprocess.run(command, check=False).returncode
        if code == 130:
            raise KeyboardInterrupt
        if code or not costs_file.is_file():
            raise UserError(f"the calibration ended with exit code {code}, see above: the runs would fail likewise")
        return msgspec.json.decode(costs_file.read_bytes(), type=StepCosts)


def read_calibrations(runs: Path) -> list[Calibration]:
    """The calibrations in a folder of runs; a damaged file counts as none, as measuring again mends it."""
    try:
        known = read_json(runs / STUDIES / FILE, list[Calibration], "measure again") or []
    except UserError:
        return []
    return [one for one in known if {"train", "validation"} <= one.costs.documents.keys()]


def save_calibrations(new: Iterable[Calibration], runs: Path) -> None:
    """Keep calibrations, each in place of an earlier one of the same setup, system and machine."""
    latest = {(one.setup, one.system, one.machine): one for one in (*read_calibrations(runs), *new)}
    make_folder(runs / STUDIES, "give a folder that is yours (--runs DIR)")
    write_json(runs / STUDIES / FILE, list(latest.values()))
