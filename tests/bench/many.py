"""`python -m tests.bench.many SIZE WHAT PHASE NUMBER`: seconds a document and peak memory with many documents at once.

Training: a step on so many documents. Decoding: one call with so many, which groups them by length as an evaluation
does. Every process holds the same documents, so that only the work differs.
"""

import json
import sys
import time
from statistics import median

import torch

from core.features.batches import pad_pieces
from core.features.wordpieces import EncodedDocument
from core.model.decoder import Decoder, DecoderSettings, length_buckets
from core.run.device import keep_freed_memory, peak_memory, reset_peak_memory
from tests.bench.inference import Planted, decode_in_parts
from tests.bench.material import (
    THREADS,
    Bench,
    Material,
    floor_optimizer,
    load_material,
    system_config,
)
from tests.bench.timing import PYTHON, Stopwatch
from tests.bench.training import OWN, joint_step, own_step

HELD, STEPS = 300, 4


def measure(size: str, what: str, phase: str, number: int) -> dict[str, float]:
    """Seconds a document, peak resident MiB, and of decoding the share that is Python."""
    torch.set_num_threads(THREADS)
    keep_freed_memory()
    material = load_material(HELD)
    bench = Bench(size, material, [] if what == OWN else [what])
    documents = [material.documents[n % len(material.documents)] for n in range(number)]
    if phase == "train":
        return train(bench, material, what, documents)
    if what == OWN:
        return encode(bench, material, documents)
    return decode(bench, material, what, documents)


def train(bench: Bench, material: Material, what: str, documents: list[EncodedDocument]) -> dict[str, float]:
    """The median of all steps but the first."""
    config = system_config("grc" if what == OWN else what, "fp32")
    alone = floor_optimizer(bench.encoder)
    seconds = []
    for step in range(STEPS):
        watch = Stopwatch()
        if what == OWN:
            own_step(bench, material, documents, alone, "fp32", step, watch)
        else:
            joint_step(bench.models[what], material, config, documents, bench.optimizers[what], step, watch)
        seconds.append(sum(watch.parts.values()) / len(documents))
    return {"seconds": median(seconds[1:]), "peak_mib": peak_memory()}


def encode(bench: Bench, material: Material, documents: list[EncodedDocument]) -> dict[str, float]:
    """Our own encoder on the groups that decoding makes."""
    budget = DecoderSettings.from_config(system_config("grc", "fp32")).piece_budget
    bench.encoder.eval()

    def encoded(part: list[EncodedDocument]) -> float:
        start = time.perf_counter()
        with torch.inference_mode():
            for numbers in length_buckets([len(one.ids) for one in part], budget):
                bench.encoder(pad_pieces([part[n] for n in numbers], material.wordpieces.padding))
        return (time.perf_counter() - start) / len(part)

    encoded(documents[:4])
    reset_peak_memory()
    return {"seconds": encoded(documents), "peak_mib": peak_memory()}


def decode(bench: Bench, material: Material, what: str, documents: list[EncodedDocument]) -> dict[str, float]:
    """Decoding in one call, after a few documents that only warm up."""
    config = system_config(what, "fp32")
    planted = Planted(bench.models[what], material.labels).eval()
    for one in material.documents:
        planted.plant(one, config)
    decoder = Decoder(planted, material.wordpieces, material.labels, DecoderSettings.from_config(config))  # type: ignore[arg-type]
    decode_in_parts(decoder, documents[:4], Stopwatch())
    reset_peak_memory()
    watch = Stopwatch()
    decode_in_parts(decoder, documents, watch)
    total = sum(watch.parts.values())
    shares = {"python_share": watch.parts[PYTHON] / total, "encoder_share": watch.parts["encoder"] / total}
    return {"seconds": total / len(documents), "peak_mib": peak_memory()} | shares


if __name__ == "__main__":
    size, what, phase, number = sys.argv[1:5]
    print(json.dumps(measure(size, what, phase, int(number))))
