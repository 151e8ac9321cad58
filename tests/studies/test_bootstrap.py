from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import UserError
from core.scoring.metrics import TASKS, DocumentCounts, TypeCounts, prf, ratio
from core.seeding import seed_for
from studies import bootstrap
from studies.bootstrap import BootstrapDifference, bootstrap_differences, micro_f1, pair_counts


def example(seeds: int = 3, documents: int = 12, name: int = 0) -> np.ndarray:
    return np.random.default_rng(seed_for("example", name)).integers(0, 6, (seeds, documents, 3))


def bootstrap_difference(
    row: np.ndarray, baseline: np.ndarray, resamples: int = 10, seed: int = 0
) -> BootstrapDifference:
    return bootstrap_differences([(row, baseline)], resamples=resamples, seed=seed)[0]


@given(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)))
def test_f1_is_that_of_the_metrics(counts: tuple[int, int, int]) -> None:
    assert micro_f1(np.array(counts)) == pytest.approx(prf(TypeCounts(*counts)).f1)


def test_the_value_is_the_mean_over_seeds_of_micro_f1() -> None:
    # Seed 0: tp 3, fp 1, fn 1 -> 75; seed 1: tp 2, fp 0, fn 2 -> 2/3. A mean over documents would be another number.
    counts = np.array([[[3, 0, 0], [0, 1, 1]], [[2, 0, 1], [0, 0, 1]]])
    zero = np.zeros_like(counts)
    assert bootstrap_difference(counts, zero, resamples=10).value == pytest.approx((75 + ratio(4, 6)) / 2)


def test_two_documents_and_two_seeds_against_all_sixteen_resamples() -> None:
    row = np.array([[[4, 1, 1], [1, 3, 2]], [[2, 2, 3], [2, 0, 1]]])
    baseline = np.array([[[3, 1, 2], [2, 5, 1]], [[3, 2, 2], [0, 0, 3]]])
    exact = []
    for documents in product((0, 1), repeat=2):
        gaps = [
            micro_f1(row[s, list(documents)].sum(0)) - micro_f1(baseline[s, list(documents)].sum(0)) for s in (0, 1)
        ]
        exact += [np.mean([gaps[s] for s in seeds]) for seeds in product((0, 1), repeat=2)]
    drawn = bootstrap._resample(np.stack([row, baseline]).astype(float), 40_000, 3)[0]
    assert set(np.round(drawn, 9)) == set(np.round(exact, 9))
    for value in set(np.round(exact, 9)):
        share = np.mean(np.round(exact, 9) == value)
        assert np.mean(np.round(drawn, 9) == value) == pytest.approx(share, abs=0.015)


def test_documents_are_drawn_once_for_both_rows_and_all_seeds() -> None:
    # The baseline finds just what the row finds: any resample that paired other documents or seeds would differ.
    row = example()
    found = bootstrap_difference(row, row.copy(), resamples=200)
    assert (found.value, found.interval, found.above) == (0, (0, 0), 0)


def test_a_resample_without_an_item_scores_zero_as_the_metrics_do() -> None:
    counts = np.array([[[1, 0, 0], [0, 0, 0]]])  # drawing the empty document twice leaves nothing to divide by
    assert bootstrap_difference(counts, np.zeros_like(counts), resamples=500).interval == (0, 100)


def test_the_draws_depend_on_the_seed_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    row, baseline = example(name=1), example(name=2)
    first = bootstrap_difference(row, baseline, resamples=300, seed=1)
    assert bootstrap_difference(row, baseline, resamples=300, seed=2).interval != first.interval
    monkeypatch.setattr(bootstrap, "BLOCK_VALUES", 50)
    assert bootstrap_difference(row, baseline, resamples=300, seed=1) == first


def test_several_pairs_on_one_set_of_draws_are_each_as_alone() -> None:
    pairs = [(example(name=name), example(name=name + 1)) for name in (1, 5, 9)]
    together = bootstrap.bootstrap_differences(pairs, resamples=400)
    assert together == [bootstrap_difference(*pair, resamples=400) for pair in pairs]
    assert len({found.interval for found in together}) == 3
    with pytest.raises(ValueError, match="same shape"):
        bootstrap.bootstrap_differences([pairs[0], (example(2), example(2))])


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(1, 8))
def test_the_other_way_round_is_the_mirror(name: int, seeds: int, documents: int) -> None:
    row, baseline = example(seeds, documents, name), example(seeds, documents, name + 1)
    there, back = (bootstrap_difference(*pair, resamples=101) for pair in ((row, baseline), (baseline, row)))
    assert there.value == pytest.approx(-back.value)
    assert there.interval == pytest.approx((-back.interval.high, -back.interval.low))
    assert there.above + back.above <= 1
    assert there.interval.low <= there.interval.high


def test_permuted_documents_and_seeds_change_no_more_than_the_draws_do() -> None:
    row, baseline = example(4, 60, 3), example(4, 60, 4)
    order, seeds = np.random.default_rng(0).permutation(60), [2, 0, 3, 1]
    there = bootstrap_difference(row, baseline, resamples=20_000)
    permuted = bootstrap_difference(row[seeds][:, order], baseline[seeds][:, order], resamples=20_000)
    assert permuted.value == pytest.approx(there.value)
    assert permuted.interval == pytest.approx(there.interval, abs=0.03 * (there.interval.high - there.interval.low))


@pytest.mark.parametrize("shape", [(0, 3, 3), (2, 0, 3)])
def test_rows_without_seeds_or_documents_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="no seed or no document"):
        bootstrap_difference(np.zeros(shape, dtype=int), np.zeros(shape, dtype=int))


def test_rows_that_cannot_be_paired_are_refused() -> None:
    with pytest.raises(ValueError, match="same shape"):
        bootstrap_difference(example(3), example(2))


def scored(**documents: tuple[int, int, int]) -> list[DocumentCounts]:
    """Counts of documents whose items are split over two types, the second always (1, 0, 0)."""
    return [
        DocumentCounts(
            key,
            {
                task: {"a": TypeCounts(*counts), "b": TypeCounts(1, 0, 0)} if task == "relation" else {}
                for task in TASKS
            },
        )
        for key, counts in documents.items()
    ]


def test_types_are_summed_and_seeds_sorted() -> None:
    counts = {7: scored(x=(1, 2, 3), y=(0, 0, 1)), 2: scored(x=(4, 0, 0), y=(0, 9, 1))}
    found = pair_counts(counts, counts, "relation")
    assert found.row.tolist() == [[[5, 0, 0], [1, 9, 1]], [[2, 2, 3], [1, 0, 1]]]
    one = {1: scored(x=(1, 1, 1))}
    assert pair_counts(one, one, "coref").row.tolist() == [[[0, 0, 0]]]


def test_rows_are_paired_by_seed_and_document() -> None:
    row = {1: scored(x=(1, 0, 2), y=(2, 1, 0)), 2: scored(x=(2, 0, 1), y=(0, 0, 2)), 3: scored(z=(1, 1, 1))}
    baseline = {2: scored(y=(1, 5, 1), x=(0, 6, 3)), 1: scored(y=(0, 7, 2), x=(3, 8, 0)), 9: scored(z=(1, 1, 1))}
    paired = pair_counts(row, baseline, "relation")
    assert paired.seeds == (1, 2)
    assert paired.row[:, :, 0].tolist() == [[2, 3], [3, 1]]
    assert paired.baseline[:, :, 1].tolist() == [[8, 7], [6, 5]]
    assert np.array_equal(paired.row[..., [0, 2]].sum(-1), paired.baseline[..., [0, 2]].sum(-1))


def test_no_shared_seed_gives_empty_arrays() -> None:
    paired = pair_counts({1: scored(x=(1, 0, 0))}, {2: scored(x=(1, 0, 0))}, "relation")
    assert (paired.seeds, paired.row.shape) == ((), (0, 0, 3))


def test_other_documents_or_other_gold_cannot_be_compared() -> None:
    with pytest.raises(UserError, match=r"seed 1 of the baseline has 1 documents.*'y'"):
        pair_counts({1: scored(x=(1, 0, 0), y=(1, 0, 0))}, {1: scored(x=(1, 0, 0))}, "relation")
    counts = {1: scored(x=(1, 0, 1)), 2: scored(x=(1, 0, 2))}
    with pytest.raises(
        UserError,
        match=r"seed 2 of the row has 4 gold items of 'relation' in document 'x', and seed 1 of the row has 3",
    ):
        pair_counts(counts, counts, "relation")


def test_files_stand_for_runs_also_where_both_rows_are_of_one_file() -> None:
    files = {1: Path("a.json"), 2: Path("b.json")}
    same = {1: scored(x=(1, 2, 1)), 2: scored(x=(2, 0, 0))}
    pair = pair_counts(same, same, "relation", files=(files, files))
    assert (pair.row == pair.baseline).all()
    assert pair.row.shape == (2, 1, 3)
    with pytest.raises(UserError, match=r"^b\.json has 6 gold items of 'relation' in document 'x', and a\.json has 3"):
        pair_counts(same, {1: scored(x=(1, 2, 1)), 2: scored(x=(5, 0, 0))}, "relation", files=(files, files))
