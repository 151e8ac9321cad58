import numpy as np
import pytest

from core.errors import UserError
from core.scoring.metrics import DocumentCounts, TypeCounts
from studies.bootstrap import pair_counts


def scored(**documents: tuple[int, int, int]) -> list[DocumentCounts]:
    """Counts of documents whose items are split over two types, the second always (1, 0, 0)."""
    return [
        DocumentCounts(id=key, counts={"relation": {"a": TypeCounts(*counts), "b": TypeCounts(1, 0, 0)}, "coref": {}})
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
    assert (paired.seeds, paired.left_out, paired.documents) == ((1, 2), (3, 9), ("x", "y"))
    assert paired.row[:, :, 0].tolist() == [[2, 3], [3, 1]]
    assert paired.baseline[:, :, 1].tolist() == [[8, 7], [6, 5]]
    assert np.array_equal(paired.row[..., [0, 2]].sum(-1), paired.baseline[..., [0, 2]].sum(-1))


def test_no_shared_seed_gives_empty_arrays() -> None:
    paired = pair_counts({1: scored(x=(1, 0, 0))}, {2: scored(x=(1, 0, 0))}, "relation")
    assert (paired.seeds, paired.left_out, paired.row.shape) == ((), (1, 2), (0, 0, 3))


def test_other_documents_or_other_gold_cannot_be_compared() -> None:
    with pytest.raises(UserError, match=r"seed 1 of the baseline has 1 documents.*'y'"):
        pair_counts({1: scored(x=(1, 0, 0), y=(1, 0, 0))}, {1: scored(x=(1, 0, 0))}, "relation")
    counts = {1: scored(x=(1, 0, 1)), 2: scored(x=(1, 0, 2))}
    with pytest.raises(UserError, match=r"'x' has 4 gold items of 'relation' in seed 2 of the row and 3 in seed 1"):
        pair_counts(counts, counts, "relation")
