"""Knock-outs of a study: differences from the records, their intervals, and the rule table of the verdicts."""

import math
from pathlib import Path

import numpy as np
import pytest

from core.records.memory_use import MemoryUse
from reports.frame import load_study
from reports.memory_use import Difference, Verdict, compare_knock_outs, find_judged, judge
from studies.bootstrap import bootstrap_differences
from studies.record import StudyRecord
from tests.reports.memory_use_records import make_memory_use, store_counts, store_memory_use
from tests.reports.records import make_run, make_study, read_data

SEEDS = {"jerex-grc": {0: 38.0, 1: 39.0, 2: 40.0}, "memory-grc": {0: 39.0, 1: 41.0, 2: 43.0}}
LOSES, GAINS, OPEN = (
    Difference(-3.0, -4.0, -2.0, 5, 5),
    Difference(3.0, 2.0, 4.0, 5, 0),
    Difference(0.0, -1.0, 1.0, 5, 2),
)
ONE, NONE = Difference(-3.0, math.nan, math.nan, 1, 1), Difference()


@pytest.mark.parametrize(
    ("reading_off", "mean_read", "verdict"),
    [
        (LOSES, LOSES, "content"),
        (OPEN, LOSES, "content"),
        (GAINS, LOSES, "content"),
        (LOSES, OPEN, "scale"),
        (LOSES, GAINS, "scale"),
        (OPEN, OPEN, "none"),
        (GAINS, OPEN, "better without"),
        (OPEN, GAINS, "better without"),
        (GAINS, GAINS, "better without"),
        (ONE, ONE, "unknown"),
        (LOSES, ONE, "unknown"),
        (NONE, LOSES, "unknown"),
        (NONE, NONE, "unknown"),
        (Difference(-1.0, -2.0, 0.0, 5, 4), OPEN, "none"),
    ],
)
def test_the_rule_table_has_one_verdict_for_every_pair(
    reading_off: Difference, mean_read: Difference, verdict: Verdict
) -> None:
    assert judge(reading_off, mean_read) == verdict


def test_differences_are_the_records_over_the_seeds_that_have_them(tmp_path: Path) -> None:
    study = make_study(tmp_path, SEEDS)
    store_memory_use(tmp_path, 1, {"reading-off": [-1.0, -2.0, -3.0], "mean-read": [0.5, -0.5]})
    lines = read_data(study, tmp_path).knock_outs.set_index(["row", "knock_out", "task"])
    assert set(lines.index.get_level_values("row")) == {"memory-grc"}
    off = lines.loc[("memory-grc", "reading-off", "relation_strict")]
    # Std 1, t(2; .975) = 4.3027: -2 ± 4.3027 / sqrt(3); power .80 at an effect of 3.26.
    assert (off["delta"], off["n"], off["lower"], off["seeds"]) == (-2.0, 3, 3, "0 1 2")
    assert (off["low"], off["high"], off["detectable"]) == pytest.approx((-4.4841, 0.4841, 3.26), abs=0.01)
    mean = lines.loc[("memory-grc", "mean-read", "relation_strict")]
    assert (mean["delta"], mean["n"], mean["lower"], mean["seeds"]) == (0.0, 2, 1, "0 1")
    assert lines.at[("memory-grc", "reading-off", "mention"), "delta"] == -1.0


def test_one_seed_has_no_interval_and_a_missing_task_is_missing(tmp_path: Path) -> None:
    study = make_study(tmp_path, SEEDS)
    store_memory_use(tmp_path, 1, {"reading-off": [-1.0]})
    store_counts(tmp_path, 1, 0, "test", [5, 5])
    store_counts(tmp_path, 1, 0, "test.reading-off", [4, 4])
    use = make_memory_use({"mean-read": -1.0})
    del use.knock_outs["mean-read"].difference["coref"]
    make_run(tmp_path, f"{1:012x}", 1, f1=41.0, preset="memory-grc", memory_use=use)
    data = read_data(study, tmp_path)
    lines = data.knock_outs.set_index(["knock_out", "task"])
    assert lines[["low", "high", "std", "detectable"]].isna().all(axis=None)
    assert ("mean-read", "entity") in lines.index
    assert ("mean-read", "coref") not in lines.index
    off, mean = find_judged(data)["memory-grc"].values()
    # Two documents would give an interval, but not for other seeds.
    assert lines.at[("reading-off", "entity"), "documents"] == 2
    assert math.isnan(off.high)
    assert judge(off, mean) == "unknown"


@pytest.fixture
def counted(tmp_path: Path) -> tuple[StudyRecord, Path, np.ndarray]:
    study = make_study(tmp_path, SEEDS)
    store_memory_use(tmp_path, 1, {"reading-off": [-1.0, -2.0, -3.0], "mean-read": [-1.0, -2.0, -3.0]})
    right = np.random.default_rng(0).integers(3, 9, (2, 3, 30))
    for seed in range(3):
        store_counts(tmp_path, 1, seed, "test", right[0, seed].tolist())
        store_counts(tmp_path, 1, seed, "test.reading-off", right[1, seed].tolist())
    return study, tmp_path, right


def test_intervals_over_documents_pair_a_runs_own_counts_and_decide_where_they_are(
    counted: tuple[StudyRecord, Path, np.ndarray],
) -> None:
    study, runs, right = counted
    data = read_data(study, runs)
    lines = data.knock_outs.set_index(["knock_out", "task"])
    counts = np.stack([right, np.zeros_like(right), 10 - right], axis=-1)
    alone = bootstrap_differences([(counts[1], counts[0])], resamples=500)[0].interval
    off = lines.loc[("reading-off", "relation_strict")]
    assert (off["low_all"], off["high_all"], off["documents"]) == pytest.approx((*alone, 30))
    judged = find_judged(data)["memory-grc"]
    assert (judged["reading-off"].low, judged["reading-off"].high) == pytest.approx(tuple(alone))
    # Its counts are not there: the interval over seeds decides, and the reason is kept.
    mean = lines.loc[("mean-read", "relation_strict")]
    assert math.isnan(mean["low_all"])
    assert mean["without"] == "documents.test.mean-read.json is not there for seed 0"
    assert (judged["mean-read"].low, judged["mean-read"].high) == (mean["low"], mean["high"])


def test_counts_of_other_documents_are_a_reason_and_no_interval(
    counted: tuple[StudyRecord, Path, np.ndarray],
) -> None:
    study, runs, _ = counted
    store_counts(runs, 1, 2, "test.reading-off", [5] * 29)
    off = read_data(study, runs).knock_outs.set_index(["knock_out", "task"]).loc["reading-off"]
    assert off["low_all"].isna().all()
    assert off["low"].notna().all()
    assert "not the same" in off["without"].iloc[0]


def test_other_splits_and_older_runs_have_no_knock_outs(tmp_path: Path) -> None:
    study = make_study(tmp_path, SEEDS)
    assert compare_knock_outs(load_study(study, tmp_path)).empty
    assert load_study(study, tmp_path).memory_use == {}
    store_memory_use(tmp_path, 1, {"reading-off": [-1.0, -2.0, -3.0]})
    assert len(compare_knock_outs(load_study(study, tmp_path))) == 4
    assert compare_knock_outs(load_study(study, tmp_path, split="validation")).empty


def test_a_run_without_scores_has_no_memory_use_either(tmp_path: Path) -> None:
    study = make_study(tmp_path, {"memory-grc": {0: 39.0, 1: None}})
    use = make_memory_use({"reading-off": -1.0})
    make_run(tmp_path, f"{0:012x}", 1, f1=41.0, status="diverged", preset="memory-grc", memory_use=use)
    data = load_study(study, tmp_path)
    assert data.memory_use == {}
    make_run(tmp_path, f"{0:012x}", 0, f1=41.0, preset="memory-grc", memory_use=MemoryUse())
    assert load_study(study, tmp_path).memory_use == {f"{0:012x}-s0": MemoryUse()}
