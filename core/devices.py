"""Devices by the name that a setting gives them."""

import torch

from core.errors import UserError


def device_of(wanted: str) -> torch.device:
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
