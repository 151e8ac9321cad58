"""The hierarchical paired bootstrap: would the result hold on other documents and with other seeds?

A resample draws documents with replacement, and seeds with replacement, each as many as there are; every seed of both
rows is scored on the same drawn documents, and a drawn seed stands for that seed of both rows. Micro-F1 is computed
anew for each seed and averaged over the drawn seeds, as a table does; F1 is never averaged over documents. A resample
without any item, in gold or in prediction, scores 0, as in `core.scoring.metrics`.

What the percentile interval covers at five seeds is measured, not asserted: `COVERAGE`.

Counts per document of several seeds as arrays, matched by document: what the bootstrap resamples.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from core.errors import UserError
from core.scoring.metrics import DocumentCounts, add
from core.seeding import seed_for
from studies.statistics import CONFIDENCE, Interval

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


RESAMPLES = 10_000
COVERAGE = (0.883, 0.974)
"""Least and most of the simulated studies of five seeds whose nominal 95 % interval held the true difference.

Where the choice of documents is most of the uncertainty it is 94 to 97 %; where the seeds are, five are too few.
"""
BLOCK_VALUES = 1_000_000
"""Documents drawn at a time: some ten megabytes, which stay near the processor."""


@dataclass(frozen=True, slots=True)
class BootstrapDifference:
    """Micro-F1 of a row less that of the baseline, in points; `above` is the share of resamples in which it is > 0."""

    value: float
    interval: Interval
    above: float
    seeds: int
    documents: int
    resamples: int


def bootstrap_difference(
    row: CountArray,
    baseline: CountArray,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    confidence: float = CONFIDENCE,
) -> BootstrapDifference:
    """Resample the documents and seeds of two rows together; `studies.bootstrap.pair_counts` makes the two arrays.

    The draws depend on `seed` and on the numbers of seeds and documents alone, so comparisons of one table share them.

    Raises:
        ValueError: the shapes differ; no seed, no document, a negative count, or not [seeds, documents, 3].
    """
    return bootstrap_differences([(row, baseline)], resamples=resamples, seed=seed, confidence=confidence)[0]


def bootstrap_differences(
    pairs: Sequence[tuple[CountArray, CountArray]],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    confidence: float = CONFIDENCE,
) -> list[BootstrapDifference]:
    """The same of several pairs of one size, such as the tasks of two rows, on one set of draws.

    Raises:
        ValueError: as `bootstrap_difference`, and where the pairs are of several sizes.
    """
    counts = [_checked(one) for pair in pairs for one in pair]
    for one in counts:
        if one.shape != counts[0].shape:
            raise ValueError(f"paired rows have the same seeds and documents, not {counts[0].shape} and {one.shape}")
    values = _resampled(np.stack(counts), resamples, seed)
    found = []
    for place, ours, theirs in zip(range(len(pairs)), counts[::2], counts[1::2], strict=True):
        found.append(
            BootstrapDifference(
                value=float((micro_f1(ours.sum(1)) - micro_f1(theirs.sum(1))).mean()),
                interval=_percentiles(values[place], confidence),
                above=float((values[place] > 0).mean()),
                seeds=ours.shape[0],
                documents=ours.shape[1],
                resamples=resamples,
            )
        )
    return found


def micro_f1(sums: Float[np.ndarray, "*axes 3"]) -> Float[np.ndarray, "*axes"]:
    """F1 in percent of summed counts; 0 where there is nothing to divide by."""
    tp, fp, fn = np.moveaxis(sums, -1, 0)
    whole = 2 * tp + fp + fn
    return 200 * tp / np.where(whole > 0, whole, 1)


def _resampled(
    counts: Float[np.ndarray, "rows seeds documents 3"], resamples: int, seed: int
) -> Float[np.ndarray, "pairs resamples"]:
    """The resampled difference of each even row less the odd one after it."""
    rows, seeds, documents, _ = counts.shape
    if resamples < 1:
        raise ValueError(f"a bootstrap needs at least 1 resample, not {resamples}")
    flat = np.ascontiguousarray(counts.transpose(2, 0, 1, 3).reshape(documents, -1))
    found = []
    draws = zip(
        _draws(seed_for("bootstrap", "documents", seed), documents, documents, resamples),
        _draws(seed_for("bootstrap", "seeds", seed), seeds, documents, resamples),
        strict=True,
    )
    for of_documents, of_seeds in draws:
        f1 = micro_f1((of_documents @ flat).reshape(-1, rows, seeds, 3))
        difference = f1[:, ::2] - f1[:, 1::2]
        found.append(np.einsum("bps,bs->pb", difference, of_seeds) / seeds)
    return np.concatenate(found, axis=1)


def _draws(key: int, size: int, documents: int, resamples: int) -> Iterator[Float[np.ndarray, "block size"]]:
    """How often each of `size` things is drawn, resample by resample, in blocks whose length `documents` decides."""
    generator = np.random.default_rng(key)
    block = max(1, BLOCK_VALUES // documents)
    for start in range(0, resamples, block):
        length = min(block, resamples - start)
        drawn = generator.integers(0, size, (length, size)) + size * np.arange(length)[:, None]
        yield np.bincount(drawn.ravel(), minlength=length * size).reshape(length, size).astype(np.float64)


def _percentiles(values: Float[np.ndarray, "resamples"], confidence: float) -> Interval:
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(low), float(high))


def _checked(counts: Int[np.ndarray, "seeds documents 3"]) -> Float[np.ndarray, "seeds documents 3"]:
    if counts.ndim != 3 or counts.shape[2] != 3 or not counts.size:
        raise ValueError(f"counts are [seeds, documents, 3] with at least one seed and document, not {counts.shape}")
    if counts.min() < 0:
        raise ValueError("a count is negative")
    return counts.astype(np.float64)
