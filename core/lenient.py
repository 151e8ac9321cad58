"""Lenient matching: an entity is found by its first mention, not only by its exact cluster.

Exact clusters punish one missed mention with every relation of its entity. Here a gold entity counts as found by a
predicted cluster that holds its first mention in the text, and a relation by its two entities, in the manner of REBEL
(Huguet Cabot & Navigli, 2021). A merged cluster finds every entity whose first mention it holds: merging is what B³ and
CEAF punish, not this.
"""

from collections.abc import Hashable, Iterable
from itertools import product

from core.documents import Annotation, Span
from core.metrics import harmonic, ratio

TASKS = ("coref", "entity", "relation", "relation_strict")


def lenient_scores(pairs: Iterable[tuple[Annotation, Annotation]]) -> dict[str, dict[str, float]]:
    """Precision, recall and F1 in percent over (gold, predicted) pairs, per task, with lenient matching.

    Recall is the share of gold items found, precision the share of predicted items that find one: their numerators
    may differ. `entity` and `relation_strict` ask for the same types, `coref` and `relation` do not.
    """
    sums = {task: [0, 0, 0, 0] for task in TASKS}
    for gold, predicted in pairs:
        for task, (wanted, claimed, matches) in _matches(gold, predicted).items():
            found = {gold_item for gold_item, _ in matches}
            right = {predicted_item for _, predicted_item in matches}
            for place, number in enumerate((len(right), len(claimed), len(found), len(wanted))):
                sums[task][place] += number
    scores: dict[str, dict[str, float]] = {}
    for task, (right_sum, claimed_sum, found_sum, wanted_sum) in sums.items():
        precision, recall = ratio(right_sum, claimed_sum), ratio(found_sum, wanted_sum)
        scores[task] = {"precision": precision, "recall": recall, "f1": harmonic(precision, recall)}
    return scores


Cluster = frozenset[Span]
Item = tuple[tuple[Cluster, ...], Hashable]
"""The clusters of an item, and what has to be equal beside them."""


def _matches(gold: Annotation, predicted: Annotation) -> dict[str, tuple[set[Item], set[Item], set[tuple[Item, Item]]]]:
    """Per task: the gold items, the predicted items, and the (gold, predicted) pairs that match."""
    holders: dict[Span, set[Cluster]] = {}
    for entity in predicted.entities:
        for mention in entity.mentions:
            holders.setdefault(mention, set()).add(frozenset(entity.mentions))
    matches: dict[str, tuple[set[Item], set[Item], set[tuple[Item, Item]]]] = {}
    for task in TASKS:
        wanted, claimed = _items(gold, task), _items(predicted, task)
        matched: set[tuple[Item, Item]] = set()
        for clusters, rest in wanted:
            candidates = [holders.get(min(cluster), set()) if cluster else set() for cluster in clusters]
            claims = {(found, rest) for found in product(*candidates)} & claimed
            matched |= {((clusters, rest), claim) for claim in claims}
        matches[task] = (wanted, claimed, matched)
    return matches


def _items(annotation: Annotation, task: str) -> set[Item]:
    clusters = [frozenset(entity.mentions) for entity in annotation.entities]
    types = [entity.type for entity in annotation.entities]
    if task == "coref":
        return {((cluster,), None) for cluster in clusters}
    if task == "entity":
        return {((cluster,), entity_type) for cluster, entity_type in zip(clusters, types, strict=True)}
    if task == "relation":
        return {((clusters[r.head], clusters[r.tail]), r.type) for r in annotation.relations}
    return {
        ((clusters[r.head], clusters[r.tail]), (types[r.head], types[r.tail], r.type)) for r in annotation.relations
    }
