"""A study of two rows whose runs are not computed but written, and no W&B account."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import wandb

import tests.wandb_sweeps_stand_in  # noqa: F401 - it answers for sweeps and views
from studies.record import StudyRecord
from tests.reports.records import make_study

SCORES = {"jerex-grc": {0: 38.0, 1: 39.0, 2: 43.0}, "memory-grc": {0: 40.0, 1: None, 2: None}}


@pytest.fixture(autouse=True)
def logged_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "staging"))
    # W&B's client asks its environment only once in a process.
    wandb.teardown()
    yield
    wandb.teardown()


@pytest.fixture
def study(tmp_path: Path) -> StudyRecord:
    return make_study(tmp_path, SCORES, profile="quick")
