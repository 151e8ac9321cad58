"""`python -m tests.bench.precision PRESET [--seeds 5]`: F1 after training in bf16 and in fp32 on the embedded corpus.

Runs are paired by seed, and lie in a folder that a second call goes on with; the interval is Student's t.
"""

import argparse
from pathlib import Path
from statistics import mean, stdev

from scipy.stats import t

from core.datasets import with_paths
from core.metrics import TASKS
from core.presets import build, to_yaml
from core.record import CONFIG
from core.run import run
from core.signature import run_id


def f1_of(preset: str, precision: str, seed: int, runs: Path) -> dict[str, float]:
    """Test F1 of one run of the quick profile, computed where it is not there."""
    row = {"seed": seed, "training": {"precision": precision}, "tracking": {"wandb": "disabled"}}
    config = build(preset, profile="quick", row=row)
    config = config.model_copy(update={"data": with_paths(config.data)})
    folder = runs / run_id(config)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG).write_text(to_yaml(config))
    record = run(folder)
    if record.status != "finished":
        raise SystemExit(f"{folder}: {record.status}: {record.error}")
    return {task: float(record.metrics["test"][task]["f1"]) for task in TASKS}


def main() -> None:
    """Train both formats at every seed and print the paired differences."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.precision", description=__doc__)
    parser.add_argument("preset", nargs="?", default="memory-mrc")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--runs", type=Path, default=Path("runs/precision"))
    given = parser.parse_args()
    scores = {
        precision: [f1_of(given.preset, precision, seed, given.runs) for seed in range(given.seeds)]
        for precision in ("fp32", "bf16")
    }
    print("| F1 | fp32 | bf16 | bf16 - fp32, 95 % interval |\n|---|---|---|---|")
    for task in TASKS:
        one, other = ([score[task] for score in scores[precision]] for precision in ("fp32", "bf16"))
        differences = [b - a for a, b in zip(one, other, strict=True)]
        half = float(t.ppf(0.975, len(differences) - 1)) * stdev(differences) / len(differences) ** 0.5
        shown = " | ".join(f"{mean(part):.2f} ± {stdev(part):.2f}" for part in (one, other))
        print(f"| {task} | {shown} | {mean(differences):+.2f} [{mean(differences) - half:+.2f}, ", end="")
        print(f"{mean(differences) + half:+.2f}] |")


if __name__ == "__main__":
    main()
