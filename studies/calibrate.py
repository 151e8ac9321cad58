"""A short calibration: a few optimiser steps of the dearest row in a process of its own, remembered beside the studies.

It writes no run folder and no record, so nothing can take it for a result; `core.measure` times the steps.
"""

import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import msgspec

from core.config import RunConfig
from core.costs import StepCosts
from core.errors import UserError
from core.presets import to_yaml
from core.progress import say
from core.replacing import make_folder, replace_file
from studies.cost import Calibration, Ground, Grounds, kind_of
from studies.plan import Plan
from studies.study_record import STUDIES
from studies.widths import encoder_parameters, encoder_width

FILE = "calibrations.json"
STEPS = 8
"""Optimiser steps that are timed."""


def calibrate(plan: Plan, runs: Path) -> list[Calibration]:
    """Measure the dearest row on every kind of documents and encoder that the plan has, and remember it."""
    grounds = Grounds()
    rows: dict[Ground, str] = {}
    for row, config in sorted(plan.configs.items(), key=lambda pair: dearness(pair[1])):
        rows[grounds.of(config)] = row
    found = []
    for ground, row in rows.items():
        say(f"calibration: {STEPS} steps of row {row}, the dearest; no result is kept of them")
        found.append(Calibration(ground, kind_of(plan.configs[row]), row, platform.node(), measured(plan.configs[row])))
        remember(found[-1:], runs)
    return found


def dearness(config: RunConfig) -> tuple[float, ...]:
    """What makes a run take long, the weightiest first."""
    memory = config.memory
    reads = 0
    if memory is not None and memory.warmup < 1.0:
        modes = sum(mode in memory.read_mode for mode in ("inverse", "normal"))
        reads = modes * (2 if memory.places == "both" else 1) * (2 if memory.memories == "both" else 1)
    width = (memory.slot_width or encoder_width(config.encoder) or 0) if memory is not None else 0
    return (
        config.training.batch_size,
        encoder_parameters(config) or 0,
        config.model.relation_head == "mrc",
        reads,
        memory.slots_per_type * width if memory is not None else 0,
        config.samples.neg_mentions + config.samples.neg_corefs + config.samples.neg_relations,
    )


def measured(config: RunConfig) -> StepCosts:
    """What a few steps of a config cost, by a process that loads torch in place of this one."""
    with tempfile.TemporaryDirectory(prefix="engram-calibration-") as folder:
        asked, answer = Path(folder) / "config.yaml", Path(folder) / "costs.json"
        asked.write_text(to_yaml(config), encoding="utf-8")
        command = [sys.executable, "-m", "core.measure", str(asked), str(answer), str(STEPS)]
        code = subprocess.run(command, check=False).returncode
        if code == 130:
            raise KeyboardInterrupt
        if code or not answer.is_file():
            raise UserError(
                f"the calibration ended with exit code {code}, see above: the runs would fail in the same way"
            )
        return msgspec.json.decode(answer.read_bytes(), type=StepCosts)


def remembered(runs: Path) -> list[Calibration]:
    """The calibrations beside the studies; a damaged file counts as none, as measuring again mends it."""
    try:
        return msgspec.json.decode((runs / STUDIES / FILE).read_bytes(), type=list[Calibration])
    except (OSError, msgspec.MsgspecError):
        return []


def remember(new: Iterable[Calibration], runs: Path) -> None:
    """Keep calibrations, each in place of an earlier one of the same ground, kind and machine."""
    kept = {(one.ground, one.kind, one.host): one for one in (*remembered(runs), *new)}
    make_folder(runs / STUDIES, "give a folder that is yours (--runs DIR)")
    replace_file(runs / STUDIES / FILE, msgspec.json.format(msgspec.json.encode(list(kept.values())), indent=1) + b"\n")
