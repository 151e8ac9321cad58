"""The lock of a run folder, and what a killed process leaves beside its files."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import core.run.execute
from core.config.presets import to_yaml
from core.config.signature import run_id
from core.errors import UserError
from core.files import (
    HOLDER_FILE,
    TEMPORARY_MARK,
    atomic_write,
    delete_leftovers,
    is_locked,
    lock_folder,
    temporary_path,
    was_killed,
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
from tests.tiny import tiny_config


def dead_process() -> int:
    """The id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_asking_disturbs_neither_the_holder_nor_others_who_ask(tmp_path: Path) -> None:
    with lock_folder(tmp_path):
        assert is_locked(tmp_path)
    ended = threading.Event()
    wrong: list[bool] = []

    def ask() -> None:
        while not ended.is_set():
            is_locked(tmp_path)

    def ask_for_truth() -> None:
        # Nobody holds it: that others ask at the same time must not look like a holder.
        wrong.extend(is_locked(tmp_path) for _ in range(2_000))

    askers = [threading.Thread(target=ask) for _ in range(3)]
    for asker in askers:
        asker.start()
    truth = threading.Thread(target=ask_for_truth)
    truth.start()
    truth.join()
    for _ in range(200):
        with lock_folder(tmp_path):
            pass
    ended.set()
    for asker in askers:
        asker.join()
    assert not any(wrong)


def test_a_holder_is_known_and_a_killed_one_too(tmp_path: Path) -> None:
    assert not is_locked(tmp_path)
    assert not is_locked(tmp_path / "nowhere")
    program = (
        "import os; from pathlib import Path; from core.files import lock_folder; "
        "held = lock_folder(Path('.')); held.__enter__(); os._exit(9)"
    )
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(root)}, check=False
    )
    assert done.returncode == 9
    assert not is_locked(tmp_path)
    assert was_killed(tmp_path)
    with lock_folder(tmp_path):
        assert not was_killed(tmp_path)
        with pytest.raises(UserError, match=f"computed by process {os.getpid()} on"), lock_folder(tmp_path):
            pass
    assert not was_killed(tmp_path)
    assert not (tmp_path / HOLDER_FILE).exists()


def test_a_full_disk_costs_only_the_holders_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with lock_folder(tmp_path):
        assert is_locked(tmp_path)


def test_what_the_dead_wrote_aside_goes_and_the_living_keep_theirs(tmp_path: Path) -> None:
    folder = temporary_path(tmp_path / "best").with_name(f".best{TEMPORARY_MARK}{dead_process()}")
    folder.mkdir()
    (folder / "model.safetensors").write_text("half")
    dead = tmp_path / f".record.json{TEMPORARY_MARK}{dead_process()}.abc"
    dead.write_text("{")
    living = tmp_path / f".record.json{TEMPORARY_MARK}{os.getppid()}.abc"
    living.write_text("{")
    mine = temporary_path(tmp_path / "last.pt")
    mine.write_text("left by an earlier process of this number")
    atomic_write(tmp_path / "record.json", b"{}")
    delete_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [living.name, "record.json"]


def test_a_full_disk_is_named_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("core.files.os.replace", full)
    with pytest.raises(UserError, match=r"No space left on device\): free some space"):
        atomic_write(tmp_path / "file", b"")
    assert list(tmp_path.iterdir()) == []


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
