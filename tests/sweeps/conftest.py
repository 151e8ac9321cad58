"""A planned study of two rows and two seeds."""

from pathlib import Path

import pytest

from core.data.formats.docred import write_docred
from core.data.synthetic import generate
from studies.plan import Plan, plan
from studies.rows import Row
from studies.study import Study


@pytest.fixture
def planned(tmp_path: Path) -> Plan:
    path = tmp_path / "documents.json"
    write_docred(generate(3), path)
    rows = {"one": Row(preset="jerex-grc"), "two": Row(preset="memory-grc")}
    study = Study(question="?", rows=rows, baseline="one", seeds=(0, 1), name="mine")
    data = {"data": {"name": None, "train": str(path), "test": str(path)}}
    return plan(study, profile="quick", runs=tmp_path / "runs", settings=data)
