"""Progress as lines, where there is no terminal."""

import time

import pytest
from rich.text import Text

import core.progress
from core.progress import progress_bar


@pytest.fixture(autouse=True)
def always_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core.progress, "PLAIN_SECONDS", 0.0)
    ticks = iter(range(100))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(ticks)))


def test_items_are_counted_against_their_total(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("reading", 10) as progress:
        progress.advance(5, "halfway")
    assert capsys.readouterr().err.startswith("reading 5/10  halfway  ")


def test_bytes_are_a_share_and_what_was_done_before_says_nothing_of_speed(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("predicting", 1_000, unit="bytes") as progress:
        progress.resume(800)
        progress.advance(100, "9 documents")
    # 100 bytes took 2 ticks of the clock, and 100 are left.
    assert capsys.readouterr().err == "predicting 90%  9 documents  2 s left\n"


def test_a_bar_in_a_terminal_begins_where_the_work_is_resumed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("FORCE_COLOR", "1")
    with progress_bar("training", 24) as progress:
        progress.resume(14)
        progress.advance(1)
    assert "15/24" in Text.from_ansi(capsys.readouterr().err).plain


def test_without_a_total_the_text_tells(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("predicting", None, unit="bytes") as progress:
        progress.advance(100, "9 documents")
    assert capsys.readouterr().err == "predicting  9 documents\n"
