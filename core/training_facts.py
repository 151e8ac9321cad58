"""Ign-F1: relation scores without what training has already told (Yao et al., 2019).

A fact is (surface of a head mention, surface of a tail mention, relation type). Take the facts of the documents that
the run trained on: another split of the same data set would mark relations as known that the run never saw.
"""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet

from core.documents import Annotation, Document, Span
from core.metrics import harmonic, items, ratio

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
        "f1": harmonic(precision, recall),
        "docred_precision": docred_precision,
        "docred_f1": harmonic(docred_precision, recall),
        "ignored": known_right + known_wrong,
    }


def _facts(document: Document, head: Iterable[Span], tail: Iterable[Span], relation_type: str) -> list[Fact]:
    tails = [document.surface(span) for span in tail]
    return [(document.surface(span), surface, relation_type) for span in head for surface in tails]
