"""Timing of optimiser steps: how many, on what, and what stays behind."""

from pathlib import Path

import msgspec
import pytest

from core.config.presets import to_yaml
from core.data.formats.docred import write_docred
from core.records.timings import StepCosts
from core.run.timing import main, measure
from core.training.loop import total_steps
from tests.tiny import document, tiny_config


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    write_docred([document(number, extra=number) for number in range(9)], tmp_path / "documents.json")
    return dict.fromkeys(("train", "validation", "test"), str(tmp_path / "documents.json"))


def test_steps_are_timed_on_the_runs_own_documents(files: dict[str, str]) -> None:
    config = tiny_config("memory-mrc", {"data": files, "training": {"epochs": 3, "batch_size": 2}})
    costs = measure(config, 7)
    assert costs.steps == 7
    assert costs.documents == {"train": 9, "validation": 9, "test": 9}
    assert costs.total_steps(config) == total_steps(config, 9) == 12
    assert 0.0 < costs.step_seconds < 5.0
    assert 0.0 < costs.document_seconds < 5.0
    assert costs.peak_memory_mib > 50
    whole = costs.seconds(config)
    assert whole > costs.start_seconds + 12 * costs.step_seconds
    jerex = measure(tiny_config("jerex-grc", {"data": files}), 1)
    assert jerex.parameters < costs.parameters


def test_reading_is_measured_though_the_first_steps_of_a_run_do_not_read(
    files: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    import core.run.timing

    step = core.run.timing.train_step

    def spy(*given: object) -> object:
        seen.append(given[-1])
        return step(*given)  # type: ignore[arg-type]

    monkeypatch.setattr("core.run.timing.train_step", spy)
    for warmup, reading in ((0.4, 1.0), (1.0, 0.0)):
        seen.clear()
        measure(tiny_config("memory-grc", {"data": files, "memory": {"warmup": warmup}}), 1)
        assert set(seen) == {reading}


def test_the_process_writes_its_answer_and_nothing_else(
    files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "place"
    place.mkdir()
    (place / "config.yaml").write_text(to_yaml(tiny_config("jerex-grc", {"data": files})))
    assert main([str(place / "config.yaml"), str(place / "costs.json"), "2"]) == 0
    assert msgspec.json.decode((place / "costs.json").read_bytes(), type=StepCosts).steps == 2
    assert sorted(path.name for path in place.iterdir()) == ["config.yaml", "costs.json"]
    big = tiny_config("jerex-grc", {"data": files, "training": {"batch_size": 64}})
    (place / "config.yaml").write_text(to_yaml(big))
    assert main([str(place / "config.yaml"), str(place / "costs.json"), "2"]) == 2
    assert "fewer than training.batch_size (64)" in capsys.readouterr().err
