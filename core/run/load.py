"""Load a finished run: its config, the model that validation chose with its decoder, and the documents of its own."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from core.config.presets import from_yaml, merge, validate
from core.config.schema import RunConfig
from core.data.corpus import Corpus
from core.data.documents import Document
from core.data.issues import Issues
from core.data.splits import read_splits
from core.errors import UserError
from core.features.prepare import encode_documents
from core.features.wordpieces import EncodedDocument
from core.files import content_hash
from core.model.decoder import Decoder, DecoderSettings
from core.records.record import BEST, CONFIG, find_run
from core.run.device import find_device, limit_onednn_cache, release_freed_memory
from core.training.checkpoints import TrainedModel, load_model


@dataclass(frozen=True)
class OpenRun:
    """The folder, config and model of a run, and the decoder of that model on its device."""

    folder: Path
    config: RunConfig
    trained: TrainedModel
    decoder: Decoder

    @property
    def positions(self) -> int:
        """The most word pieces that a document may have."""
        return min(self.config.encoder.positions, self.trained.model.encoder.positions)

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of decoding."""
        return {**asdict(self.decoder.settings), "positions": self.positions, "overlong": self.config.data.overlong}

    def encode(self, documents: tuple[Document, ...], issues: Issues) -> list[EncodedDocument]:
        """Documents as word pieces, as the run takes them; repairs are counted in `issues`."""
        return encode_documents(documents, self.trained.wordpieces, self.positions, self.config.data, issues)

    def identity(self) -> dict[str, str]:
        """What predictions depend on: the checkpoint by its content, and the settings of decoding."""
        return {"checkpoint": content_hash(self.folder / BEST), "setting of the run": json.dumps(self.settings)}


def open_run(
    reference: str,
    *,
    runs: Path,
    device: str | None = None,
    threads: int | None = None,
    thresholds: Mapping[str, float] | None = None,
) -> OpenRun:
    """Open a run by id, prefix or folder, on the device asked for or its own; `thresholds` replace those of its config.

    `OpenRun.config` keeps the run's own thresholds, the decoder has the others.
    """
    limit_onednn_cache()
    folder = find_run(reference, runs)
    config = from_yaml(folder / CONFIG)
    asked = {name: value for name, value in (("device", device), ("threads", threads)) if value is not None}
    config = validate(merge(config.model_dump(), {"runtime": asked}))
    if config.runtime.threads is not None:
        torch.set_num_threads(config.runtime.threads)
    trained = load_model(folder / BEST, config)
    trained.model.to(find_device(config.runtime.device))
    release_freed_memory()
    decoding = config.model_copy(update={"model": config.model.model_copy(update=thresholds)})
    settings = DecoderSettings.from_config(decoding)
    return OpenRun(folder, config, trained, Decoder(trained.model, trained.wordpieces, trained.labels, settings))


def read_own_split(opened: OpenRun, split: str) -> Corpus:
    """The documents of a run's own split, as the run has read them."""
    data, corpus = opened.config.data, None
    if data.train is not None:
        splits = read_splits(data, max_span_tokens=opened.config.samples.max_span_tokens)
        corpus = splits.test if split == "test" else splits.validation
    if corpus is None:
        raise UserError(f"{opened.folder} has no {split} documents of its own: give --input FILE")
    return corpus
