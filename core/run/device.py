"""Devices by the name that a setting gives them.

The processor's memory between two steps: blocks are kept, as the next step wants them again; shapes are not.
"""

import ctypes
import os
import sys
from contextlib import suppress
from functools import cache

import torch

from core.errors import UserError


def find_device(wanted: str) -> torch.device:
    """The device that `runtime.device` names; auto is the first GPU where there is one, else the processor."""
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if wanted.startswith("cuda"):
        if not torch.cuda.is_available():
            raise UserError(f"runtime.device is {wanted}, but this machine has no CUDA device: use cpu or auto")
        number = int(wanted.partition(":")[2] or 0)
        if number >= torch.cuda.device_count():
            raise UserError(f"runtime.device is {wanted}, but there are {torch.cuda.device_count()} CUDA devices")
    return torch.device(wanted)


# From glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT = 2**30
# Of oneDNN itself, and of the layer through which torch calls it. Both are read at the first product.
SHAPE_CACHES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")
SHAPES = 16


@cache
def keep_freed_memory() -> None:
    """Ask glibc to keep freed blocks of up to 1 GiB instead of giving them back; nothing happens elsewhere.

    A block that was given back returns as pages that the system fills with zeros one by one: at BERT-base size, where
    the embedding's gradient alone is 90 MiB, that is about a fifth of a training step.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(M_MMAP_THRESHOLD, KEPT)
    mallopt(M_TRIM_THRESHOLD, 2 * KEPT - 1)


def release_freed_memory() -> None:
    """Ask glibc to give back what is free now: a model that was just loaded leaves its size behind once more."""
    if sys.platform.startswith("linux"):
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)


def limit_onednn_cache() -> None:
    """Ask oneDNN to keep the code of few products; only before the first product, and unless the user has said else.

    It keeps the code of the last 1,024 shapes. Documents give hardly a shape twice, so that decoding would grow by
    half a gigabyte over the first thousands of them, and gain no time.
    """
    for name in SHAPE_CACHES:
        os.environ.setdefault(name, str(SHAPES))
