"""Counts per document of several seeds as arrays, matched by document: what the bootstrap resamples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from core.errors import UserError
from core.metrics import DocumentCounts, add

CountArray = Int[np.ndarray, "seeds documents 3"]
"""True positives, false positives and false negatives of each document under each seed, all types together."""
SeedCounts = Mapping[int, Sequence[DocumentCounts]]


@dataclass(frozen=True, slots=True)
class PairedCounts:
    """The counts of two rows on the same seeds and documents; `left_out` are the seeds that one row lacks."""

    row: CountArray
    baseline: CountArray
    seeds: tuple[int, ...]
    left_out: tuple[int, ...]
    documents: tuple[str, ...]


def pair_counts(row: SeedCounts, baseline: SeedCounts, task: str) -> PairedCounts:
    """The counts of one task on the seeds that both rows have, documents in the order of the row's first seed.

    Raises:
        UserError: two runs were not scored on the same documents with the same gold.
    """
    seeds = tuple(sorted(row.keys() & baseline.keys()))
    names = {f"seed {seed} of the row": row[seed] for seed in seeds}
    names |= {f"seed {seed} of the baseline": baseline[seed] for seed in seeds}
    stacked = _stacked(names, task)
    return PairedCounts(
        row=stacked[: len(seeds)],
        baseline=stacked[len(seeds) :],
        seeds=seeds,
        left_out=tuple(sorted(row.keys() ^ baseline.keys())),
        documents=tuple(document.id for document in row[seeds[0]]) if seeds else (),
    )


def _stacked(runs: Mapping[str, Sequence[DocumentCounts]], task: str) -> CountArray:
    if not runs:
        return np.zeros((0, 0, 3), dtype=np.int64)
    first_name, first = next(iter(runs.items()))
    ids = [document.id for document in first]
    arrays = [_one(_in_order(documents, ids, name, first_name), task) for name, documents in runs.items()]
    gold = arrays[0][:, 0] + arrays[0][:, 2]
    for name, array in zip(runs, arrays, strict=True):
        own_gold = array[:, 0] + array[:, 2]
        for position in np.flatnonzero(own_gold != gold):
            raise UserError(
                f"document {ids[position]!r} has {own_gold[position]} gold items of {task!r} in {name} and "
                f"{gold[position]} in {first_name}: score both on the same gold to compare them"
            )
    return np.stack(arrays)


def _in_order(documents: Sequence[DocumentCounts], ids: list[str], name: str, first: str) -> Sequence[DocumentCounts]:
    own = [document.id for document in documents]
    if own == ids:
        return documents
    if len(set(own)) != len(own) or set(own) != set(ids):
        only = sorted(set(own) ^ set(ids)) or sorted({key for key in own if own.count(key) > 1})
        raise UserError(
            f"{name} has {len(own)} documents, {first} has {len(ids)}, and they are not the same (e.g. {only[0]!r}): "
            "score both on the same split to compare them"
        )
    by_id = dict(zip(own, documents, strict=True))
    return [by_id[key] for key in ids]


def _one(documents: Sequence[DocumentCounts], task: str) -> Int[np.ndarray, "documents 3"]:
    summed = [add(list(document.counts[task].values())) for document in documents]
    return np.array(summed, dtype=np.int64).reshape(len(documents), 3)
