"""Coreference clusters from pair scores: complete linkage, merged strictly below the threshold."""

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage


def clusters_of(similarities: np.ndarray, *, count: int, threshold: float) -> list[np.ndarray]:
    """Group `count` mentions by the float32 similarities of their pairs i < j, row by row [count * (count - 1) / 2].

    Two clusters merge while the largest distance 1 - similarity between them is below 1 - threshold; scipy merges up
    to and including its bound, so it is given the number just below. Clusters come in order of their first mention.
    """
    if count <= 1:
        return [np.arange(count)] if count else []
    distances = (np.float32(1.0) - similarities.astype(np.float32)).astype(np.float64)
    tree = linkage(distances, method="complete")
    labels = fcluster(tree, t=np.nextafter(1.0 - threshold, 0.0), criterion="distance")
    groups: dict[int, list[int]] = {}
    for mention, label in enumerate(labels.tolist()):
        groups.setdefault(label, []).append(mention)
    return [np.array(group) for group in groups.values()]
