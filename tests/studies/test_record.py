from pathlib import Path

import msgspec
import pytest

from core.errors import UserError
from studies.plan import plan
from studies.record import find_study_record, read_study_record, write_study_record
from studies.study import find_study


def test_the_record_is_read_back_and_found(tmp_path: Path, documents: dict) -> None:
    record = plan(find_study("paper"), profile="quick", runs=tmp_path, settings=documents).record
    path = write_study_record(tmp_path, record)
    assert path == tmp_path / "studies" / "paper@quick" / "study.json"
    assert read_study_record(path) == record
    assert find_study_record("paper", tmp_path) == record
    write_study_record(tmp_path, msgspec.structs.replace(record, profile="minilm"))
    with pytest.raises(UserError, match="was run as paper@minilm and paper@quick"):
        find_study_record("paper", tmp_path)
    assert find_study_record("paper", tmp_path, profile="quick") == record
    with pytest.raises(UserError, match=r"study 'ladder' was not run.*paper@minilm, paper@quick"):
        find_study_record("ladder", tmp_path)
    path.write_text("{")
    with pytest.raises(UserError, match="is damaged"):
        find_study_record("paper", tmp_path, profile="quick")


def test_a_study_with_axes_is_read_back_from_its_record(tmp_path: Path, documents: dict) -> None:
    for name in ("memory-size", "pooling"):
        record = plan(find_study(name), profile="quick", runs=tmp_path, settings=documents).record
        assert read_study_record(write_study_record(tmp_path, record)) == record
