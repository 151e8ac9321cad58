"""Gold documents of a run, read again from the files that it was scored on."""

from collections.abc import Sequence
from pathlib import Path

from core.config.schema import DataConfig
from core.data.datasets import SYNTHETIC, make_synthetic
from core.data.documents import Document
from core.data.formats import read_corpus
from core.data.splits import validation_split
from core.errors import UserError
from core.files import content_hash
from core.records.record import RunRecord


def read_gold(record: RunRecord, *, split: str) -> Sequence[Document]:
    """The annotated documents of a split, read from the file that the run read; a UserError says why they cannot be."""
    data = DataConfig.model_validate(record.config["data"])
    if getattr(data, split):
        return read_corpus(data_file(record, data, split), format=data.format).documents
    # Validation without a file of its own is a share of the training documents.
    documents = read_corpus(data_file(record, data, "train"), format=data.format).documents
    return validation_split(documents, data.validation_share)[1]


def data_file(record: RunRecord, data: DataConfig, name: str) -> Path:
    """The train, validation or test file of a run, which must have the content hash that the record holds."""
    setting = getattr(data, name)
    path = Path(setting)
    if not path.is_file() and path.parent.name == SYNTHETIC:
        # The embedded corpus can be made again, wherever the study was computed.
        path = make_synthetic() / path.name
    expected = record.provenance.data.get(setting) if record.provenance is not None else None
    if not path.is_file() or content_hash(path) != expected:
        raise UserError(f"{path} is missing, or was changed after {record.run_id} read it")
    return path
