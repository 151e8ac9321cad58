"""Device of a run by its name, and the memory of the process: its peak, and how glibc and oneDNN keep it."""

import ctypes
import os
import resource
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path

import torch

from core.errors import UserError

# From glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
MAX_KEPT_BLOCK = 2**30
# Of oneDNN itself, and of the layer through which torch calls it. Both are read at the first product.
SHAPE_CACHES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")
CACHED_SHAPES = 16


def find_device(name: str) -> torch.device:
    """The device that `runtime.device` names; auto is the first GPU where there is one, else the CPU."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.startswith("cuda"):
        if not torch.cuda.is_available():
            raise UserError(f"runtime.device is {name}, but this machine has no CUDA device: use cpu or auto")
        count = torch.cuda.device_count()
        if int(name.partition(":")[2] or 0) >= count:
            raise UserError(f"runtime.device is {name}, but this machine has {count} CUDA devices: use cuda:0 or auto")
    return torch.device(name)


def reset_peak_memory() -> None:
    """Start the peak afresh, without what a worker's last run left behind; only on Linux."""
    release_freed_memory()
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory() -> float:
    """The most resident memory that this process has held since its peak was last reset, in MiB."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale / 2**20


@cache
def keep_freed_memory() -> None:
    """Ask glibc to keep freed blocks of up to 1 GiB instead of returning them; without effect elsewhere.

    A block that was returned comes back as pages that the system fills with zeros one by one: at BERT-base size, where
    the embedding's gradient alone is 90 MiB, that is about a fifth of a training step.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(M_MMAP_THRESHOLD, MAX_KEPT_BLOCK)
    mallopt(M_TRIM_THRESHOLD, 2 * MAX_KEPT_BLOCK - 1)


def release_freed_memory() -> None:
    """Ask glibc to return what is free now: loading a model leaves memory of the model's size behind."""
    if sys.platform.startswith("linux"):
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)


def limit_onednn_cache() -> None:
    """Ask oneDNN to keep the code of few products; only before the first product, and unless the user set a number.

    It keeps the code of the last 1,024 shapes. Hardly any two documents have the same, so that a process would grow by
    a gigabyte over the first hundreds of them and be no faster.
    """
    for name in SHAPE_CACHES:
        os.environ.setdefault(name, str(CACHED_SHAPES))
