"""Executing a run folder: what a killed process left is cleaned up, and nothing is computed twice."""

from pathlib import Path

import pytest

import core.run.execute
from core.config.presets import to_yaml
from core.config.signature import run_id
from core.files import (
    HOLDER_FILE,
    TEMPORARY_MARK,
    lock_folder,
)
from core.records.record import (
    BEST,
    CONFIG,
    LAST,
    RunRecord,
    clean_up_if_killed,
    read_record,
    write_record,
)
from core.training.checkpoints import recover_model
from tests.tiny import dead_process, tiny_config


def make_run(folder: Path, status: str = "running", keep: str = "best") -> RunRecord:
    config = tiny_config("jerex-grc", {"training": {"keep": keep}})
    folder.mkdir()
    (folder / CONFIG).write_text(to_yaml(config))
    (folder / BEST).mkdir(parents=True)
    (folder / LAST).write_text("optimiser state")
    record = RunRecord(run_id=run_id(config), status=status, config=config.model_dump(mode="json"))
    write_record(folder, record)
    return record


@pytest.mark.parametrize(("status", "keep"), [("finished", "best"), ("finished", "none"), ("diverged", "best")])
def test_a_run_killed_right_after_its_last_record_is_tidied(tmp_path: Path, status: str, keep: str) -> None:
    folder = tmp_path / "run"
    record = make_run(folder, status, keep)
    assert core.run.execute.run(folder) == record
    assert (folder / LAST).exists(), "nobody was killed over it"
    (folder / HOLDER_FILE).write_text("process 1 on elsewhere")
    (folder / "checkpoints" / f".last.pt{TEMPORARY_MARK}{dead_process()}").write_text("half")
    assert core.run.execute.run(folder) == record
    assert not (folder / HOLDER_FILE).exists()
    assert (folder / LAST).exists() == (status != "finished")
    assert (folder / BEST).exists() == (keep == "best")
    assert [path.name for path in folder.rglob(f".*{TEMPORARY_MARK}*")] == []


def test_the_folder_of_a_run_under_way_is_not_tidied(tmp_path: Path) -> None:
    make_run(tmp_path / "run", "finished")
    with lock_folder(tmp_path / "run"):
        clean_up_if_killed(tmp_path / "run")
        assert (tmp_path / "run" / LAST).exists()


def test_a_run_that_another_process_finishes_meanwhile_is_not_computed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    running = make_run(folder)
    finished = RunRecord(run_id=running.run_id, status="finished", config={})

    def held_after_the_other(place: Path) -> object:
        write_record(place, finished)
        return lock_folder(place)

    monkeypatch.setattr(core.run.execute, "lock_folder", held_after_the_other)
    monkeypatch.setattr(core.run.execute, "compute", lambda *given: pytest.fail("computed again"))
    assert core.run.execute.run(folder) == finished
    assert read_record(folder) == finished


def test_a_model_that_was_taken_away_and_not_replaced_comes_back(tmp_path: Path) -> None:
    best = tmp_path / "best"
    old = tmp_path / f".best{TEMPORARY_MARK}{dead_process()}.old"
    old.mkdir()
    (old / "state.json").write_text("chosen")
    recover_model(best)
    assert (best / "state.json").read_text() == "chosen"
    old.mkdir()
    recover_model(best)
    assert old.exists(), "the new one is in place: the old one is only swept"
