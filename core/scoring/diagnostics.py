"""Diagnostics beyond the five tasks: per relation type and sentence distance, lenient, ranking, Ign-F1.

- Per relation type, and within or across sentences: where strict relation scores come from.
- Lenient matching: exact clusters punish one missed mention with every relation of its entity. Here a gold entity
  counts as found by a predicted cluster that holds its first mention in the text, and a relation by its two entities,
  in the manner of REBEL (Huguet Cabot & Navigli, 2021). A merged cluster finds every entity whose first mention it
  holds: merging is what B³ and CEAF punish, not this.
- Ranking: average precision, and the threshold that would have been best. A fixed threshold favours the model that it
  was tuned for. Both rank `(score, correct)` pairs, one for every scored candidate, against the number of gold
  relations, found or not.
- Ign-F1: relation scores without the facts of the training documents (Yao et al., 2019). A fact is (surface of a head
  mention, surface of a tail mention, relation type). Take the facts of the documents that the run trained on: another
  split of the same data set would mark relations as known that the run never saw.
"""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from itertools import groupby, product

from core.data.documents import Annotation, Document, Span
from core.scoring.metrics import (
    CountedScores,
    DistanceScores,
    DocumentCounts,
    Measures,
    TypeCounts,
    items,
    measures,
    prf,
    ratio,
    total,
)


def by_relation_type(counts: Sequence[DocumentCounts]) -> dict[str, CountedScores]:
    """Strict P, R, F1 in percent and the counts of every relation type, the most frequent in gold first."""
    per_type = total(counts, "relation_strict")
    ordered = sorted(per_type.items(), key=lambda entry: (-(entry[1].tp + entry[1].fn), entry[0]))
    return {relation_type: _with_counts(type_counts) for relation_type, type_counts in ordered}


def _with_counts(counts: TypeCounts) -> CountedScores:
    precision, recall, f1 = prf(counts)
    return CountedScores(precision=precision, recall=recall, f1=f1, tp=counts.tp, fp=counts.fp, fn=counts.fn)


def by_sentence_distance(documents: Sequence[Document], predicted: Sequence[Annotation]) -> DistanceScores | None:
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
        outcomes = (gold_items & predicted_items, predicted_items - gold_items, gold_items - predicted_items)
        for outcome, relations in enumerate(outcomes):
            for _, ((head, _), (tail, _)) in relations:
                sums[_distance(head, tail, sentence_numbers)][outcome] += 1
    intra, inter = (_with_counts(TypeCounts(*numbers)) for numbers in sums.values())
    return DistanceScores(intra=intra, inter=inter)


def _distance(head: frozenset[Span], tail: frozenset[Span], sentence_numbers: Sequence[int]) -> str:
    # A mention lies in the sentence of its first token; few cross a sentence border.
    head_sentences = {sentence_numbers[start] for start, _ in head}
    return "intra" if any(sentence_numbers[start] in head_sentences for start, _ in tail) else "inter"


LENIENT_TASKS = ("coref", "entity", "relation", "relation_strict")
Cluster = frozenset[Span]
Item = tuple[tuple[Cluster, ...], Hashable]
"""The clusters of an item, and the types that have to be equal as well."""


def lenient_scores(pairs: Iterable[tuple[Annotation, Annotation]]) -> dict[str, Measures]:
    """Precision, recall and F1 in percent over (gold, predicted) pairs, per task, with lenient matching.

    Recall is the share of gold items found, precision the share of predicted items that find one: their numerators
    may differ. `entity` and `relation_strict` ask for the same types, `coref` and `relation` do not.
    """
    sums = {task: [0, 0, 0, 0] for task in LENIENT_TASKS}
    for gold, predicted in pairs:
        holders: dict[Span, set[Cluster]] = {}
        for cluster in (frozenset(entity.mentions) for entity in predicted.entities):
            for mention in cluster:
                holders.setdefault(mention, set()).add(cluster)
        for task in LENIENT_TASKS:
            gold_items, predicted_items = _lenient_items(gold, task), _lenient_items(predicted, task)
            matches = {item: _finders(item, holders) & predicted_items for item in gold_items}
            right = set[Item]().union(*matches.values())
            numbers = (len(right), len(predicted_items), sum(map(bool, matches.values())), len(gold_items))
            sums[task] = [old + new for old, new in zip(sums[task], numbers, strict=True)]
    return {
        task: measures(ratio(right, claimed), ratio(found, expected))
        for task, (right, claimed, found, expected) in sums.items()
    }


def _finders(item: Item, holders: dict[Span, set[Cluster]]) -> set[Item]:
    """What a predicted item would have to be to find a gold one: clusters that hold the gold ones' first mentions."""
    clusters, types = item
    candidates = [holders.get(min(cluster), set()) if cluster else set() for cluster in clusters]
    return {(combination, types) for combination in product(*candidates)}


def _lenient_items(annotation: Annotation, task: str) -> set[Item]:
    clusters = [frozenset(entity.mentions) for entity in annotation.entities]
    types = [entity.type for entity in annotation.entities]
    if task in ("coref", "entity"):
        return {((cluster,), kind if task == "entity" else None) for cluster, kind in zip(clusters, types, strict=True)}
    strict = task == "relation_strict"
    return {
        ((clusters[r.head], clusters[r.tail]), (types[r.head], types[r.tail], r.type) if strict else r.type)
        for r in annotation.relations
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
    return ratio(sum(right / taken * new for _, taken, right, new in _ranks(ranked)), total_gold)


def best_threshold(ranked: Sequence[Ranked], total_gold: int) -> tuple[float, float]:
    """The score from which on accepting gives the highest micro F1, and that F1 in percent.

    To be found on validation and read on test. Of equal ones the highest threshold; (1.0, 0.0) where none is correct.
    """
    best = (1.0, 0.0)
    for score, taken, right, _ in _ranks(ranked):
        f1 = ratio(2 * right, taken + total_gold)
        if f1 > best[1]:
            best = (score, f1)
    return best


def _ranks(ranked: Iterable[Ranked]) -> Iterator[tuple[float, int, int, int]]:
    """Each score, the highest first: how many candidates reach it, how many of them are correct, how many are new."""
    taken = right = 0
    for score, group in groupby(sorted(ranked, key=lambda pair: -pair[0]), key=lambda pair: pair[0]):
        correct = [is_correct for _, is_correct in group]
        taken, right = taken + len(correct), right + sum(correct)
        yield score, taken, right, sum(correct)


Fact = tuple[str, str, str]


def training_facts(documents: Iterable[Document]) -> frozenset[Fact]:
    """The facts of the gold relations of some documents, over every pair of a head's and a tail's mentions."""
    facts: set[Fact] = set()
    for document in documents:
        gold = document.gold or Annotation()
        for relation in gold.relations:
            head, tail = (gold.entities[index].mentions for index in (relation.head, relation.tail))
            facts.update(_facts(document, head, tail, relation.type))
    return frozenset(facts)


def ign_scores(documents: Sequence[Document], predicted: Sequence[Annotation], facts: AbstractSet[Fact]) -> Measures:
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
    docred = measures(ratio(new_right, new_right + wrong), recall)
    return {
        **measures(ratio(new_right, new_right + wrong - known_wrong), recall),
        "docred_precision": docred["precision"],
        "docred_f1": docred["f1"],
        "ignored": known_right + known_wrong,
    }


def _facts(document: Document, head: Iterable[Span], tail: Iterable[Span], relation_type: str) -> list[Fact]:
    tails = [document.surface(span) for span in tail]
    return [(document.surface(span), surface, relation_type) for span in head for surface in tails]
