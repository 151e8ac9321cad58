"""`bench.json`: slices of a measurement merged, ratios and medians computed anew from all readings; and the table."""

import json
import platform
from pathlib import Path
from typing import Any

import torch

from tests.bench.timing import Readings, extend, medians, ratio
from tests.bench.training import OWN, PLAIN

TARGETS = {
    ("train", "plain", "base"): {"grc": 1.1, "mrc": 1.25},
    ("train", "plain", "minilm"): {"grc": 1.1, "mrc": 1.3},
    ("train", "own", "base"): {"grc": 1.15, "mrc": 1.3},
    ("train", "own", "minilm"): {"grc": 1.35, "mrc": 1.6},
    ("infer", "plain", "base"): {"grc": 1.25, "mrc": 1.4},
    ("infer", "plain", "minilm"): {"grc": 1.6, "mrc": 1.9},
}
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
    part.setdefault("seconds", {}).setdefault(size, {})[phase] = medians(readings)
    for floor, name in FLOORS.items():
        of_floor = part.setdefault("ratios" if floor == "plain" else "ratios_own", {}).setdefault(size, {})
        of_floor[phase] = {
            system: ratio(readings, system, name) for system in readings if system not in FLOORS.values()
        }


def save(path: Path, results: dict[str, Any]) -> None:
    """Write everything, the machine with it."""
    results["machine"] = machine()
    path.write_text(json.dumps(results, indent=1) + "\n")


def table(results: dict[str, Any]) -> str:
    """The ratios as a Markdown table, each with its target."""
    lines = [
        "| size | what | floor | format | GRC | memory-GRC | MRC | memory-MRC |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for precision in ("fp32", "bf16"):
        part = results if precision == "fp32" else results.get(precision, {})
        for size in ("minilm", "base"):
            for phase in ("train", "infer"):
                for floor, name in (("plain", "ratios"), ("own", "ratios_own")):
                    ratios = part.get(name, {}).get(size, {}).get(phase)
                    if not ratios:
                        continue
                    targets = TARGETS.get((phase, floor, size), {}) if precision == "fp32" else {}
                    cells = [
                        f"{ratios[system]:.2f}" + (f" (≤ {targets[system[-3:]]})" if targets else "")
                        if system in ratios
                        else ""
                        for system in ("grc", "memory-grc", "mrc", "memory-mrc")
                    ]
                    lines.append(f"| {size} | {phase} | {floor} | {precision} | {' | '.join(cells)} |")
    return "\n".join(lines)


def parts_table(results: dict[str, Any]) -> str:
    """The median milliseconds of every part of a training step and of decoding."""
    names = ("sampling", "collation", "forward", "backward", "optimiser", "encoder", "decoding", "total")
    lines = ["| what | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
    for key, readings in results.get("readings", {}).items():
        for what, parts in medians(readings).items():
            cells = [f"{1e3 * parts[name]:.1f}" if name in parts else "" for name in names]
            lines.append(f"| {key} {what} ({len(readings[what]['total'])}) | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def apart_table(results: dict[str, Any]) -> str:
    """Peak memory over that of our own encoder, growth with length, and start-up."""
    lines = []
    for size, phases in results.get("peak_mib", {}).items():
        for phase, peaks in phases.items():
            told = ", ".join(f"{what} {mib:.0f} ({mib / peaks[OWN]:.2f})" for what, mib in peaks.items())
            lines.append(f"peak MiB, {size} {phase}: {told}")
    for size, phases in results.get("growth", {}).items():
        for phase, systems in phases.items():
            for what, lengths in systems.items():
                told = ", ".join(f"{n}: {one['seconds']:.2f} s {one['peak_mib']:.0f} MiB" for n, one in lengths.items())
                lines.append(f"growth, {size} {phase} {what}: {told}")
    lines += [f"{what}: {seconds:.2f} s" for what, seconds in results.get("startup", {}).items()]
    return "\n".join(lines)
