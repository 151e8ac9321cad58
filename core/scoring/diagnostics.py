"""Where strict relation scores come from: by relation type, and within or across sentences.

Lenient matching: an entity is found by its first mention, not only by its exact cluster.

Exact clusters punish one missed mention with every relation of its entity. Here a gold entity counts as found by a
predicted cluster that holds its first mention in the text, and a relation by its two entities, in the manner of REBEL
(Huguet Cabot & Navigli, 2021). A merged cluster finds every entity whose first mention it holds: merging is what B³ and
CEAF punish, not this.

Scores that do not hang on a threshold: average precision, and the threshold that would have been best.

A fixed threshold favours the model that it was tuned for; both numbers here are diagnostics beside F1. They rank
`(score, correct)` pairs, one for every scored candidate, against the number of gold relations, found or not.

Ign-F1: relation scores without what training has already told (Yao et al., 2019).

A fact is (surface of a head mention, surface of a tail mention, relation type). Take the facts of the documents that
the run trained on: another split of the same data set would mark relations as known that the run never saw.
"""

from collections.abc import Hashable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from itertools import groupby, product

from core.data.documents import Annotation, Document, Span
from core.scoring.metrics import DocumentCounts, TypeCounts, harmonic_mean, items, prf, ratio, total


def by_relation_type(counts: Sequence[DocumentCounts]) -> dict[str, dict[str, float]]:
    """Strict P, R, F1 in percent and the counts of every relation type, the most frequent in gold first."""
    per_type = total(counts, "relation_strict")
    ordered = sorted(per_type.items(), key=lambda entry: (-(entry[1].tp + entry[1].fn), entry[0]))
    return {relation_type: described(type_counts) for relation_type, type_counts in ordered}


def described(counts: TypeCounts) -> dict[str, float]:
    """P, R, F1 in percent beside the counts that they come from."""
    return {**prf(counts)._asdict(), **counts._asdict()}


def by_sentence_distance(
    documents: Sequence[Document], predicted: Sequence[Annotation]
) -> dict[str, dict[str, float]] | None:
    """Strict P, R, F1 and counts of relations within a sentence (`intra`) and across sentences (`inter`).

    A relation is `intra` where some mention of its head and some mention of its tail share a sentence; a false
    positive is judged by its own mentions. None where a document knows no sentences.
    """
    sums = {"intra": [0, 0, 0], "inter": [0, 0, 0]}
    for document, annotation in zip(documents, predicted, strict=True):
        if document.gold is None or not document.sentences:
            return None
        sentence_numbers = document.sentence_numbers()
        gold_items = items(document.gold)["relation_strict"]
        predicted_items = items(annotation)["relation_strict"]
        parts = (gold_items & predicted_items, predicted_items - gold_items, gold_items - predicted_items)
        for place, part in enumerate(parts):
            for _, ((head, _), (tail, _)) in part:
                sums[_distance_class(head, tail, sentence_numbers)][place] += 1
    return {name: described(TypeCounts(*numbers)) for name, numbers in sums.items()}


def _distance_class(head: frozenset[Span], tail: frozenset[Span], sentence_numbers: Sequence[int]) -> str:
    # A mention lies in the sentence of its first token; few cross a sentence border.
    head_sentences = {sentence_numbers[start] for start, _ in head}
    return "intra" if any(sentence_numbers[start] in head_sentences for start, _ in tail) else "inter"


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
        scores[task] = {"precision": precision, "recall": recall, "f1": harmonic_mean(precision, recall)}
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


Fact = tuple[str, str, str]


def training_facts(documents: Iterable[Document]) -> frozenset[Fact]:
    """The facts of the gold relations of some documents, over every pair of a head's and a tail's mentions."""
    facts: set[Fact] = set()
    for document in documents:
        if document.gold is None:
            continue
        for relation in document.gold.relations:
            head, tail = (document.gold.entities[index].mentions for index in (relation.head, relation.tail))
            facts.update(_facts(document, head, tail, relation.type))
    return frozenset(facts)


def ign_scores(
    documents: Sequence[Document], predicted: Sequence[Annotation], facts: AbstractSet[Fact]
) -> dict[str, float]:
    """Strict precision, recall and F1 in percent, where predictions that are training facts leave the precision.

    Recall is that of all gold relations. `docred_precision` and `docred_f1` follow the official DocRED evaluation, in
    which only the correct ones among those predictions leave. `ignored` counts the predictions that are facts.
    """
    right = wrong = known_right = known_wrong = missed = 0
    for document, annotation in zip(documents, predicted, strict=True):
        gold_items = items(document.gold or Annotation())["relation_strict"]
        predicted_items = items(annotation)["relation_strict"]
        missed += len(gold_items - predicted_items)
        for item in predicted_items:
            relation_type, ((head, _), (tail, _)) = item
            known = any(fact in facts for fact in _facts(document, head, tail, relation_type))
            correct = item in gold_items
            right, wrong = right + correct, wrong + (not correct)
            known_right, known_wrong = known_right + (known and correct), known_wrong + (known and not correct)
    recall = ratio(right, right + missed)
    new_right = right - known_right
    precision = ratio(new_right, new_right + wrong - known_wrong)
    docred_precision = ratio(new_right, new_right + wrong)
    return {
        "precision": precision,
        "recall": recall,
        "f1": harmonic_mean(precision, recall),
        "docred_precision": docred_precision,
        "docred_f1": harmonic_mean(docred_precision, recall),
        "ignored": known_right + known_wrong,
    }


def _facts(document: Document, head: Iterable[Span], tail: Iterable[Span], relation_type: str) -> list[Fact]:
    tails = [document.surface(span) for span in tail]
    return [(document.surface(span), surface, relation_type) for span in head for surface in tails]
