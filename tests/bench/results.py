"""`bench.json`: slices of a measurement merged, ratios and medians computed anew from all readings; and the table."""

import json
import platform
from pathlib import Path
from typing import Any

import torch

from tests.bench.timing import (
    BATCHING,
    PYTHON,
    Readings,
    extend,
    medians,
    ratio,
    share,
)
from tests.bench.training import OWN, PLAIN

FLOORS = {"plain": PLAIN, "own": OWN}


def machine() -> dict[str, Any]:
    """Processor, threads and versions: a ratio is of a machine."""
    name = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ():
        if line.startswith("model name"):
            name = line.partition(":")[2].strip()
            break
    return {
        "processor": name,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def load(path: Path) -> dict[str, Any]:
    """What has been measured so far; nothing where there is no file."""
    return json.loads(path.read_text()) if path.is_file() else {}


def add_readings(results: dict[str, Any], size: str, phase: str, precision: str, more: Readings) -> None:
    """Merge a slice of a measurement and compute its medians and ratios anew.

    `ratios` are of fp32 and against the plain transformers encoder; `ratios_own` against our own encoder, both once
    more under `bf16` for that format.
    """
    key = f"{size} {phase} {precision}"
    readings = results.setdefault("readings", {}).setdefault(key, {})
    extend(readings, more)
    part = results if precision == "fp32" else results.setdefault(precision, {})
    found = medians(readings)
    part.setdefault("seconds", {}).setdefault(size, {})[phase] = {what: parts["total"] for what, parts in found.items()}
    part.setdefault("parts", {}).setdefault(size, {})[phase] = found
    name, parts_of_share = ("python_share", (PYTHON,)) if phase == "infer" else ("batching_share", BATCHING)
    shares = {
        what: share(parts, *parts_of_share) for what, parts in readings.items() if parts.keys() >= {*parts_of_share}
    }
    part.setdefault(name, {})[size] = shares
    for floor, name in FLOORS.items():
        of_floor = part.setdefault("ratios" if floor == "plain" else "ratios_own", {}).setdefault(size, {})
        of_floor[phase] = {
            system: ratio(readings, system, name) for system in readings if system not in FLOORS.values()
        }


def save(path: Path, results: dict[str, Any]) -> None:
    """Write everything, the machine with it; what has not been measured is there, and empty."""
    empty: dict[str, Any] = {"ratios": {}, "seconds": {}, "peak_mib": {}}
    written = {"machine": machine()} | empty | {name: part for name, part in results.items() if name != "machine"}
    results.update(written)
    path.write_text(json.dumps(written, indent=1) + "\n")
