"""Scores that do not hang on a threshold: average precision, and the threshold that would have been best.

A fixed threshold favours the model that it was tuned for; both numbers here are diagnostics beside F1. They rank
`(score, correct)` pairs, one for every scored candidate, against the number of gold relations, found or not.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby

from core.documents import Annotation
from core.metrics import items, ratio

Ranked = tuple[float, bool]


def ranked_relations(pairs: Iterable[tuple[Annotation, Annotation]]) -> tuple[list[Ranked], int]:
    """The scored relations of (gold, predicted) pairs as (score, strictly correct), and the number of gold relations.

    Of a relation predicted twice the higher score stays. Relations without a score are refused with a ValueError.
    """
    ranked: list[Ranked] = []
    total_gold = 0
    for gold, predicted in pairs:
        gold_items = items(gold)["relation_strict"]
        total_gold += len(gold_items)
        best: dict[object, float] = {}
        typed = [(frozenset(entity.mentions), entity.type) for entity in predicted.entities]
        for relation in predicted.relations:
            if relation.score is None:
                raise ValueError("a relation without a score cannot be ranked")
            item = (relation.type, (typed[relation.head], typed[relation.tail]))
            best[item] = max(relation.score, best.get(item, relation.score))
        ranked += [(score, item in gold_items) for item, score in best.items()]
    return ranked, total_gold


def average_precision(ranked: Iterable[Ranked], total_gold: int) -> float:
    """The mean over all gold relations of the precision at the rank of each, in percent; a missed one counts 0.

    Candidates of one score share a rank, so their order cannot matter.
    """
    return ratio(sum(precision * new for precision, new in _precision_steps(ranked)), total_gold)


def _precision_steps(ranked: Iterable[Ranked]) -> Iterable[tuple[float, int]]:
    """At every distinct score, from the top: the precision of all candidates down to it, and the correct ones in it."""
    taken = right = 0
    for _, group in groupby(sorted(ranked, key=lambda pair: -pair[0]), key=lambda pair: pair[0]):
        correct = [is_correct for _, is_correct in group]
        taken, right = taken + len(correct), right + sum(correct)
        yield right / taken, sum(correct)


def best_threshold(ranked: Sequence[Ranked], total_gold: int) -> tuple[float, float]:
    """The score from which on accepting gives the highest micro F1, and that F1 in percent.

    To be found on validation and read on test. Of equal ones the highest threshold; (1.0, 0.0) where none is correct.
    """
    best = (1.0, 0.0)
    taken = right = 0
    for threshold, group in groupby(sorted(ranked, key=lambda pair: -pair[0]), key=lambda pair: pair[0]):
        correct = [is_correct for _, is_correct in group]
        taken, right = taken + len(correct), right + sum(correct)
        f1 = ratio(2 * right, taken + total_gold)
        if f1 > best[1]:
            best = (threshold, f1)
    return best
