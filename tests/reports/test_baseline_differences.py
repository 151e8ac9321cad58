"""Differences to the baseline: paired by seed, corrected, in words; and the interval over documents and seeds."""

import json
import math
from pathlib import Path

import msgspec
import numpy as np
import pytest

from core.records.record import RECORD
from core.scoring.metrics import TASKS, DocumentCounts, TypeCounts
from reports.baseline_differences import NOT_RESAMPLED, verdict
from reports.tables.differences import differences_table
from reports.tables.markdown import to_markdown
from studies.bootstrap import bootstrap_differences
from studies.record import StudyRecord
from studies.rows import Row
from tests.reports.records import make_study, present, read_data

SEEDS = {
    "jerex-grc": {0: 38.0, 1: 39.0, 2: 40.0},
    "memory-grc": {0: 39.0, 1: 41.0, 2: 43.0},
    "jerex-mrc": {0: 40.0, 1: 41.0, 2: 42.0},
    "memory-mrc": {0: 41.0, 1: 41.0, 2: None},
}
GAPS = {
    "jerex-grc": {0: 38.0, 1: 39.0, 2: 40.0, 3: 38.0},
    "memory-grc": {0: 39.0, 1: 41.0, 2: 43.0, 3: None},
    "jerex-mrc": {0: 40.0, 1: 41.0, 2: None, 3: 41.0},
    "memory-mrc": {0: 40.0, 1: None, 2: 43.0, 3: None},
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


def test_the_interval_is_the_bootstraps_of_the_shared_seeds(made: tuple[StudyRecord, Path, np.ndarray]) -> None:
    study, runs, right = made
    line = read_data(study, runs).compared.set_index(["row", "task"]).loc[("memory-grc", "entity")]
    counts = np.stack([right, np.zeros_like(right), 12 - right], axis=-1)
    alone = bootstrap_differences([(counts[1], counts[0])], resamples=500)[0]
    assert (line["low_all"], line["high_all"]) == pytest.approx(tuple(alone.interval))
    assert (line["above"], line["documents"], line["without"]) == (alone.above, DOCUMENTS, "")


def test_runs_without_counts_have_a_dash_and_a_reason(made: tuple[StudyRecord, Path, np.ndarray]) -> None:
    study, runs, _ = made
    compared = read_data(study, runs).compared
    assert compared[compared["row"] == "memory-mrc"]["low_all"].isna().all()
    table = present(differences_table(read_data(study, runs)))
    assert any("No interval over documents for JEREX + memory (MRC)" in note for note in table.notes)
    assert "documents.test.json is not there" in " ".join(table.notes)
    assert "95 % documents and seeds" in to_markdown(table)
    assert "this bootstrap covers 88 to 97 %" in " ".join(table.caption)


def test_a_row_is_compared_with_each_of_its_baselines(made: tuple[StudyRecord, Path, np.ndarray]) -> None:
    study, runs, right = made
    rows = {"jerex": Row("jerex-grc"), "written": Row("memory-grc")}
    rows |= {"read": Row("memory-grc", title="+ read", baseline=("jerex", "written"))}
    seeds = {"jerex": {0: 38.0, 1: 39.0}, "written": {0: 40.0, 1: 42.0}, "read": {0: 41.0, 1: 44.0}}
    study = make_study(runs, seeds, rows=rows)
    for seed in range(2):
        store(runs, 2, seed, right[0, seed].tolist())
    data = read_data(study, runs)
    lines = data.compared[data.compared["task"] == "entity"].set_index(["row", "baseline"])
    assert lines["delta"].to_dict() == {("written", "jerex"): 2.5, ("read", "jerex"): 4.0, ("read", "written"): 1.5}
    # In the counts `read` is `jerex` again, and as far from `written` as `jerex` is.
    assert (lines.at[("read", "jerex"), "low_all"], lines.at[("read", "jerex"), "high_all"]) == (0, 0)
    assert lines.at[("read", "written"), "low_all"] == pytest.approx(-lines.at[("written", "jerex"), "high_all"])
    # Holm's family has every comparison.
    smallest = data.compared["p_t"].idxmin()
    assert data.compared.at[smallest, "p_holm"] == pytest.approx(min(1, 12 * data.compared.at[smallest, "p_t"]))
    text = to_markdown(present(differences_table(data)))
    assert "+ read against jerex" in text
    assert "+ read against written" in text
    store(runs, 1, 1, [3] * (DOCUMENTS - 1))
    notes = present(differences_table(read_data(study, runs))).notes
    assert [note.partition(":")[0] for note in notes] == [
        "No interval over documents for written",
        "No interval over documents for + read against written",
    ]


def test_counts_of_other_gold_are_not_paired(made: tuple[StudyRecord, Path, np.ndarray]) -> None:
    study, runs, _ = made
    store(runs, 1, 2, [3] * (DOCUMENTS - 1))
    compared = read_data(study, runs).compared
    assert compared["low_all"].isna().all()
    assert any("not the same" in reason for reason in compared["without"])


def test_of_many_rows_those_that_differ_most_are_resampled(
    made: tuple[StudyRecord, Path, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    study, runs, _ = made
    monkeypatch.setattr("reports.baseline_differences.MAX_RESAMPLED_ROWS", 1)
    compared = read_data(study, runs).compared.drop_duplicates("row").set_index("row")
    assert compared["without"].to_dict() == {"memory-grc": "", "memory-mrc": NOT_RESAMPLED}


def test_seeds_that_stand_for_other_documents_are_no_pairs(tmp_path: Path) -> None:
    study = make_study(tmp_path, SEEDS)
    path = tmp_path / f"{1:012x}" / "s1" / RECORD
    record = json.loads(path.read_text())
    record["provenance"]["data"]["/data/train.json"] = "9" * 64
    path.write_text(json.dumps(record))
    compared = read_data(study, tmp_path).compared.set_index(["row", "task"])
    line = compared.loc[("memory-grc", "relation_strict")]
    # Without seed 1 the differences are 1 and 3.
    assert (line["delta"], line["n"], line["seeds"], line["unlike"]) == (2.0, 2, "0 2", "1")
    notes = present(differences_table(read_data(study, tmp_path))).notes
    assert any("seeds 1 left out: in the two rows they do not mean the same documents" in note for note in notes)
    assert set(compared.loc["memory-mrc"]["unlike"]) == {""}


def test_what_the_seeds_could_have_found_is_given_in_points(tmp_path: Path) -> None:
    study = make_study(tmp_path, SEEDS)
    compared = read_data(study, tmp_path).compared.set_index(["row", "task"])
    # Differences 1, 2, 3: std 1; noncentral t at three seeds: power .80 at an effect of 3.26.
    assert compared.at[("memory-grc", "mention"), "detectable"] == pytest.approx(3.26, abs=0.01)
    caption = " ".join(present(differences_table(read_data(study, tmp_path))).caption)
    assert "differences from 3.3 times their standard deviation on: here 3.26 points on strict relation F1" in caption
    assert "it cannot fall below 0.5000 at 2 seeds or 0.2500 at 3 seeds" in caption


def test_differences_are_paired_by_seed_to_the_rows_own_baseline(tmp_path: Path) -> None:
    study = make_study(tmp_path, GAPS)
    compared = read_data(study, tmp_path).compared.set_index(["row", "task"])
    line = compared.loc[("memory-grc", "relation_strict")]
    # Differences 1, 2, 3: mean 2, std 1, t(2; .975) = 4.3027, so 2 ± 4.3027 / sqrt(3).
    assert line["delta"] == pytest.approx(2.0)
    assert (line["low"], line["high"]) == pytest.approx((2 - 2.4841, 2 + 2.4841), abs=1e-3)
    assert (line["n"], line["higher"], line["seeds"], line["left_out"]) == (3, 3, "0 1 2", "3")
    assert line["p_t"] == pytest.approx(0.0742, abs=1e-3)
    assert (line["p_sign_flip"], line["p_floor"]) == (0.25, 0.25)
    # Four tests were made (the MRC row shares one seed and tests nothing), all with the same p.
    assert line["p_holm"] == pytest.approx(4 * line["p_t"])
    assert compared.loc[("memory-mrc", "mention"), "baseline"] == "jerex-mrc"
    assert math.isnan(compared.loc[("memory-mrc", "mention"), "p_holm"])


@pytest.mark.parametrize(
    ("low", "high", "holm", "words"),
    [
        (0.07, 0.45, 0.01, "higher in 4 of 5 seeds, Δ = +0.26 [+0.07, +0.45], also after Holm"),
        (0.07, 0.45, 0.30, "higher in 4 of 5 seeds, Δ = +0.26 [+0.07, +0.45], not after Holm"),
        (-0.45, -0.07, 0.30, "lower in 1 of 5 seeds, Δ = +0.26 [-0.45, -0.07], not after Holm"),
        (-0.07, 0.45, 0.30, "no difference shown: higher in 4 of 5 seeds, Δ = +0.26 [-0.07, +0.45]"),
    ],
)
def test_the_verdict_follows_the_interval(low: float, high: float, holm: float, words: str) -> None:
    line = {"n": 5, "higher": 4, "lower": 1, "delta": 0.26, "low": low, "high": high, "p_holm": holm}
    assert verdict(line) == words
    assert "significant" not in words
