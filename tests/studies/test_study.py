from pathlib import Path

import msgspec
import pytest

from core.data.formats.docred import write_docred
from core.data.synthetic import generate
from core.errors import UserError
from studies.plan import differences, plan
from studies.record import find_study_record, read_study_record, write_study_record
from studies.study import (
    SEEDS,
    Row,
    Study,
    find_study,
    read_study,
    shipped_studies,
)


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, dict[str, str | None]]:
    path = tmp_path / "documents.json"
    write_docred(generate(4), path)
    return {"data": {"name": None, "train": str(path), "test": str(path)}}


def test_the_four_systems_differ_in_relation_head_and_memory_alone(
    settings: dict, capsys: pytest.CaptureFixture[str]
) -> None:
    planned = plan(find_study("paper"), profile="quick", runs=Path("runs"), settings=settings)
    configs = {run.row: run.config for run in planned.runs if run.seed == 0}
    assert list(configs) == ["jerex-grc", "memory-grc", "jerex-mrc", "memory-mrc"]
    reference = configs["jerex-grc"]
    found = {row: differences(reference, config) for row, config in configs.items()}
    for row, difference in found.items():
        print(row, difference)
    assert found["jerex-grc"] == {}
    assert found["jerex-mrc"] == {"model.relation_head": ("grc", "mrc")}
    assert found["memory-grc"].keys() == {"memory"}
    assert found["memory-grc"]["memory"][0] is None
    assert found["memory-mrc"].keys() == {"memory", "model.relation_head"}
    assert found["memory-mrc"]["memory"] == found["memory-grc"]["memory"]


def test_runs_come_seed_by_seed_with_one_signature_per_row(settings: dict) -> None:
    planned = plan(find_study("paper"), profile="quick", runs=Path("runs"), settings=settings)
    assert len(planned.runs) == 4 * len(SEEDS)
    assert [run.seed for run in planned.runs] == [seed for seed in SEEDS for _ in range(4)]
    assert len({run.run_id for run in planned.runs}) == 20
    for cell in planned.record().row_runs:
        assert list(cell.runs.values()) == [f"{cell.signature}-s{seed}" for seed in SEEDS]
    assert all(run.folder == Path("runs") / run.run_id.split("-")[0] / f"s{run.seed}" for run in planned.runs)


def test_rows_that_are_one_cell_are_computed_once(settings: dict) -> None:
    rows = {
        "one": Row(preset="jerex-grc"),
        "same": Row(preset="jerex-mrc", settings={"model": {"relation_head": "grc"}}),
        "other": Row(preset="jerex-mrc"),
    }
    study = Study(question="?", rows=rows, baseline="one", name="mine")
    planned = plan(study, profile="quick", runs=Path("runs"), seeds=[0, 7], settings=settings)
    assert [(run.row, run.seed) for run in planned.runs] == [("one", 0), ("other", 0), ("one", 7), ("other", 7)]
    cells = {cell.row: cell for cell in planned.record().row_runs}
    assert cells["one"].runs == cells["same"].runs
    assert cells["same"].signature == cells["one"].signature != cells["other"].signature


def test_memory_flags_reach_the_rows_that_have_a_memory(settings: dict) -> None:
    flags = settings | {"memory": {"slot_width": "96"}, "training": {"epochs": "2"}}
    planned = plan(find_study("paper"), profile="quick", runs=Path("runs"), seeds=[0], settings=flags)
    memories = {run.row: run.config.memory for run in planned.runs}
    assert memories["jerex-grc"] is None
    assert memories["memory-grc"] is not None
    assert memories["memory-grc"].slot_width == 96
    assert {run.config.training.epochs for run in planned.runs} == {2}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": {"a": {"preset": "jerex-gcr"}}}, "row a: unknown preset 'jerex-gcr'.*Did you mean jerex-grc"),
        ({"rows": {"a": {"preset": "memory-grc", "settings": {"memory": {"sise": 3}}}}}, "row a: .*memory.sise"),
        ({"rows": {"a": {"preset": "memory-grc", "settings": {"memory": {"warmup": 3}}}}}, "row a: memory.warmup is 3"),
        ({"baseline": "b"}, "compared with 'b', which is none of the rows"),
        ({"seeds": [1, 1]}, "must be different"),
        ({"sedes": [1]}, "sedes"),
        ({"metric": "relations"}, "metric 'relations' is no task: it is one of mention"),
        ({"name": "a@b"}, "must do without"),
        ({"rows": {"a": {}}}, "preset"),
    ],
)
def test_a_bad_study_is_one_line(tmp_path: Path, settings: dict, change: dict, message: str) -> None:
    path = tmp_path / "mine.yaml"
    tree = {"question": "?", "baseline": "a", "rows": {"a": {"preset": "jerex-grc"}}} | change
    path.write_bytes(msgspec.yaml.encode(tree))
    with pytest.raises(UserError, match=message):
        plan(read_study(path), profile="quick", runs=tmp_path, settings=settings)


def test_an_unknown_study_names_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"unknown study 'papr'.*paper.*Did you mean paper"):
        find_study("papr")
    with pytest.raises(UserError, match=r"nowhere\.yaml cannot be read"):
        find_study("nowhere.yaml")


def test_every_shipped_study_plans(settings: dict) -> None:
    for name, study in shipped_studies().items():
        assert study.name == name
        assert plan(study, profile="quick", runs=Path("runs"), settings=settings).runs


def test_the_record_is_read_back_and_found(tmp_path: Path, settings: dict) -> None:
    record = plan(find_study("paper"), profile="quick", runs=tmp_path, settings=settings).record()
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
