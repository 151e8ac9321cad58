"""Clustering against scipy's own cut of the tree, and the shortcut for mentions that nobody disputes."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, linkage

from core.model.clustering import cluster_mentions, unambiguous_groups

relaxed = settings(max_examples=100)


def cut_by_scipy(similarities: np.ndarray, count: int, threshold: float) -> set[tuple[int, ...]]:
    distances = (np.float32(1.0) - similarities).astype(np.float64)
    # scipy merges up to and including its bound; a cluster merges strictly below it.
    labels = fcluster(linkage(distances, "complete"), np.nextafter(1.0 - threshold, 0.0), "distance")
    return {tuple(np.flatnonzero(labels == label).tolist()) for label in labels}


@given(st.integers(2, 30), st.integers(0, 999), st.sampled_from([0.2, 0.5, 0.85]), st.sampled_from([3, 6, 1_000]))
@relaxed
def test_clusters_are_those_of_the_whole_tree(count: int, seed: int, threshold: float, steps: int) -> None:
    # Few different scores: distances tie with one another and with the bound.
    drawn = np.random.default_rng(seed).integers(0, steps + 1, count * (count - 1) // 2)
    similarities = (drawn / np.float32(steps)).astype(np.float32)
    found = [tuple(cluster.tolist()) for cluster in cluster_mentions(similarities, count=count, threshold=threshold)]
    assert set(found) == cut_by_scipy(similarities, count, threshold)
    assert found == sorted(found)


def pairs_within(groups: list[int]) -> np.ndarray:
    upper = np.triu_indices(len(groups), k=1)
    numbers = np.array(groups)
    return numbers[upper[0]] == numbers[upper[1]]


@given(st.lists(st.integers(0, 4), min_size=2, max_size=12))
@relaxed
def test_undisputed_mentions_are_grouped_without_a_tree(groups: list[int]) -> None:
    members = {name: [place for place, own in enumerate(groups) if own == name] for name in dict.fromkeys(groups)}
    assert unambiguous_groups(pairs_within(groups), len(groups)) == list(members.values())


def test_a_mention_between_two_others_is_in_doubt() -> None:
    # 0 and 1 are close, 1 and 2 are close, 0 and 2 are not.
    assert unambiguous_groups(np.array([True, False, True]), 3) is None
    nearer = np.array([0.9, 0.1, 0.95], dtype=np.float32)
    assert [part.tolist() for part in cluster_mentions(nearer, count=3, threshold=0.85)] == [[0], [1, 2]]


def test_a_distance_at_the_threshold_does_not_merge() -> None:
    assert len(cluster_mentions(np.array([0.5], dtype=np.float32), count=2, threshold=0.5)) == 2
    assert len(cluster_mentions(np.array([1.0], dtype=np.float32), count=2, threshold=1.0)) == 2
