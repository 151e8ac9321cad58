"""Notes that limit what numbers can say, and seeds as ranges."""

import json
from pathlib import Path

import pytest

from core.records.record import RECORD
from reports.captions import format_ranges, limiting_notes
from reports.frame import load_study
from tests.reports.records import make_run, make_study

TWO = {"jerex-grc": {0: 38.0, 1: 39.0}, "memory-grc": {0: 40.0, 1: None}}


def test_what_the_runs_of_one_table_do_not_share_is_noted(tmp_path: Path) -> None:
    study = make_study(tmp_path, {"jerex-grc": {0: 38.0, 1: 39.0}})
    assert limiting_notes(study, load_study(study, tmp_path).frame, {}) == []
    path = tmp_path / f"{0:012x}" / "s1" / RECORD
    record = json.loads(path.read_text())
    record["provenance"] |= {"commit": "b" * 40, "uncommitted_changes": True, "machine": "other Linux"}
    record["provenance"]["data"]["/data/test.json"] = "3" * 64
    record["config"]["runtime"]["threads"] = 2
    path.write_text(json.dumps(record))
    notes = " ".join(limiting_notes(study, load_study(study, tmp_path).frame, {}))
    assert "Mixed code versions: aaaaaaaa (1 runs), bbbbbbbb (1 runs)." in notes
    assert "Mixed machines: host (1 runs), other (1 runs)." in notes
    assert "Mixed thread counts: unset (1 runs), 2 (1 runs)." in notes
    assert "Mixed data files: 2 different sets." in notes
    assert "1 of 2 runs were computed with uncommitted changes" in notes


def test_a_choice_before_memory_was_read_is_noted_of_reading_rows_only(tmp_path: Path) -> None:
    study = make_study(tmp_path, TWO)
    make_run(tmp_path, f"{1:012x}", 1, f1=40.0, preset="memory-grc", chosen_reading=0.0)
    notes = limiting_notes(study, load_study(study, tmp_path).frame, {})
    assert [note.partition(";")[0] for note in notes] == [
        "JEREX + memory (GRC): chosen before memory was read (seed 1)"
    ]


@pytest.mark.parametrize(("profile", "noted"), [("quick", True), ("paper", False), ("no-such-profile", False)])
def test_the_embedded_corpus_is_no_real_result(tmp_path: Path, profile: str, noted: bool) -> None:
    study = make_study(tmp_path, {"jerex-grc": {0: 38.0}}, profile="quick")
    study = type(study)(study.study, profile, study.settings, study.row_runs)
    notes = limiting_notes(study, load_study(study, tmp_path).frame, {})
    assert any("no number here stands for a result" in note for note in notes) is noted


def test_seeds_are_written_as_ranges() -> None:
    assert format_ranges([4, 0, 1, 2, 3]) == "0–4"
    assert format_ranges([0, 1, 5, 7, 8, 9]) == "0, 1, 5, 7–9"
    assert format_ranges([3]) == "3"
