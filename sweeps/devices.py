"""Which devices the workers of this machine get, and how each sees only its own."""

import argparse
import os
import re


def devices_of(text: str) -> tuple[str, ...]:
    """`cpu`, or `cuda:0,cuda:1` among those that this process may use."""
    devices = tuple(part.strip() for part in text.split(","))
    for device in devices:
        if not re.fullmatch(r"cpu|cuda(:\d+)?", device):
            raise argparse.ArgumentTypeError(f"{device!r} is no device: give cpu, or cuda:N, separated by commas")
        try:
            visible(device, dict(os.environ))
        except IndexError:
            allowed = os.environ["CUDA_VISIBLE_DEVICES"]
            raise argparse.ArgumentTypeError(
                f"{device} is none of the devices {allowed} (CUDA_VISIBLE_DEVICES)"
            ) from None
    return devices


def visible(device: str, environment: dict[str, str]) -> dict[str, str]:
    """The environment that makes a device the only one a worker sees, among those that this process may use."""
    if device == "cpu":
        return {"CUDA_VISIBLE_DEVICES": ""}
    number = int(device.partition(":")[2] or 0)
    allowed = environment.get("CUDA_VISIBLE_DEVICES", "")
    return {"CUDA_VISIBLE_DEVICES": allowed.split(",")[number] if allowed else str(number)}
