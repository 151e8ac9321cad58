"""`python -m tests.bench` (`make bench`): ratios of a joint step and of decoding to the encoder alone.

Everything of one size is measured in one process, in turn on the same batches; figures are medians over at least 20
batches of two documents (training) or 20 documents (inference). Peak memory, growth and start-up are measured in
processes of their own, and what bf16 does to F1 is a study of ten runs. `--only` and `--rounds` measure a slice; with
`--keep` its rounds join those that bench.json holds already, so that a shared machine need not be kept for long:

  python -m tests.bench --only minilm infer fp32 --rounds 5
  python -m tests.bench --keep --only base memory
"""

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from tests.bench.apart import measure_growth, measure_memory, measure_numbers, measure_startup
from tests.bench.inference import measure_inference, mentions_per_document
from tests.bench.material import (
    SIZES,
    SYSTEMS,
    THREADS,
    Bench,
    load_material,
    system_config,
)
from tests.bench.precision import measure_precision
from tests.bench.results import add_readings, load, save
from tests.bench.tables import FORMATS, report
from tests.bench.targets import PHASES
from tests.bench.training import measure_training

ROUNDS = 20
APART = ("memory", "growth", "documents", "startup", "f1")
"""What takes processes of its own: growth is with length, documents is growth with their number, f1 is of bf16."""


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="the fp32 ratios alone")
    words = (*SIZES, *PHASES, *FORMATS, *APART)
    parser.add_argument(
        "--only",
        nargs="*",
        default=[],
        choices=words,
        metavar="WORD",
        help=f"a slice, named by words of: {', '.join(words)}",
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="batches or documents to measure")
    parser.add_argument("--systems", nargs="*", default=list(SYSTEMS), choices=list(SYSTEMS))
    parser.add_argument("--output", type=Path, default=Path("bench.json"))
    parser.add_argument("--keep", action="store_true", help="add to the readings of the output file, not start anew")
    parser.add_argument("--show", action="store_true", help="print the tables of the output file and measure nothing")
    given = parser.parse_args()
    apart = [word for word in APART if word in given.only]
    if given.quick and apart:
        parser.error(f"--quick measures the fp32 ratios alone: leave it out to measure {', '.join(apart)}")
    return given


def main() -> int:
    """Measure what is asked for, print the table, write bench.json."""
    given = arguments()
    results = load(given.output) if given.keep or given.show else {}
    if not given.show:
        torch.set_num_threads(THREADS)
        measure(given, results)
    print(report(results))
    return 0


def chosen(given: argparse.Namespace, words: tuple[str, ...]) -> list[str]:
    """Those of some words that the slice names, all where it names none."""
    named = [word for word in words if word in given.only]
    return named or list(words)


def measure(given: argparse.Namespace, results: dict) -> None:
    """Fill the results, saving after every part."""
    material = load_material(2 * ROUNDS)
    mean = mentions_per_document(material.documents, system_config("grc", "fp32"), material.labels)
    results["documents"] = {"source": material.source, "number": len(material.documents), "mentions": mean}
    apart = [word for word in APART if word in given.only]
    if not given.quick and (apart or not given.only):
        measure_apart(given, results, apart or list(APART))
        if apart:
            return
    for size in chosen(given, tuple(SIZES)):
        bench = Bench(size, material, given.systems)
        for phase in chosen(given, tuple(PHASES)):
            measured = measure_training if phase == "train" else measure_inference
            for precision in chosen(given, FORMATS[:1] if given.quick else FORMATS):
                done = results.get("readings", {}).get(f"{size} {phase} {precision}", {})
                first = min((len(parts["total"]) for parts in done.values()), default=0)
                with part(given, results, f"{size} {phase} {precision}, {given.rounds} rounds"):
                    rounds = measured(bench, material, precision, first, given.rounds)
                    add_readings(results, size, phase, precision, rounds)


def measure_apart(given: argparse.Namespace, results: dict, words: list[str]) -> None:
    """What takes processes of its own, saved one after another."""
    for size in chosen(given, tuple(SIZES)):
        if "memory" in words:
            with part(given, results, f"{size} memory"):
                for key, found in measure_memory(size).items():
                    results.setdefault(key, {})[size] = found
        for word, key, measured in (
            ("growth", "growth", measure_growth),
            ("documents", "growth_documents", measure_numbers),
        ):
            for phase in chosen(given, tuple(PHASES)) if word in words else ():
                with part(given, results, f"{size} {phase} {word}"):
                    results.setdefault(key, {}).setdefault(size, {})[phase] = measured(size, phase, "memory-mrc")
    if "startup" in words:
        with part(given, results, "startup"):
            results["startup"] = measure_startup()
    if "f1" in words:
        with part(given, results, "f1 of bf16"):
            results["bf16_f1"] = measure_precision()


@contextmanager
def part(given: argparse.Namespace, results: dict, name: str) -> Iterator[None]:
    """Say that a part begins and how long it took, and save what it found."""
    print(f"{name} ...", file=sys.stderr, flush=True)
    started = time.perf_counter()
    yield
    save(given.output, results)
    print(f"{name}: {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
