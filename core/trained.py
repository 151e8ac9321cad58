"""A finished run, opened: its config, its record and the model that validation chose."""

from dataclasses import dataclass
from pathlib import Path

import torch

from core.checkpoint import TrainedModel, load_model
from core.config import RunConfig
from core.decode import Decoder, Settings
from core.presets import from_yaml, merge, validate
from core.record import BEST, CONFIG, find_run


@dataclass(frozen=True)
class OpenRun:
    """A run's folder, config and model, and the decoder of that model on its device."""

    folder: Path
    config: RunConfig
    trained: TrainedModel
    decoder: Decoder

    @property
    def positions(self) -> int:
        """The most word pieces that a document may have."""
        return min(self.config.encoder.positions, self.trained.model.encoder.positions)


def open_run(reference: str, *, runs: Path, device: str | None = None, threads: int | None = None) -> OpenRun:
    """Open a run by id, prefix or folder, on the device asked for or its own."""
    folder = find_run(reference, runs)
    config = from_yaml(folder / CONFIG)
    asked = {name: value for name, value in (("device", device), ("threads", threads)) if value is not None}
    config = validate(merge(config.model_dump(), {"runtime": asked}))
    if config.runtime.threads is not None:
        torch.set_num_threads(config.runtime.threads)
    trained = load_model(folder / BEST, config)
    trained.model.to(torch_device(config.runtime.device))
    return OpenRun(
        folder, config, trained, Decoder(trained.model, trained.wordpieces, trained.labels, Settings.of(config))
    )


def torch_device(wanted: str) -> torch.device:
    """The device that a setting names; auto is the first GPU where there is one."""
    if wanted != "auto":
        return torch.device(wanted)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
