"""`python -m tests.bench.planning [FOLDER]`: CPU seconds and peak memory of `study plan` on 10,000 runs.

First all of them wait, then all are finished, each with a record of real size; each plan is a process of its own. The
records stay in FOLDER, where one is given, for `study status` and others to be measured on.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec
import yaml

from core.data.formats.docred import write_docred
from core.data.synthetic import generate
from core.records.provenance import collect_provenance
from core.records.record import RunRecord, write_record
from core.scoring.metrics import TASKS
from studies.plan import plan
from studies.study import read_study

CELLS, SEEDS = 2_000, 5
TYPES = 96
PROGRAM = """
import resource, sys
from contextlib import redirect_stdout
from engram import main
with open(sys.argv[1], "w") as out, redirect_stdout(out):
    code = main(sys.argv[2:])
used = resource.getrusage(resource.RUSAGE_SELF)
print(f"{used.ru_utime + used.ru_stime:.2f} s of CPU, {used.ru_maxrss / 1024:.0f} MiB", flush=True)
sys.exit(code)
"""


def main(folder: Path) -> None:
    """Write the study, plan it, finish it, plan it again."""
    write_docred(generate(20), folder / "documents.json")
    rates = [round(1e-5 + number * 1e-8, 10) for number in range(CELLS)]
    axis = {"name": "lr", "path": "training.lr", "values": rates}
    study = {"question": "?", "baseline": f"lr={rates[0]:g}", "base": {"preset": "memory-grc"}, "axes": [axis]}
    (folder / "wide.yaml").write_text(yaml.safe_dump(study))
    data = {"name": None, "train": str(folder / "documents.json"), "test": None}
    flags = ["--data.name", "none", "--data.train", str(data["train"]), "--runs", str(folder / "runs")]
    measured("all waiting ", folder, ["study", "plan", str(folder / "wide.yaml"), *flags])
    planned = plan(
        read_study(folder / "wide.yaml"),
        profile="quick",
        runs=folder / "runs",
        seeds=range(SEEDS),
        settings={"data": data},
    )
    provenance = collect_provenance({str(data["train"]): "0" * 64})
    scores = scores_of_real_size()
    for run in planned.runs:
        run.folder.mkdir(parents=True, exist_ok=True)
        config = run.config.model_dump(mode="json")
        record = RunRecord(run_id=run.run_id, status="finished", config=config, provenance=provenance, seconds=60.0)
        write_record(run.folder, msgspec.structs.replace(record, metrics=scores))
    size = (planned.runs[0].folder / "record.json").stat().st_size
    measured("all finished", folder, ["study", "plan", str(folder / "wide.yaml"), *flags])
    print(f"{len(planned.runs)} runs, records of {size / 1024:.0f} KiB")


def scores_of_real_size() -> dict[str, dict[str, object]]:
    """Scores of both splits with a breakdown over as many relation types as DocRED has."""
    part = {"precision": 50.123456789, "recall": 49.87654321, "f1": 50.0, "tp": 100, "fp": 100, "fn": 100}
    names = ("precision", "recall", "f1", "macro_precision", "macro_recall", "macro_f1")
    extra = {"documents": 300, "by_relation_type": {f"P{number}": part for number in range(TYPES)}}
    return {
        split: dict.fromkeys(TASKS, dict.fromkeys(names, 50.123456)) | {"extra": extra}
        for split in ("validation", "test")
    }


def measured(what: str, folder: Path, arguments: list[str]) -> None:
    """Print what a command takes in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder / "out.txt"), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    print(f"{what}  {done.stdout.strip()}{done.stderr.strip() if done.returncode else ''}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(Path(temporary))
