"""`engram study run` with real workers on small models: refused, stopped by the user, copied together."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.records.record import read_record, run_folders
from tests.sweeps.place import Place, until


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    place.end()


def test_a_second_study_run_is_refused_and_ctrl_c_saves(place: Place) -> None:
    driver = place.start("runs")
    until(lambda: place.training("runs", beyond=3))
    code, _, err = place.run("runs")
    assert code == 2
    assert err.startswith("engram: ")
    assert "is being computed by process" in err
    assert "Traceback" not in err
    driver.send_signal(signal.SIGINT)
    _, err = driver.communicate(timeout=60)
    assert driver.returncode == 130, err
    assert "resume with the same command" in err
    assert not place.processes()
    statuses = {record.status for folder in run_folders(place.folder / "runs") if (record := read_record(folder))}
    assert "interrupted" in statuses
    assert "running" not in statuses
    code, _, err = place.run("runs")
    assert code == 0, err
    assert len(place.results("runs")) == 4


def test_other_settings_ask_for_another_name(place: Place) -> None:
    assert place.run("runs", "--seeds", "1")[0] == 0
    code, _, err = place.run("runs", "--seeds", "1", "--training.lr_warmup", "0.5")
    assert code == 2
    assert "--name NAME" in err
