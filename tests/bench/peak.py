"""`python -m tests.bench.peak SIZE WHAT PHASE PIECES`: one system in a process of its own, its peak memory and seconds.

PIECES is the length of a document that is glued together from real ones, or 0 for batches of two real documents.
"""

import json
import sys
import time
from statistics import median

import torch

from core.features.candidates import trainable_gold
from core.features.wordpieces import EncodedDocument
from core.model.decoder import Decoder, DecoderSettings
from core.run.device import peak_memory, reset_peak_memory
from tests.bench.inference import Planted, decode_one, encode_alone
from tests.bench.material import (
    THREADS,
    Bench,
    Material,
    floor_optimizer,
    glued,
    load_material,
    system_config,
)
from tests.bench.timing import Readings, Stopwatch
from tests.bench.training import OWN, PLAIN, joint_step, own_step, plain_step

STEPS = 4


def measure(size: str, what: str, phase: str, pieces: int) -> dict[str, float]:
    """Resident memory in MiB, at its peak and before the first step, and the median seconds of all steps but that."""
    torch.set_num_threads(THREADS)
    material = load_material(40)
    bench = Bench(size, material, [] if what in (PLAIN, OWN) else [what])
    optimizer = floor_optimizer(bench.plain)
    readings: Readings = {}
    whole = [glued(material, pieces)] if pieces else []
    # Building held two encoders for a moment.
    reset_peak_memory()
    rest = peak_memory()
    for number in range(STEPS):
        documents = whole or material.documents[2 * number : 2 * number + 2]
        watch = Stopwatch()
        if phase == "infer":
            infer(bench, material, what, documents[0], watch)
        elif what == PLAIN:
            plain_step(bench, material, documents, optimizer, "fp32", watch)
        elif what == OWN:
            own_step(bench, material, documents, optimizer, "fp32", number, watch)
        else:
            config = system_config(what, "fp32")
            joint_step(bench.models[what], material, config, documents, bench.optimizers[what], number, watch)
        watch.into(readings, what)
    gold = trainable_gold(documents[0].document, material.labels)
    return {
        "peak_mib": peak_memory(),
        "rest_mib": rest,
        "seconds": median(readings[what]["total"][1:]),
        "pieces": len(documents[0].ids),
        "mentions": len(gold.mentions),
    }


def infer(bench: Bench, material: Material, what: str, one: EncodedDocument, watch: Stopwatch) -> None:
    """Decode a document with planted gold, or run the encoder alone."""
    if what in (PLAIN, OWN):
        encode_alone(bench, material, what, one, watch)
        return
    config = system_config(what, "fp32")
    planted = Planted(bench.models[what], material.labels).eval()
    decode_one(
        Decoder(planted, material.wordpieces, material.labels, DecoderSettings.from_config(config)), one, config, watch
    )  # type: ignore[arg-type]


if __name__ == "__main__":
    started = time.perf_counter()
    size, what, phase, pieces = sys.argv[1:5]
    print(json.dumps(measure(size, what, phase, int(pieces)) | {"whole_process": time.perf_counter() - started}))
