"""The interval over documents and seeds beside the one over seeds, and which seeds are pairs at all."""

import json
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pytest

from core.records.record import RECORD
from core.scoring.metrics import TASKS, DocumentCounts, TypeCounts
from reports.baseline_differences import NOT_RESAMPLED, add_document_intervals, comparisons
from reports.frame import load_frame
from reports.tables.differences import differences_table
from reports.tables.markdown import to_markdown
from studies.bootstrap import bootstrap_difference
from studies.record import StudyRecord
from tests.reports.records import make_study

SEEDS = {
    "jerex-grc": {0: 38.0, 1: 39.0, 2: 40.0},
    "memory-grc": {0: 39.0, 1: 41.0, 2: 43.0},
    "jerex-mrc": {0: 40.0, 1: 41.0, 2: 42.0},
    "memory-mrc": {0: 41.0, 1: 41.0, 2: None},
}
DOCUMENTS = 30


def store(runs: Path, row: int, seed: int, right: list[int]) -> None:
    """Counts of a run: so many of each document's twelve items are right, of two types, and none is wrong."""
    types = [
        {"P1": TypeCounts(tp // 2, 0, 6 - tp // 2), "P2": TypeCounts(tp - tp // 2, 0, 6 - tp + tp // 2)} for tp in right
    ]
    counts = [DocumentCounts(f"d{place}", dict.fromkeys(TASKS, one)) for place, one in enumerate(types)]
    (runs / f"{row:012x}" / f"s{seed}" / "documents.test.json").write_bytes(msgspec.json.encode(counts))


@pytest.fixture
def made(tmp_path: Path) -> tuple[StudyRecord, Path, np.ndarray]:
    study = make_study(tmp_path, SEEDS)
    right = np.random.default_rng(0).integers(3, 10, (2, 3, DOCUMENTS))
    for row in (0, 1):
        for seed in range(3):
            store(tmp_path, row, seed, right[row, seed].tolist())
    return study, tmp_path, right


def compared_of(study: StudyRecord, runs: Path) -> pd.DataFrame:
    frame = load_frame(study, runs)
    return add_document_intervals(study, frame, comparisons(study, frame), resamples=500)


def test_the_interval_is_the_bootstraps_of_the_shared_seeds(made: tuple[StudyRecord, Path, np.ndarray]) -> None:
    study, runs, right = made
    line = compared_of(study, runs).set_index(["row", "task"]).loc[("memory-grc", "entity")]
    counts = np.stack([right, np.zeros_like(right), 12 - right], axis=-1)
    alone = bootstrap_difference(counts[1], counts[0], resamples=500)
    assert (line["low_all"], line["high_all"]) == pytest.approx(tuple(alone.interval))
    assert (line["above"], line["documents"], line["without"]) == (alone.above, DOCUMENTS, "")


def test_runs_without_counts_have_a_dash_and_a_reason(made: tuple[StudyRecord, Path, np.ndarray]) -> None:
    study, runs, _ = made
    compared = compared_of(study, runs)
    assert compared[compared["row"] == "memory-mrc"]["low_all"].isna().all()
    table = differences_table(study, compared)
    assert any("No interval over documents for JEREX + memory (MRC)" in note for note in table.notes)
    assert "documents.test.json is not there" in " ".join(table.notes)
    assert "95 % documents and seeds" in to_markdown(table)
    assert "this bootstrap covers 88 to 97 %" in " ".join(table.caption)


def test_counts_of_other_gold_are_not_paired(made: tuple[StudyRecord, Path, np.ndarray]) -> None:
    study, runs, _ = made
    store(runs, 1, 2, [3] * (DOCUMENTS - 1))
    compared = compared_of(study, runs)
    assert compared["low_all"].isna().all()
    assert any("not the same" in reason for reason in compared["without"])


def test_of_many_rows_those_that_differ_most_are_resampled(
    made: tuple[StudyRecord, Path, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    study, runs, _ = made
    monkeypatch.setattr("reports.baseline_differences.MAX_RESAMPLED_ROWS", 1)
    compared = compared_of(study, runs).drop_duplicates("row").set_index("row")
    assert compared["without"].to_dict() == {"memory-grc": "", "memory-mrc": NOT_RESAMPLED}


def test_seeds_that_stand_for_other_documents_are_no_pairs(tmp_path: Path) -> None:
    study = make_study(tmp_path, SEEDS)
    path = tmp_path / f"{1:012x}" / "s1" / RECORD
    record = json.loads(path.read_text())
    record["provenance"]["data"]["/data/train.json"] = "9" * 64
    path.write_text(json.dumps(record))
    compared = comparisons(study, load_frame(study, tmp_path)).set_index(["row", "task"])
    line = compared.loc[("memory-grc", "relation_strict")]
    # Without seed 1 the differences are 1 and 3.
    assert (line["delta"], line["n"], line["seeds"], line["unlike"]) == (2.0, 2, "0 2", "1")
    notes = differences_table(study, compared.reset_index()).notes
    assert any("seeds 1 left out: in the two rows they do not stand for the same documents" in note for note in notes)
    assert set(compared.loc["memory-mrc"]["unlike"]) == {""}


def test_what_the_seeds_could_have_found_is_said_in_points(tmp_path: Path) -> None:
    study = make_study(tmp_path, SEEDS)
    compared = comparisons(study, load_frame(study, tmp_path)).set_index(["row", "task"])
    # Differences 1, 2, 3: std 1; noncentral t at three seeds: power .80 at an effect of 3.26.
    assert compared.at[("memory-grc", "mention"), "detectable"] == pytest.approx(3.26, abs=0.01)
    caption = " ".join(differences_table(study, compared.reset_index()).caption)
    assert "differences from 3.3 times their standard deviation on: here 3.26 points on strict relation F1" in caption
    assert "it cannot fall below 0.5000 at 2 seeds or 0.2500 at 3 seeds" in caption
