"""Coreference measures by links, mentions and aligned clusters: MUC, B³, CEAFφ4 and their mean.

As in the reference scorer of the CoNLL shared tasks (Pradhan et al., 2014): numerators and denominators are summed over
documents before dividing, and singletons count. A mention that one side holds twice is kept once, in its first cluster
by position.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache

from core.data.documents import Annotation, Span
from core.scoring.metrics import Measures, measures, ratio

Clusters = Sequence[frozenset[Span]]
Fractions = tuple[int | float, int | float, int | float, int | float]
"""Numerator and denominator of precision, then of recall."""
SMALL_BLOCK = (60, 8)
"""Blocks with at most this many clusters on the longer and the shorter side are aligned here; larger ones by scipy."""


def coreference_scores(pairs: Iterable[tuple[Annotation, Annotation]]) -> dict[str, Measures]:
    """MUC, B³, CEAFφ4 in percent over (gold, predicted) pairs, and `mean`, the average of the three F1."""
    sums = {name: [0.0] * 4 for name in MEASURES}
    for gold, predicted in pairs:
        key, response = partition(gold), partition(predicted)
        for name, measure in MEASURES.items():
            sums[name] = [old + new for old, new in zip(sums[name], measure(key, response), strict=True)]
    scores = {
        name: measures(ratio(precision_part, precision_whole), ratio(recall_part, recall_whole))
        for name, (precision_part, precision_whole, recall_part, recall_whole) in sums.items()
    }
    return scores | {"mean": {"f1": sum(of_measure["f1"] for of_measure in scores.values()) / len(scores)}}


def partition(annotation: Annotation) -> list[frozenset[Span]]:
    """The clusters of an annotation without overlap, in an order that does not depend on the annotation's."""
    seen: set[Span] = set()
    clusters: list[frozenset[Span]] = []
    for mentions in sorted(sorted(set(entity.mentions)) for entity in annotation.entities):
        rest = frozenset(mentions) - seen
        seen |= rest
        if rest:
            clusters.append(rest)
    return clusters


def muc(key: Clusters, response: Clusters) -> Fractions:
    """Links kept of those that hold a cluster together (Vilain et al., 1995); singletons have none."""
    return *_links(response, key), *_links(key, response)


def _links(clusters: Clusters, other: Clusters) -> tuple[int, int]:
    cluster_of = _cluster_by_span(other)
    kept = whole = 0
    for cluster in clusters:
        # A mention that the other annotation does not have is a part on its own.
        parts = len({cluster_of.get(mention, mention) for mention in cluster})
        kept += len(cluster) - parts
        whole += len(cluster) - 1
    return kept, whole


def b_cubed(key: Clusters, response: Clusters) -> Fractions:
    """The share of every mention's cluster that is right, averaged over mentions (Bagga & Baldwin, 1998)."""
    return *_shares(response, key), *_shares(key, response)


def _shares(clusters: Clusters, other: Clusters) -> tuple[float, int]:
    cluster_of = _cluster_by_span(other)
    right = 0.0
    for cluster in clusters:
        overlaps = Counter(cluster_of[mention] for mention in cluster if mention in cluster_of)
        right += sum(size * size for size in overlaps.values()) / len(cluster)
    return right, sum(map(len, clusters))


def ceaf_phi4(key: Clusters, response: Clusters) -> Fractions:
    """The similarity of the best one-to-one alignment of clusters, φ4 = 2|K∩R| / (|K|+|R|) (Luo, 2005)."""
    similarity = sum(_best_alignment(block) for block in _blocks(key, response))
    return similarity, len(response), similarity, len(key)


MEASURES = {"muc": muc, "b_cubed": b_cubed, "ceaf_phi4": ceaf_phi4}


def _cluster_by_span(clusters: Clusters) -> dict[Span, int]:
    return {mention: index for index, cluster in enumerate(clusters) for mention in cluster}


def _blocks(key: Clusters, response: Clusters) -> list[list[list[float]]]:
    """Similarity matrices of the groups of clusters that share mentions: an alignment never crosses groups."""
    in_response = _cluster_by_span(response)
    overlaps = [Counter(in_response[m] for m in cluster if m in in_response) for cluster in key]
    group_of: dict[int, list[int]] = {}  # response cluster -> the key clusters of its group (one shared list)
    for row, overlap in enumerate(overlaps):
        merged = [row]
        for column in overlap:
            old = group_of.get(column, [])
            if old is not merged:
                merged += [member for member in old if member not in merged]
        for column in {column for member in merged for column in overlaps[member]}:
            group_of[column] = merged
    blocks: list[list[list[float]]] = []
    for rows in {id(group): group for group in group_of.values()}.values():
        columns = sorted({column for row in rows for column in overlaps[row]})
        blocks.append([[_phi4(overlaps[row][c], len(key[row]), len(response[c])) for c in columns] for row in rows])
    return blocks


def _phi4(shared: int, key_size: int, response_size: int) -> float:
    return 2 * shared / (key_size + response_size)


def _best_alignment(block: list[list[float]]) -> float:
    """The highest sum of a one-to-one choice from a similarity matrix of non-negative values."""
    if len(block) < len(block[0]):
        block = [list(column) for column in zip(*block, strict=True)]
    if len(block[0]) == 1:
        return max(row[0] for row in block)
    if len(block) > SMALL_BLOCK[0] or len(block[0]) > SMALL_BLOCK[1]:
        # Imported here: scipy takes longer to load than 300 documents take to score, and few documents need it.
        from scipy.optimize import linear_sum_assignment

        rows, columns = linear_sum_assignment(block, maximize=True)
        return float(sum(block[row][column] for row, column in zip(rows, columns, strict=True)))

    @cache
    def best(row: int, taken: int) -> float:
        """The best sum from `row` on, with the columns in the bit set `taken` gone."""
        if row == len(block):
            return 0.0
        values = [best(row + 1, taken)]
        for column, value in enumerate(block[row]):
            if value and not taken >> column & 1:
                values.append(value + best(row + 1, taken | 1 << column))
        return max(values)

    return best(0, 0)
