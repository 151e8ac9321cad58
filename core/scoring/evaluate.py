"""Evaluation of predictions against gold documents: the five tasks and all diagnostics, in one `Scores`.

Which predicted document belongs to which gold document: by title where both files have one, else by order. A gold
document without prediction, or with other tokens, is refused: a missing metric raises and never becomes 0.
"""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any, Literal

import msgspec

from core.data.documents import Annotation, Document, describe_unlabelled
from core.errors import VALUE_LIMIT, UserError, cut_middle, fault
from core.scoring.coreference import coreference_scores
from core.scoring.diagnostics import (
    Fact,
    average_precision,
    best_threshold,
    by_relation_type,
    by_sentence_distance,
    ign_scores,
    lenient_scores,
    ranked_relations,
)
from core.scoring.metrics import RELATION_TASKS, DocumentCounts, Scores, count, score


def count_documents(documents: Sequence[Document], predicted: Sequence[Annotation]) -> list[DocumentCounts]:
    """The counts of every document; ValueError for a document without gold: a missing metric raises, it is never 0."""
    counts = []
    for document, annotation in zip(documents, predicted, strict=True):
        if document.gold is None:
            raise ValueError(f"document {document.id!r} has no gold annotation to score against")
        counts.append(count(document.id, document.gold, annotation))
    return counts


def evaluate(
    documents: Sequence[Document],
    predicted: Sequence[Annotation],
    facts: AbstractSet[Fact] | None = None,
    candidates: Sequence[Annotation] | None = None,
) -> Scores:
    """All scores of predictions in the order of their documents; ValueError for a document without gold.

    `candidates` are the predictions with every scored relation, accepted or not. `extra.by_sentence_distance` is there
    where sentences are known, `ranking` over the candidates (without them over the predictions, where all have scores),
    `ign` where `facts` are given.
    """
    counts = count_documents(documents, predicted)
    golds = [document.gold or Annotation() for document in documents]
    scores = score(counts)
    extra = scores.extra.copy()
    notes = extra.pop("notes")
    extra["documents"] = len(documents)
    extra["coreference"] = coreference_scores(zip(golds, predicted, strict=True))
    extra["lenient"] = lenient_scores(zip(golds, predicted, strict=True))
    extra["by_relation_type"] = by_relation_type(counts)
    distances = by_sentence_distance(documents, predicted)
    if distances is None:
        notes.append("by_sentence_distance: left out, the gold documents have no sentences")
    else:
        extra["by_sentence_distance"] = distances
    ranked_annotations = predicted if candidates is None else candidates
    relations = [relation for annotation in ranked_annotations for relation in annotation.relations]
    if candidates is not None or (relations and all(relation.score is not None for relation in relations)):
        ranked, total_gold = ranked_relations(zip(golds, ranked_annotations, strict=True))
        threshold, f1 = best_threshold(ranked, total_gold)
        extra["ranking"] = {
            "average_precision": average_precision(ranked, total_gold),
            "best_threshold": threshold,
            "best_f1": f1,
        }
        if candidates is None:
            notes.append("ranking: over the predicted relations given; best_threshold is fitted on these documents")
    if facts is not None:
        extra["ign"] = ign_scores(documents, predicted, facts)
    # Last, so that a reader finds the notes after the numbers.
    extra["notes"] = notes
    scores = msgspec.structs.replace(scores, extra=extra)
    unlabelled = sum(document.lacks_relations for document in documents)
    return refuse_relation_scores(scores, unlabelled) if unlabelled else scores


OF_RELATIONS = ("by_relation_type", "by_sentence_distance", "ranking", "ign")
"""Scores beyond the five tasks that relations alone have."""


def refuse_relation_scores(scores: Scores, unlabelled: int) -> Scores:
    """The scores without all that gold relations decide, and the note that says why."""
    extra: dict[str, Any] = {name: value for name, value in scores.extra.items() if name not in OF_RELATIONS}
    for name in ("gold_macro", "counts", "lenient"):
        extra[name] = {task: value for task, value in extra[name].items() if task not in RELATION_TASKS}
    others = [note for note in extra["notes"] if not note.startswith((*RELATION_TASKS, *OF_RELATIONS))]
    extra["notes"] = [f"relation scores refused: {describe_unlabelled(unlabelled, extra['documents'])}", *others]
    return msgspec.structs.replace(scores, relation=None, relation_strict=None, extra=extra)


MAX_NAMED = 5
"""Titles that a message names; of more it says how many."""


def match_documents(
    gold: Sequence[Document], gold_path: Path, predicted: Iterable[Document], predictions_path: Path
) -> list[Annotation]:
    """The annotation predicted for each gold document; `predicted` are taken one by one, of each its annotation stays.

    By title where every document of both files has one and no file has a title twice. Raises `UserError` for documents
    without counterpart, files of different length, and documents whose tokens differ beyond white space.
    """
    for index, document in enumerate(gold):
        if document.gold is None:
            raise fault(gold_path, "has no gold annotation: give an annotated file", index=index, title=document.title)
    titles = [document.title for document in gold]
    by_title = {title: index for index, title in enumerate(titles)} if _are_unique(titles) else {}
    annotations, predicted_titles = [], []
    # Which of the two it is shows at the end.
    other_tokens: dict[Literal["title", "order"], UserError] = {}
    for position, document in enumerate(predicted):
        annotations.append(document.gold or Annotation())
        predicted_titles.append(document.title)
        if "title" not in other_tokens and document.title in by_title:
            counterpart = gold[by_title[document.title]]
            if what := _compare_tokens(counterpart, document, gold_path):
                other_tokens["title"] = fault(predictions_path, what, index=position, title=document.title)
        if "order" not in other_tokens and position < len(gold):
            counterpart = gold[position]
            if what := _compare_tokens(counterpart, document, gold_path):
                other_tokens["order"] = fault(predictions_path, what, index=position, title=counterpart.title)
    if by_title and _are_unique(predicted_titles):
        _require(
            titles, predicted_titles, f"{predictions_path}: no prediction for %s of {gold_path}: predict all of it"
        )
        _require(
            predicted_titles, titles, f"{gold_path}: no gold for %s of {predictions_path}: give the file predicted"
        )
        if "title" in other_tokens:
            raise other_tokens["title"]
        positions = {title: position for position, title in enumerate(predicted_titles)}
        return [annotations[positions[title]] for title in titles]
    if len(gold) != len(annotations):
        raise UserError(
            f"{predictions_path}: {len(annotations)} predicted documents, but {gold_path} has {len(gold)}: where not "
            "every document has a title of its own they are matched by order, so give as many, in the same order"
        )
    if "order" in other_tokens:
        raise other_tokens["order"]
    return annotations


def _are_unique(titles: Sequence[str | None]) -> bool:
    return all(titles) and len(set(titles)) == len(titles)


def _require(titles: Sequence[str | None], other: Sequence[str | None], message: str) -> None:
    known = set(other)
    missing = [f'"{title}"' for title in titles if title not in known]
    if missing:
        raise UserError(message % f"{len(missing)} of {len(titles)} documents ({', '.join(missing[:MAX_NAMED])})")


def _compare_tokens(gold: Document, predicted: Document, gold_path: Path) -> str:
    """How the tokens of a predicted document differ from those of gold beyond white space; empty where they do not."""
    if gold.tokens == predicted.tokens:
        return ""
    if len(gold.tokens) != len(predicted.tokens):
        what = f"field tokens holds {len(predicted.tokens)} tokens, but {gold_path} has {len(gold.tokens)}"
    else:
        # Blank tokens (a no-break space, say) come out differently from different tokenisers and mean nothing.
        pairs = enumerate(zip(gold.tokens, predicted.tokens, strict=True))
        different = next((pair for pair in pairs if pair[1][0].strip() != pair[1][1].strip()), None)
        if different is None:
            return ""
        number, (expected, found) = different
        found, expected = cut_middle(found, VALUE_LIMIT), cut_middle(expected, VALUE_LIMIT)
        what = f'field tokens[{number}] is "{found}", but {gold_path} has "{expected}"'
    return f"{what}: spans could not be compared; predict from the gold file's own tokens"
