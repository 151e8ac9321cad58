"""Documents for plans, and studies that a test writes."""

from pathlib import Path

import pytest

from core.data.formats.docred import write_docred
from core.data.synthetic import generate


@pytest.fixture
def documents(tmp_path: Path) -> dict[str, dict[str, str | None]]:
    """Settings that name documents to train on and others to test on."""
    written = generate(6)
    write_docred(written[:4], tmp_path / "train.json")
    write_docred(written[4:], tmp_path / "test.json")
    return {"data": {"name": None, "train": str(tmp_path / "train.json"), "test": str(tmp_path / "test.json")}}
