"""What needs a process of its own: peak memory, growth with length and number of documents, start-up, preparation."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench.material import SYSTEMS, shared_documents
from tests.bench.training import OWN, PLAIN

LENGTHS = (128, 256, 512, 1_024, 2_048)
NUMBERS = {"train": (1, 2, 4, 8), "infer": (10, 30, 100, 300)}
"""Documents in a training step, and documents given to the decoder at once."""


def _child(*words: str, module: str = "tests.bench.peak") -> dict[str, float]:
    command = [sys.executable, "-m", module, *words]
    return dict(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout))


def measure_memory(size: str) -> dict[str, Any]:
    """Resident MiB of a few steps, of decoding a few documents, and of the encoders alone, a process each: `peak_mib`
    and `rest_mib`, before the first step."""
    found = {
        phase: {what: _child(size, what, phase, "0") for what in (PLAIN, OWN, *SYSTEMS)} for phase in ("train", "infer")
    }
    return {
        key: {phase: {what: one[key] for what, one in systems.items()} for phase, systems in found.items()}
        for key in ("peak_mib", "rest_mib")
    }


def measure_growth(size: str, phase: str, what: str) -> dict[str, Any]:
    """Seconds and peak MiB of one document of 128 to 2,048 pieces, for a system and our own encoder."""
    return {name: {str(length): _child(size, name, phase, str(length)) for length in LENGTHS} for name in (OWN, what)}


def measure_numbers(size: str, phase: str, what: str) -> dict[str, Any]:
    """Seconds a document and peak MiB with the number of documents, for a system and our own encoder."""
    return {
        name: {str(n): _child(size, name, phase, str(n), module="tests.bench.many") for n in NUMBERS[phase]}
        for name in (OWN, what)
    }


def seconds_of(command: list[str], times: int = 3, **environment: str) -> float:
    """The median seconds of a command."""
    readings = []
    for _ in range(times):
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, env=os.environ | environment)
        readings.append(time.perf_counter() - start)
    return median(readings)


def measure_startup() -> dict[str, float]:
    """Seconds of a fresh process: help, scoring 300 documents, importing what a run imports; of 1,000 documents
    prepared cold and from the cache."""
    python = sys.executable
    found = {
        "engram --help": seconds_of([python, "engram.py", "--help"]),
        "import core.run.execute": seconds_of([python, "-c", "import core.run.execute"]),
    }
    folder = shared_documents()
    if folder is None:
        return found
    with tempfile.TemporaryDirectory() as place:
        dev, lines = folder / "dev_joint.json", Path(place) / "gold.jsonl"
        program = (
            "import sys\nfrom core.data.formats import read_corpus\n"
            "from core.data.formats.predictions import write_predictions\n"
            "from pathlib import Path\ndocuments = read_corpus(Path(sys.argv[1])).documents\n"
            "write_predictions([(one, one.gold) for one in documents], Path(sys.argv[2]))"
        )
        subprocess.run([python, "-c", program, str(dev), str(lines)], check=True)
        score = [python, "engram.py", "score", "--gold", str(dev), "--predictions", str(lines)]
        found["engram score, 300 documents"] = seconds_of(score)
        for name, times in (("cold", 1), ("cached", 3)):
            command = [python, "-m", "tests.bench.preparation", str(folder)]
            readings = [
                float(subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout)
                for environment in [os.environ | {"ENGRAM_CACHE": place}] * times
            ]
            found[f"1,000 documents prepared, {name}"] = median(readings)
    return found
