"""What the figures of `bench.json` should not exceed, and which of them do."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.bench.training import OWN, PLAIN

SIZES = {"minilm": "MiniLM", "base": "BERT-base"}
PHASES = {"train": "training step", "infer": "decoding"}
RATIOS = {
    ("train", "plain", "base"): {"grc": 1.1, "mrc": 1.25},
    ("train", "plain", "minilm"): {"grc": 1.1, "mrc": 1.3},
    ("train", "own", "base"): {"grc": 1.15, "mrc": 1.3},
    ("train", "own", "minilm"): {"grc": 1.35, "mrc": 1.6},
    ("infer", "plain", "base"): {"grc": 1.25, "mrc": 1.4},
    ("infer", "plain", "minilm"): {"grc": 1.6, "mrc": 1.9},
}
"""Seconds over those of the encoder alone, fp32: (phase, floor, size) -> the system without its `memory-`."""
SHARES = {"python_share": 0.05, "batching_share": 0.03}
"""Of decoding what is Python, of a training step what is sampling and collation."""
SHARE_NAMES = {"python_share": "Python's part of decoding", "batching_share": "sampling and collation of a step"}
MEMORY = 1.3
"""Peak resident memory over that of our own encoder."""
SECONDS = {
    "engram --help": 1.5,
    "engram score, 300 documents": 1.5,
    "import core.run.execute": 6.0,
    "1,000 documents prepared, cold": 5.0,
    "1,000 documents prepared, cached": 0.5,
}


@dataclass(frozen=True)
class Check:
    """A figure and its limit."""

    name: str
    value: float
    limit: float

    @property
    def met(self) -> bool:
        """Whether the figure keeps within its limit."""
        return self.value <= self.limit


def ratio_limit(phase: str, floor: str, size: str, system: str) -> float | None:
    """The limit of a ratio; None where there is none."""
    return RATIOS.get((phase, floor, size), {}).get(system.removeprefix("memory-"))


def checks(results: dict[str, Any]) -> Iterator[Check]:
    """Everything that was measured and has a limit."""
    for floor, name in (("plain", "ratios"), ("own", "ratios_own")):
        for size, phases in results.get(name, {}).items():
            for phase, ratios in phases.items():
                for system, ratio in ratios.items():
                    limit = ratio_limit(phase, floor, size, system)
                    if limit is not None:
                        yield Check(f"{SIZES[size]}, {PHASES[phase]} / {floor} encoder, {system}", ratio, limit)
    for name, limit in SHARES.items():
        for size, shares in results.get(name, {}).items():
            for system, share in shares.items():
                yield Check(f"{SIZES[size]}, {SHARE_NAMES[name]}, {system}", share, limit)
    for size, phases in results.get("peak_mib", {}).items():
        for phase, peaks in phases.items():
            for system in peaks.keys() - {OWN, PLAIN}:
                name = f"{SIZES[size]}, {PHASES[phase]}, peak memory / own encoder, {system}"
                yield Check(name, peaks[system] / peaks[OWN], MEMORY)
    for what, seconds in results.get("startup", {}).items():
        yield Check(f"{what}, seconds", seconds, SECONDS[what])
    if results.get("bf16_f1"):
        found = results["bf16_f1"]
        yield Check("bf16 - fp32, strict relation F1, size of the mean / std over seeds", *within_noise(found))


def within_noise(found: dict[str, Any]) -> tuple[float, float]:
    """The size of the mean difference in F1 that bf16 makes, and the spread over seeds that it should not exceed."""
    return abs(found["difference"]["mean"]), found["fp32"]["std"]


def verdict(results: dict[str, Any]) -> str:
    """How many targets are met, and a line for each that is missed."""
    found = list(checks(results))
    missed = sorted((check for check in found if not check.met), key=lambda check: check.name)
    if not found:
        return ""
    told = f"{len(found) - len(missed)} of {len(found)} measured targets are met."
    return "\n".join([told, *(f"MISSED: {one.name}: {one.value:.3g} > {one.limit:.3g}" for one in missed)])
