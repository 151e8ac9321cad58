"""A real worker whose runs die as the file `poison` in their folder says."""

import resource
from pathlib import Path
from typing import Any

import torch

import core.run.execute
from core.run.worker import serve

POISON = "poison"
ROOM = 256 * 2**20
"""How much more memory, in bytes, a process may have that is to run out of it."""
real_build = core.run.execute.build_fresh_model


def poisoned(folder: Path) -> str:
    """Compute a run that raises as a GPU does, or that asks for more memory than its process may have."""
    poison = folder / POISON
    kind = poison.read_text() if poison.exists() else ""

    def build(*given: Any) -> Any:
        if kind == "gpu":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
        if kind == "memory":
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + ROOM,) * 2)
            torch.ones(2 * ROOM)
        return real_build(*given)

    core.run.execute.build_fresh_model = build
    return core.run.execute.run(folder).status


if __name__ == "__main__":
    raise SystemExit(serve(poisoned))
