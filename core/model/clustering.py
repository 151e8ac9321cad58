"""Clustering of mentions into entities from pair scores: complete linkage, merging strictly below the threshold."""

import numpy as np
from scipy.cluster.hierarchy import linkage


def cluster_mentions(similarities: np.ndarray, *, count: int, threshold: float) -> list[np.ndarray]:
    """Group `count` mentions by the float32 similarities of their pairs i < j, row by row [count * (count - 1) / 2].

    Two clusters merge while the largest distance 1 - similarity between them is below 1 - threshold. Clusters come in
    order of their first mention.
    """
    if count <= 1:
        return [np.arange(count)] if count else []
    distances = (np.float32(1.0) - similarities.astype(np.float32)).astype(np.float64)
    groups = unambiguous_groups(distances < 1.0 - threshold, count)
    if groups is None:
        tree = linkage(distances, method="complete")
        merged = {mention: [mention] for mention in range(count)}
        # Merges come by rising distance; merge number i makes the group count + i.
        merges = tree[tree[:, 2] < 1.0 - threshold, :2].astype(np.int64)
        for number, (left, right) in enumerate(merges.tolist(), start=count):
            merged[number] = merged.pop(left) + merged.pop(right)
        groups = sorted(sorted(group) for group in merged.values())
    return [np.array(group) for group in groups]


def unambiguous_groups(close: np.ndarray, count: int) -> list[list[int]] | None:
    """The groups of mentions that are close to one another and to no other; None where some mention is ambiguous.

    Whatever the order of merging, complete linkage ends in these groups, and finding them takes a fraction of its time.
    """
    mentions = np.arange(count)
    table = mentions[:, None] == mentions
    table[mentions[:, None] < mentions] = close
    table |= table.T
    first = table.argmax(1)
    if (table != (first[:, None] == first)).any():
        return None
    groups: dict[int, list[int]] = {}
    for mention, leader in enumerate(first.tolist()):
        groups.setdefault(leader, []).append(mention)
    return list(groups.values())
