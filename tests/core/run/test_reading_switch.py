"""The switch to reading: a loss of mentions is said once, with the cause that was planted and what avoids it."""

import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import core.run.observer
import core.training.loop
from core.config.memory import MemoryConfig
from core.records.history import read_history
from core.records.memory_use import PlaceUse
from core.records.record import HISTORY
from core.run.execute import run
from core.run.reading_switch import describe_switch
from core.training.held_out import SplitResult, evaluate_split
from tests.tiny import write_corpus, write_run

SHRINKS, APART = "reading shrinks the vectors of gold mentions", "normalise over different candidates"
RESIDUAL = "memory.pooling residual with memory.read_mode normal"
UNREAD = {"epoch": 1, "reading": 0.0, "validation/mention/f1": 96.0}


def row(f1: float, *, reading: float = 1.0) -> dict[str, Any]:
    return {"epoch": 2, "reading": reading, "validation/mention/f1": f1}


def mentions(factor: float, factor_training: float) -> dict[Any, PlaceUse]:
    return {"mentions": PlaceUse(factor=factor, factor_training=factor_training)}


@pytest.mark.parametrize(
    ("reads", "said", "unsaid"),
    [
        (mentions(0.43, 0.43), (f"{SHRINKS} (to 0.43 of their norm at mentions)",), (APART,)),
        (mentions(0.95, 1.33), (APART, "is 0.95 at inference, 1.33 in training"), (SHRINKS,)),
        (mentions(0.38, 0.54), (f"{SHRINKS} (to 0.38", f", and training and inference {APART}"), ()),
        (mentions(1.02, 1.01), ("Cause: not known",), (SHRINKS, APART)),
        (
            {"tokens": PlaceUse(factor=0.52, factor_training=0.52), **mentions(0.9, 0.9)},
            ("(to 0.52 of their norm at tokens)",),
            (APART,),
        ),
    ],
)
def test_the_cause_is_named(reads: dict[Any, PlaceUse], said: tuple[str, ...], unsaid: tuple[str, ...]) -> None:
    line = describe_switch(UNREAD, row(12.34), reads, MemoryConfig())
    assert line is not None
    assert "mention F1 fell from 96.00 to 12.34. Cause: " in line
    assert all(text in line for text in said)
    assert not any(text in line for text in unsaid)


@pytest.mark.parametrize(
    ("memory", "settings"),
    [
        ({}, ["memory.inverse_scale mean", RESIDUAL, "memory.ramp over 0"]),
        ({"inverse_scale": "mean"}, [RESIDUAL, "memory.ramp over 0"]),
        ({"read_mode": "normal", "pooling": "residual", "ramp": 0.1}, ["memory.ramp over 0.1"]),
    ],
)
def test_settings_that_avoid_it_are_those_not_yet_set(memory: dict[str, Any], settings: list[str]) -> None:
    line = describe_switch(UNREAD, row(1.0), mentions(0.4, 0.6), MemoryConfig(**memory))
    assert line is not None
    found = line.partition("Settings that avoid it: ")[2].removesuffix(", to fade reading in").split("; ")
    assert found == settings


@given(before=st.floats(0, 100), after=st.floats(0, 100))
def test_it_is_said_of_less_than_half(before: float, after: float) -> None:
    line = describe_switch(UNREAD | {"validation/mention/f1": before}, row(after), mentions(0.4, 0.5), MemoryConfig())
    assert (line is not None) == (after < before / 2)


def test_only_the_first_evaluation_that_reads_is_compared() -> None:
    for before, now in ((None, row(1.0)), (row(96.0), row(1.0)), (UNREAD, row(1.0, reading=0.0))):
        assert describe_switch(before, now, mentions(0.4, 0.5), MemoryConfig()) is None


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_run_says_it_once_also_when_it_was_resumed_in_between(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], interrupted: bool
) -> None:
    # Four epochs of three steps: the first reading step is 4, so epoch 2 is the first that reads.
    folder = tmp_path / "run"
    row = {"training": {"epochs": 4}, "memory": {"warmup": 0.3}, "runtime": {"checkpoint_seconds": 0.0}}
    write_run(folder, write_corpus(tmp_path / "corpus.json", count=6), **row)

    def planted(*inputs: Any, reading: float, **settings: Any) -> SplitResult:
        result = evaluate_split(*inputs, reading=reading, **settings)
        result.scores["mention"]["f1"] = 30.0 if reading else 96.0
        return result

    monkeypatch.setattr(core.run.observer, "evaluate_split", planted)
    if interrupted:
        steps, original = itertools.count(1), core.training.loop.train_step

        def stop_in_epoch_2(*inputs: Any) -> Any:
            if next(steps) == 5:
                raise KeyboardInterrupt
            return original(*inputs)

        with monkeypatch.context() as patch:
            patch.setattr(core.training.loop, "train_step", stop_in_epoch_2)
            with pytest.raises(KeyboardInterrupt):
                run(folder)
        rows = read_history(folder / HISTORY)
        assert [one["reading"] for one in rows if one["kind"] == "validation"] == [0.0]
        assert "mention F1 fell" not in capsys.readouterr().err
    assert run(folder).status == "finished"
    output = capsys.readouterr().err
    assert output.count("epoch 2, the first evaluation that reads memory: mention F1 fell from 96.00 to 30.00") == 1
    assert output.count("mention F1 fell") == 1
    assert SHRINKS in output
